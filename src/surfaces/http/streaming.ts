/** Streams a body to a client no faster than it reads, and notices when it is gone. */
import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'
import { SydraError } from '../../lib/errors.ts'

/** Aborts when the client goes away before the response is finished; `reason` is a `SydraError`. */
export function clientSignal(response: ServerResponse): AbortSignal {
  const controller = new AbortController()
  const gone = (): void => {
    if (!response.writableFinished) controller.abort(new SydraError('cancelled', 'the client has gone away'))
  }
  if (response.destroyed) gone()
  else response.once('close', gone)
  return controller.signal
}

export interface StreamedBody {
  readonly contentType: string
  /** A chunk may be overwritten when the second after it is pulled. */
  readonly chunks: AsyncIterable<Uint8Array | string>
  /** Asked after the last chunk: what ended the body early, when its text says so. */
  readonly failure: () => SydraError | undefined
}

/**
 * Sends chunks as they come. The first is awaited before the head: what it rejects with is thrown, to become a status
 * of its own. A body that fails later is ended and its connection closed, so that no client takes it for whole.
 */
export async function sendStream(reply: FastifyReply, { contentType, chunks, failure }: StreamedBody): Promise<void> {
  const { raw } = reply
  const iterator = chunks[Symbol.asyncIterator]()
  let item = await iterator.next()
  reply.hijack()
  try {
    raw.writeHead(200, { ...outgoing(reply), 'content-type': contentType, 'cache-control': 'no-store' })
    let before: Promise<void> | undefined
    while (item.done !== true && !raw.destroyed) {
      const written = write(raw, item.value)
      await before
      item = await iterator.next()
      before = written
    }
    const { socket } = raw
    if (failure() !== undefined) raw.end(() => socket?.destroySoon())
    else raw.end()
  } catch {
    // the head is out and the text has no ending: a cut connection is the only truth left
    raw.destroy()
  } finally {
    await iterator.return?.()
  }
}

/** Headers set on the reply so far. */
export function outgoing(reply: FastifyReply): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {}
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value : String(value)
  }
  return headers
}

/** Resolves when the chunk is with the system, or nobody is left to read it. */
function write(raw: ServerResponse, chunk: Uint8Array | string): Promise<void> {
  return new Promise(resolve => {
    const finish = (): void => {
      raw.off('close', finish)
      resolve()
    }
    raw.once('close', finish)
    raw.write(chunk, finish)
  })
}

/** Characters a chunk of generated JSON aims at. */
const jsonChunkLength = 64 * 1024

/** A JSON array, element by element, in chunks; gives other requests a turn after each. */
export async function* jsonArray(items: Iterable<unknown>): AsyncGenerator<string, void, undefined> {
  let text = '['
  let separator = ''
  for (const item of items) {
    text += separator + JSON.stringify(item)
    separator = ','
    if (text.length < jsonChunkLength) continue
    yield text
    text = ''
    await new Promise(resolve => setImmediate(resolve))
  }
  yield `${text}]`
}
