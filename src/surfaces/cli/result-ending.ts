/**
 * How a result that came as text ended. A text that was cut short says so itself, in its last bytes, to whoever reads
 * it; this reads them for the exit code.
 *
 *   json    …],"stats":{…}}      | …],"error":{…}}
 *   ndjson  …⏎{"stats":{…}}⏎     | …⏎{"error":{…}}⏎
 *   csv     …⏎                   | …⏎# error code message⏎
 *
 * Invariant: in JSON a cell is never an object and a quote within a text is escaped, so neither ending can be data. A CSV
 * row of one column could be: an error is one only where its code is known.
 */
import { errorCodes, SydraError } from '../../lib/errors.ts'
import type { TextFormat } from '../../types.ts'
import { fromWire, type WireError } from './wire-error.ts'

/** Longer than any ending. */
const tailBytesMax = 128 * 1024

export class ResultEnding {
  readonly #format: TextFormat
  #tail: Uint8Array = new Uint8Array(0)

  constructor(format: TextFormat) {
    this.#format = format
  }

  /** Takes the next chunk of the text. */
  push(chunk: Uint8Array): void {
    if (chunk.length >= tailBytesMax) {
      this.#tail = chunk.slice(-tailBytesMax)
      return
    }
    const kept = this.#tail.subarray(Math.max(0, this.#tail.length + chunk.length - tailBytesMax))
    const joined = new Uint8Array(kept.length + chunk.length)
    joined.set(kept)
    joined.set(chunk, kept.length)
    this.#tail = joined
  }

  /** After the last chunk: the error that ended the result, or `truncated_body` where it has no ending at all. */
  failure(): SydraError | undefined {
    const text = new TextDecoder().decode(this.#tail).trimEnd()
    if (this.#format === 'csv') return csvFailure(text)
    const object =
      this.#format === 'ndjson'
        ? text.slice(text.lastIndexOf('\n') + 1)
        : `{${text.slice(Math.max(text.lastIndexOf('],"stats":{'), text.lastIndexOf('],"error":{')) + 2)}`
    return endingOf(object)
  }
}

function endingOf(text: string): SydraError | undefined {
  let ending: { readonly stats?: unknown; readonly error?: unknown } | undefined
  try {
    ending = JSON.parse(text)
  } catch {
    // no ending, then
  }
  if (typeof ending?.error === 'object' && ending.error !== null) return fromWire(ending.error as WireError)
  return typeof ending?.stats === 'object' ? undefined : new SydraError('truncated_body', 'the result is cut short')
}

function csvFailure(text: string): SydraError | undefined {
  const line = text.slice(text.lastIndexOf('\n') + 1)
  const [, code, message] = /^# error ([a-z_0-9]+) (.*)$/.exec(line) ?? []
  return code !== undefined && Object.hasOwn(errorCodes, code) ? fromWire({ code, message: message! }) : undefined
}
