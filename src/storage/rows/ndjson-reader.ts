/**
 * NdjsonReader: one body of NDJSON, in chunks cut anywhere, to row batches.
 *
 *   chunk -> carried tail + complete lines -> scanner (templates) -> staged rows -> RowBatch[]
 *                                          \-> JSON.parse + row rules, for lines the scanner does not know /
 *
 * Invariants:
 * 1. Each call settles every complete line it holds; only the unfinished last line is carried, at most `lineBytesMax`.
 *    Rows wait staged, or in batches, for `collect`: a chunk is read while it is in the processor's cache, and chunks that
 *    come together share batches.
 * 2. The result does not depend on where the chunks are cut.
 * 3. After a line that is too long, or a bad one with `onError: "abort"`, nothing more is read; what came before stands.
 */
import type { TimeUnit } from '../../kernels/scan.ts'
import { SydraError } from '../../lib/errors.ts'
import type { RowBatch } from '../types.ts'
import { type BadRow, BadRows } from './bad-rows.ts'
import { decodeUtf8, parseJson } from './json-text.ts'
import { lineBytesMax } from './limits.ts'
import type { RowWriter, Staging } from './row-writer.ts'
import { TimeSettings } from './timestamp.ts'

export interface ReaderOptions {
  /** Unit of integer timestamps; without it the first one settles it by magnitude. */
  readonly precision?: TimeUnit | undefined
  /** Default `skip`. */
  readonly onError?: 'skip' | 'abort' | undefined
}

const newline = 10
const byteOrderMark = [0xef, 0xbb, 0xbf]

/**
 * @example
 * const reader = new NdjsonReader(writer)
 * for await (const chunk of body) commit(reader.push(chunk))
 * commit(reader.end(true))
 */
export class NdjsonReader implements Staging {
  readonly #writer: RowWriter
  readonly #times: TimeSettings
  readonly #bad: BadRows
  #carry: Uint8Array = new Uint8Array(0)
  #carried = 0
  #lines = 0
  #accepted = 0
  #bytes = 0
  #atStart = true
  #batches: RowBatch[] = []

  constructor(writer: RowWriter, options: ReaderOptions = {}) {
    this.#writer = writer
    this.#times = new TimeSettings(options.precision)
    this.#bad = new BadRows(options.onError)
  }

  /** Lines passed, blank and bad ones too. */
  get lines(): number {
    return this.#lines
  }
  get accepted(): number {
    return this.#accepted
  }
  get rejected(): number {
    return this.#bad.count
  }
  /** Bytes given to `push`. */
  get bytes(): number {
    return this.#bytes
  }
  /** The first `ingestErrorsMax` bad lines. */
  get errors(): readonly BadRow[] {
    return this.#bad.first
  }
  /** Why nothing more is read: `line_too_long`, or the bad line's error with `abort`. */
  get stopped(): SydraError | undefined {
    return this.#bad.stopped
  }

  /** Settles the complete lines, and gives their rows. The chunk may be reused after the call. */
  push(chunk: Uint8Array): RowBatch[] {
    this.take(chunk)
    return this.collect()
  }

  /** Settles the complete lines, for `collect`. The chunk may be reused after the call. */
  take(chunk: Uint8Array): void {
    this.#writer.claim(this)
    this.#take(chunk, this.#batches)
  }

  /** The rows of all lines settled since the last call. */
  collect(): RowBatch[] {
    this.#writer.claim(this)
    this.gather()
    const batches = this.#batches
    this.#batches = []
    return batches
  }

  gather(): void {
    this.#writer.drain(this.#batches)
  }

  #take(chunk: Uint8Array, batches: RowBatch[]): void {
    this.#bytes += chunk.length
    if (this.#bad.stopped !== undefined || chunk.length === 0) return
    let from = 0
    if (this.#carried > 0) {
      const first = chunk.indexOf(newline)
      from = first < 0 ? chunk.length : first + 1
      this.#carryMore(chunk, 0, from)
      if (first >= 0) {
        const line = this.#carry.subarray(0, this.#carried)
        this.#carried = 0
        this.#read(line, batches)
      }
    }
    const end = chunk.lastIndexOf(newline) + 1
    if (end > from) this.#read(chunk.subarray(from, end), batches)
    if (end >= from) this.#carryMore(chunk, Math.max(end, from), chunk.length)
  }

