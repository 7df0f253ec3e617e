/** An HTTP client for all servers alike: connections that are kept, bodies that are read to their end. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { Agent, type IncomingMessage, request } from 'node:http'
import { createInterface } from 'node:readline'

const agent = new Agent({ keepAlive: true, maxSockets: 64 })

/** Sends the body, or asks without one; rejects unless it is answered with success. */
function exchange(url: string, body?: string | Uint8Array, headers?: Record<string, string>): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent, method: body === undefined ? 'GET' : 'POST', headers }, response => {
      if (response.statusCode! < 300) resolve(response)
      else text(response).then(answer => reject(new Error(`${url}: ${response.statusCode} ${answer}`)), reject)
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

async function text(response: IncomingMessage): Promise<string> {
  let whole = ''
  response.setEncoding('utf8')
  for await (const chunk of response) whole += chunk
  return whole
}

/** Reads the answer and counts its bytes. */
export async function drained(
  url: string,
  body?: string | Uint8Array,
  headers?: Record<string, string>,
): Promise<number> {
  const response = await exchange(url, body, headers)
  return new Promise((resolve, reject) => {
    let bytes = 0
    response.on('data', chunk => (bytes += chunk.length))
    response.on('end', () => resolve(bytes))
    response.on('error', reject)
  })
}

export const textOf = async (
  url: string,
  body?: string | Uint8Array,
  headers?: Record<string, string>,
): Promise<string> => text(await exchange(url, body, headers))

/** The answer's lines as they come: there may be more than a string holds. */
export async function* linesOf(
  url: string,
  body?: string | Uint8Array,
  headers?: Record<string, string>,
): AsyncGenerator<string> {
  yield* createInterface({ input: await exchange(url, body, headers) })
}

const MiB = 2 ** 20

/**
 * Sends a file as one request body; resolves with the answer's text. Client and server share the machine, so it is frugal:
 * one buffer, filled from the page cache again when the socket has taken it.
 */
export async function fileSent(url: string, path: string, headers: Record<string, string> = {}): Promise<string> {
  const file = openSync(path, 'r')
  try {
    return await new Promise((resolve, reject) => {
      const sent = request(
        url,
        { method: 'POST', headers: { ...headers, 'content-length': fstatSync(file).size } },
        response => {
          text(response).then(
            answer => (response.statusCode! < 300 ? resolve(answer) : reject(new Error(`${url}: ${answer}`))),
            reject,
          )
        },
      )
      sent.on('error', reject)
      const buffer = Buffer.allocUnsafeSlow(MiB)
      const sendMore = (failure?: Error | null): void => {
        if (failure) return
        const bytes = readSync(file, buffer)
        if (bytes > 0) sent.write(buffer.subarray(0, bytes), sendMore)
        else sent.end()
      }
      sendMore()
    })
  } finally {
    closeSync(file)
  }
}
