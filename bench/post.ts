/** A file as the body of one request. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { Agent, request } from 'node:http'

const MiB = 2 ** 20

/**
 * Sends the file as one request body; resolves with the answer's text. Client and server share the machine, so it is frugal:
 * one buffer, filled from the page cache again when the socket has taken it.
 */
export async function post(url: string, path: string): Promise<string> {
  const file = openSync(path, 'r')
  try {
    return await new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/x-ndjson', 'content-length': fstatSync(file).size }
      const agent = new Agent({ keepAlive: false })
      const sent = request(`${url}/api/v1/ingest`, { method: 'POST', agent, headers }, response => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', chunk => (text += chunk))
        response.on('end', () => resolve(text))
      })
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