  /** The body ended; a last line without newline counts only if it ended cleanly. Gives what was not collected. */
  end(clean: boolean): RowBatch[] {
    this.#writer.claim(this)
    if (this.#bad.stopped === undefined && clean && this.#carried > 0) {
      const line = new Uint8Array(this.#carried + 1)
      line.set(this.#carry.subarray(0, this.#carried))
      line[this.#carried] = newline
      this.#read(line, this.#batches)
    }
    this.#carry = new Uint8Array(0)
    this.#carried = 0
    return this.collect()
  }

  #carryMore(chunk: Uint8Array, from: number, to: number): void {
    if (this.#bad.stopped !== undefined) return
    const length = this.#carried + to - from
    // a newline is not part of the line
    if (length - (chunk[to - 1] === newline ? 1 : 0) > lineBytesMax + (this.#atStart ? byteOrderMark.length : 0)) {
      this.#carried = 0
      this.#lineTooLong()
      return
    }
    if (length > this.#carry.length) {
      const grown = new Uint8Array(Math.max(length, Math.min(this.#carry.length * 2, lineBytesMax)))
      grown.set(this.#carry.subarray(0, this.#carried))
      this.#carry = grown
    }
    this.#carry.set(chunk.subarray(from, to), this.#carried)
    this.#carried = length
  }

  /** Settles complete lines: the last byte is a newline. */
  #read(bytes: Uint8Array, batches: RowBatch[]): void {
    const { scanner } = this.#writer
    let from = 0
    if (this.#atStart) {
      this.#atStart = false
      if (byteOrderMark.every((byte, i) => bytes[i] === byte)) from = byteOrderMark.length
    }
    scanner.setTimeScale(this.#times.scale)
    while (from < bytes.length && this.#bad.stopped === undefined) {
      const end = scanner.load(bytes, from, bytes.length)
      if (end > from) this.#scan(bytes, from, batches)
      else this.#settleLine(bytes.subarray(from, bytes.indexOf(newline, from)), false, batches)
      from = end > from ? end : bytes.indexOf(newline, from) + 1
    }
  }

  /** Stages the loaded lines, which begin at `bytes[from]`. */
  #scan(bytes: Uint8Array, from: number, batches: RowBatch[]): void {
    const { scanner } = this.#writer
    for (;;) {
      const rowsBefore = scanner.rowCount()
      const linesBefore = scanner.lineCount()
      const status = scanner.scan()
      this.#accepted += scanner.rowCount() - rowsBefore
      this.#lines += scanner.lineCount() - linesBefore
      if (status === 'done') return
      if (status === 'full') {
        this.#writer.drain(batches)
        continue
      }
      if (status === 'tags' && this.#writer.addTags(bytes, from)) continue
      const start = from + scanner.position()
      const end = bytes.indexOf(newline, start)
      this.#settleLine(bytes.subarray(start, end), status === 'candidate', batches)
      if (this.#bad.stopped !== undefined) return
      scanner.skipLine(end + 1 - from)
    }
  }

  /** The general path: one line, without its newline. */
  #settleLine(line: Uint8Array, candidate: boolean, batches: RowBatch[]): void {
    const writer = this.#writer
    this.#lines++
    if (line.length > lineBytesMax) {
      this.#lines--
      this.#lineTooLong()
      return
    }
    const unsettled = this.#times.scale === undefined
    try {
      const text = decodeUtf8(line)
      if (isBlank(text)) return
      const draft = writer.rules.settle(parseJson(text), this.#times)
      if (candidate) writer.addTemplate(line, draft)
      writer.stage(draft, batches)
      this.#accepted++
    } catch (error) {
      if (!(error instanceof SydraError)) {
        writer.discard()
        throw error
      }
      this.#reject(error)
    }
    if (unsettled) writer.scanner.setTimeScale(this.#times.scale)
  }

  #reject(error: SydraError): void {
    this.#bad.add(this.#lines, error)
  }

  #lineTooLong(): void {
    this.#lines++
    const error = new SydraError('line_too_long', `line ${this.#lines} is over ${lineBytesMax} bytes`)
    this.#reject(error)
    this.#bad.stopped = error
  }
}

const isBlank = (text: string): boolean => /^[ \t\r]*$/.test(text)
