/**
 * Server-Sent Events, from bytes as they come off the wire (WHATWG HTML, 9.2.6).
 *
 * Invariants:
 * 1. How the bytes were cut into chunks makes no difference: not within a character, nor between CR and LF.
 * 2. An event that the stream ends within is not given.
 * 3. Memory is bounded by one event of `eventLengthMax` and one chunk.
 */
import { SydraError } from '../../lib/errors.ts'

export interface ServerSentEvent {
  /** `message` where the stream names none. */
  readonly event: string
  /** Its lines, joined by line feeds. */
  readonly data: string
  /** The last id that was given, with this event or before; empty: none, or it was taken back. */
  readonly id: string
}

/** UTF-16 units of one event's lines. */
export const eventLengthMax = 64 * 2 ** 20

/**
 * `lastId`: of the connection before, which this one resumes.
 *
 * @example for await (const { event, data } of serverSentEvents(response.body!)) …
 */
export async function* serverSentEvents(
  body: AsyncIterable<Uint8Array>,
  lastId = '',
): AsyncGenerator<ServerSentEvent, void, undefined> {
  const lines = new Lines()
  let event = ''
  let data: string[] = []
  let length = 0
  let id = lastId
  // the decoder drops a byte order mark
  const decoder = new TextDecoder()
  for await (const bytes of body) {
    for (const line of lines.push(decoder.decode(bytes, { stream: true }))) {
      if (line === '') {
        if (data.length > 0) yield { event: event || 'message', data: data.join('\n'), id }
        event = ''
        data = []
        length = 0
        continue
      }
      const colon = line.indexOf(':')
      const field = colon < 0 ? line : line.slice(0, colon)
      const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
      if (field === 'event') event = value
      else if (field === 'id' && !value.includes('\0')) id = value
      else if (field === 'data') {
        data.push(value)
        length += value.length
      }
    }
    if (length + lines.restLength > eventLengthMax) {
      throw new SydraError('body_too_large', `the server sent an event of more than ${eventLengthMax} characters`)
    }
  }
}

/** Text to lines that end with LF, CR or CRLF. */
class Lines {
  /** Of the line that is not complete yet, in the pieces it came in: a long one is joined once. */
  #rest: string[] = []
  restLength = 0
  #endedWithCarriageReturn = false;

  *push(text: string): Generator<string, void, undefined> {
    if (text === '') return
    let from = this.#endedWithCarriageReturn && text[0] === '\n' ? 1 : 0
    this.#endedWithCarriageReturn = text.endsWith('\r')
    for (const { index, 0: ending } of text.matchAll(/\r\n|\n|\r/g)) {
      if (index < from) continue
      yield this.#take(text.slice(from, index))
      from = index + ending.length
    }
    if (from === text.length) return
    this.#rest.push(text.slice(from))
    this.restLength += text.length - from
  }

  #take(end: string): string {
    if (this.#rest.length === 0) return end
    const line = this.#rest.join('') + end
    this.#rest = []
    this.restLength = 0
    return line
  }
}
