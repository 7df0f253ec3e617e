/** Clients of live queries: what a browser does with Server-Sent Events, over fetch, and Node's WebSocket. */
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { afterEach } from 'vitest'
import { until } from './harness.ts'

const open: (() => void)[] = []
// before the servers close, which give clients their time
afterEach(() => {
  for (const close of open.splice(0)) close()
})

export interface Received {
  readonly event: string
  /** Of a WebSocket, the message's; of an event stream, what the client would resume from after it. */
  readonly id: string | null | undefined
  readonly data: Record<string, unknown>
}

/** Events by the rules of https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream */
export class EventStreamParser {
  readonly events: Received[] = []
  comments = 0
  retryMs: number | undefined
  lastEventId = ''
  #rest = ''
  #id = ''
  #name = ''
  #data: string[] = []

  push(text: string): void {
    const lines = (this.#rest + text).split(/\r\n|\n|\r/)
    this.#rest = lines.pop()!
    for (const line of lines) this.#take(line)
  }

  #take(line: string): void {
    if (line === '') {
      this.#dispatch()
      return
    }
    const colon = line.indexOf(':')
    if (colon === 0) {
      this.comments++
      return
    }
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'event') this.#name = value
    else if (field === 'data') this.#data.push(value)
    else if (field === 'id') this.#id = value
    else if (field === 'retry') this.retryMs = Number(value)
    else throw new Error(`an unknown field: ${line.slice(0, 80)}`)
  }

  #dispatch(): void {
    this.lastEventId = this.#id
    if (this.#data.length > 0) {
      const data = JSON.parse(this.#data.join('\n')) as Record<string, unknown>
      this.events.push({ event: this.#name === '' ? 'message' : this.#name, id: this.lastEventId, data })
    }
    this.#name = ''
    this.#data = []
  }
}

export interface Client {
  readonly events: readonly Received[]
  /** Waits until there are so many events; all of them. */
  wait(count: number): Promise<readonly Received[]>
  close(): void
}

export interface EventStream extends Client {
  readonly response: Response
  readonly parser: EventStreamParser
  /** Resolves when the stream has ended, rejects when it was cut. */
  readonly ended: Promise<void>
}

/** Follows a live query; the response may be an error, which the caller reads. */
export async function eventStream(url: string, headers: Record<string, string> = {}): Promise<EventStream> {
  const controller = new AbortController()
  open.push(() => controller.abort())
  const response = await fetch(url, { headers, signal: controller.signal })
  const parser = new EventStreamParser()
  const read = async (): Promise<void> => {
    for await (const text of response.body!.pipeThrough(new TextDecoderStream())) parser.push(text)
  }
  const ended = response.ok ? read() : Promise.resolve()
  ended.catch(() => {})
  return {
    response,
    parser,
    ended,
    events: parser.events,
    wait: async count => {
      await until(() => parser.events.length >= count)
      return parser.events
    },
    close: () => controller.abort(),
  }
}

export interface Socket extends Client {
  readonly raw: WebSocket
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
}

export async function webSocket(url: string, headers: Record<string, string> = {}): Promise<Socket> {
  const raw = new WebSocket(url.replace(/^http/, 'ws'), { headers } as never)
  open.push(() => raw.close())
  const events: Received[] = []
  raw.addEventListener('message', ({ data }) => {
    const { event, id, ...rest } = JSON.parse(data as string) as { event: string; id?: string }
    events.push({ event, id, data: rest })
  })
  const closed = new Promise<{ code: number; reason: string }>(resolve => {
    raw.addEventListener('close', ({ code, reason }) => resolve({ code, reason }))
  })
  await new Promise((resolve, reject) => {
    raw.addEventListener('open', resolve)
    raw.addEventListener('error', reject)
  })
  return {
    raw,
    events,
    closed,
    wait: async count => {
      await until(() => events.length >= count)
      return events
    },
    close: () => raw.close(),
  }
}

/** Asks for a WebSocket by hand: the socket after the switch, or the response that there was instead. */
export function upgrade(port: number, path: string, headers: Record<string, string> = {}) {
  const key = Buffer.alloc(16).toString('base64')
  const outgoing: ClientRequest = request({
    port,
    host: '127.0.0.1',
    path,
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': key,
      ...headers,
    },
  })
  open.push(() => outgoing.destroy())
  const answer = new Promise<{
    readonly status: number
    readonly text: string
    readonly socket?: IncomingMessage['socket']
  }>((resolve, reject) => {
    outgoing.on('error', reject)
    outgoing.on('upgrade', (response, socket) => {
      socket.on('error', () => {})
      open.push(() => socket.destroy())
      resolve({ status: response.statusCode!, text: '', socket: socket as IncomingMessage['socket'] })
    })
    outgoing.on('response', response => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode!, text }))
    })
  })
  outgoing.end()
  return answer
}
