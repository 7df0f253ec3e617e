/**
 * A JSON body — one row, or an array of them of any length — as NDJSON lines, so that there is one reader of rows.
 *
 *   bytes -> stream-json tokens -> `{"series":…}⏎` per element
 *
 * Numbers keep their digits: they pass as text, never as doubles. The line number of a row is its index + 1.
 *
 * Invariants (the parser itself is not made for hostile input, so they are kept here):
 * 1. Memory is bounded by one element of `lineBytesMax` and one piece: a lexeme that is still open when as many bytes
 *    were read without a token ends the body with `line_too_long`.
 * 2. Nesting beyond `depthMax` ends it with `invalid_json`.
 * 3. Lines that `push` gave before the failure are good; of the piece (`pieceBytes`) that holds it, none are.
 */
import { jsonParser, type Token } from 'stream-json/core/parser.js'
import { SydraError } from '../lib/errors.ts'

/** As for a line of NDJSON. */
export const lineBytesMax = 1 << 20
/** A row needs two: its object, and `fields` or `tags` in it. */
export const depthMax = 16
/** The parser is fed in pieces, because a piece in which it throws is lost. */
const pieceBytes = 2048

export class JsonLines {
  /** Set once the body can not go on; `push` gives nothing more. */
  failure: SydraError | undefined
  // packed tokens only: several times faster, and the streamed ones would say the same again
  readonly #parse = jsonParser({ packValues: true, streamValues: false })
  readonly #decoder = new TextDecoder('utf-8', { fatal: true })
  readonly #encoder = new TextEncoder()
  /** The element in the making. */
  #line = ''
  #comma = false
  #depth = 0
  /** 1 inside the outer array, 0 for a single row, undefined before the first token. */
  #rowDepth: number | undefined
  #closed = false
  #rows = 0
  #bytesSinceToken = 0

  /** The lines that these bytes complete (possibly none). */
  push(bytes: Uint8Array): Uint8Array {
    let lines = ''
    for (let at = 0; at < bytes.length && this.failure === undefined; at += pieceBytes) {
      lines += this.#piece(bytes.subarray(at, at + pieceBytes))
    }
    return this.#encoder.encode(lines)
  }

  /** Call once the body has ended cleanly: its last line, or `failure` when the JSON is not complete. */
  end(): Uint8Array {
    // a space ends a number that might have gone on
    const lines = this.failure === undefined ? this.#piece(this.#encoder.encode(' ')) : ''
    if (this.failure === undefined && !this.#closed) {
      this.failure =
        this.#rowDepth === undefined
          ? new SydraError('invalid_json', 'the body is empty')
          : new SydraError('truncated_body', `the JSON ends inside row ${this.#rows + 1}`)
    }
    return this.#encoder.encode(lines)
  }

  #piece(bytes: Uint8Array): string {
    let lines = ''
    try {
      const tokens = this.#parse(this.#decoder.decode(bytes, { stream: true }))
      if (typeof tokens === 'object') {
        this.#bytesSinceToken = 0
        for (const token of tokens.values) lines += this.#take(token)
      }
      this.#bytesSinceToken += bytes.length
      if (this.#line.length + this.#bytesSinceToken > lineBytesMax) {
        throw new SydraError('line_too_long', `row ${this.#rows + 1} is longer than ${lineBytesMax} bytes`)
      }
    } catch (error) {
      this.failure = this.#explain(error)
    }
    return lines
  }

  #explain(error: unknown): SydraError {
    if (error instanceof SydraError) return error
    const where = this.#rowDepth === undefined ? '' : ` (after ${this.#rows} rows)`
    if (error instanceof TypeError)
      return new SydraError('invalid_utf8', `the body is not UTF-8${where}`, { cause: error })
    return new SydraError('invalid_json', `${(error as Error).message}${where}`, {
      cause: error,
      hint: 'application/json takes one row or an array of rows; rows on lines of their own are application/x-ndjson',
    })
  }

  /** Adds the token; gives the line when it completes one. */
  #take(token: Token): string {
    switch (token.name) {
      case 'startObject':
        return this.#open('{')
      case 'startArray':
        if (this.#rowDepth !== undefined) return this.#open('[')
        this.#rowDepth = 1
        this.#depth = 1
        return ''
      case 'endObject':
        return this.#close('}')
      case 'endArray':
        if (this.#rowDepth === 1 && this.#depth === 1) {
          this.#closed = true
          return ''
        }
        return this.#close(']')
      case 'keyValue':
        this.#line += `${this.#comma ? ',' : ''}${JSON.stringify(token.value)}:`
        this.#comma = false
        return ''
      case 'stringValue':
        return this.#value(JSON.stringify(token.value))
      case 'numberValue':
        return this.#value(token.value)
      case 'nullValue':
      case 'trueValue':
      case 'falseValue':
        return this.#value(String(token.value))
      default:
        return ''
    }
  }

  #open(bracket: string): string {
    this.#rowDepth ??= 0
    if (++this.#depth > depthMax) throw new SydraError('invalid_json', `nested deeper than ${depthMax} levels`)
    this.#line += (this.#comma ? ',' : '') + bracket
    this.#comma = false
    return ''
  }

  #close(bracket: string): string {
    this.#depth--
    this.#line += bracket
    this.#comma = true
    return this.#endRow()
  }

  #value(text: string): string {
    this.#rowDepth ??= 0
    this.#line += (this.#comma ? ',' : '') + text
    this.#comma = true
    return this.#endRow()
  }

  #endRow(): string {
    if (this.#depth !== this.#rowDepth) return ''
    const line = `${this.#line}\n`
    this.#line = ''
    this.#comma = false
    this.#rows++
    if (this.#rowDepth === 0) this.#closed = true
    return line
  }
}
