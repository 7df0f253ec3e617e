/**
 * The row writer on WebAssembly: stages a range of rows in kernel memory, lets the kernel write them, hands the text on.
 *
 *   batch -> steps of rows: columns copied to staging, strings as addresses of their escaped text -> pieces
 *
 * Invariants:
 * 1. The text is the one of `reference-write-rows.ts`, byte for byte.
 * 2. Memory is fixed: a step stages at most the staging region; escaped strings live in a heap that is forgotten when
 *    full; a string too long for it is written from here, past the kernel.
 * 3. A step stages at least one row, so writing always proceeds.
 */
import { type Batch, type Dictionary, rowCount, type Schema } from '../columnar/batch.ts'
import { assert } from '../lib/assert.ts'
import { createReferenceRowWriter } from './reference-write-rows.ts'
import { type RowFormat, type RowTextOptions, type RowWriter, rowFrame, stringText } from './row-text.ts'
import {
  acquireWriteKernel,
  cellKind,
  descriptorBytes,
  releaseWriteKernel,
  type WriteKernel,
  writeResult,
} from './write-kernel.ts'

/** Rows per step. The kernel then works on columns that are still in the cache. */
const stepRowsMax = 4096
/** Escaped strings longer than this are not kept in kernel memory. */
const entryBytesMax = 65_536
/** Slots of the caches code -> address, over all string columns of a writer. */
const slotsMax = 131_072
const slotsMin = 256
/** Columns start at multiples of this many bytes. */
const alignment = 16

interface CellColumn {
  readonly kind: number
  readonly prefix: Uint8Array
  readonly valueBytes: 1 | 4 | 8
  readonly strings: StringCache | undefined
}

/** A direct-mapped cache: `addresses[code & mask]` is right where `tags[code & mask]` is code + 1. No code is 2^32 - 1. */
interface StringCache {
  dictionary: Dictionary | undefined
  tags: Uint32Array
  addresses: Uint32Array
}

/**
 * @example
 * const writer = createRowWriter(schema, { format: 'ndjson' })
 * for (const piece of writer.write(batch)) socket.write(piece.slice())
 * writer.close()
 */
export function createRowWriter(schema: Schema, options: RowTextOptions): RowWriter {
  const kernel = acquireWriteKernel()
  const encoder = new TextEncoder()
  const frame = rowFrame(schema, options.format)
  const prefixes = frame.prefixes.map(prefix => encoder.encode(prefix))
  const prefixRoom = kernel.at.prefixesEnd - kernel.at.prefixes
  if (
    schema.length === 0 ||
    schema.length > kernel.columnsMax ||
    prefixes.reduce((sum, prefix) => sum + aligned(prefix.length), 0) > prefixRoom
  ) {
    releaseWriteKernel(kernel)
    return createReferenceRowWriter(schema, options)
  }
  return new KernelRowWriter(kernel, schema, options, prefixes, encoder.encode(frame.suffix), frame.joined)
}

class KernelRowWriter implements RowWriter {
  #kernel: WriteKernel | undefined
  readonly #format: RowFormat
  readonly #columns: readonly CellColumn[]
  readonly #stepRows: number
  readonly #slotsPerColumn: number
  readonly #encoder = new TextEncoder()
  #heapNext: number
  /** Nothing written yet: the comma before the first of joined rows is dropped. */
  #first: boolean

  constructor(
    kernel: WriteKernel,
    schema: Schema,
    { format, epoch }: RowTextOptions,
    prefixes: readonly Uint8Array[],
    suffix: Uint8Array,
    joined: boolean,
  ) {
    this.#kernel = kernel
    this.#format = format
    this.#first = joined
    this.#heapNext = kernel.at.heap
    this.#columns = schema.map((column, i) => newColumn(column.type, prefixes[i]!, epoch))
    const rowBytes = this.#columns.reduce((sum, column) => sum + column.valueBytes + 1, 0)
    const room = kernel.at.stagingEnd - kernel.at.staging - this.#columns.length * 2 * alignment
    this.#stepRows = Math.min(stepRowsMax, Math.floor(room / rowBytes))
    assert(this.#stepRows > 0, 'a row does not fit into the staging region')
    const stringColumns = this.#columns.filter(column => column.strings !== undefined).length
    this.#slotsPerColumn = Math.max(slotsMin, 2 ** Math.floor(Math.log2(slotsMax / Math.max(1, stringColumns))))

    const { exports, at } = kernel
    exports.begin(format !== 'csv', suffix[0]! | ((suffix[1] ?? 0) << 8), suffix.length)
    let prefixAt = at.prefixes
    for (const [i, { kind, prefix }] of this.#columns.entries()) {
      kernel.bytes.set(prefix, prefixAt)
      kernel.words.set([kind, prefixAt, prefix.length, 0, 0, 2], (at.descriptors + i * descriptorBytes) >> 2)
      prefixAt += aligned(prefix.length)
    }
  }

  *write(batch: Batch): Generator<Uint8Array, void, undefined> {
    const kernel = this.#kernel
    assert(kernel !== undefined, 'the row writer is closed')
    assert(batch.columns.length === this.#columns.length, 'batch and schema differ in columns')
    const { exports, bytes, words, at } = kernel
    const stateAt = at.state >> 2
    const rows = rowCount(batch)
    words[stateAt + 2] = at.out
    for (let from = 0; from < rows; ) {
      const count = this.#stage(kernel, batch, from, Math.min(this.#stepRows, rows - from))
      words[stateAt] = 0
      words[stateAt + 1] = 0
      for (;;) {
        const result = exports.write(count, this.#columns.length)
        if (result === writeResult.done) break
        if (words[stateAt + 2]! > at.out) yield this.#piece(bytes.subarray(at.out, words[stateAt + 2]!))
        words[stateAt + 2] = at.out
        if (result === writeResult.full) continue
        const column = words[stateAt + 1]!
        yield this.#piece(this.#columns[column]!.prefix)
        yield this.#longString(batch, from + words[stateAt]!, column)
        words[stateAt + 1] = column + 1
      }
      from += count
    }
    if (words[stateAt + 2]! > at.out) yield this.#piece(bytes.subarray(at.out, words[stateAt + 2]!))
  }

  close(): void {
    if (this.#kernel !== undefined) releaseWriteKernel(this.#kernel)
    this.#kernel = undefined
  }

  #piece(bytes: Uint8Array): Uint8Array {
    if (!this.#first) return bytes
    this.#first = false
    return bytes.subarray(1)
  }

  #longString(batch: Batch, index: number, at: number): Uint8Array {
    const column = batch.columns[at]!
    assert(column.type === 'string', 'only strings are left to be written outside')
    const code = column.values[batch.selection?.[index] ?? index]!
    return this.#encoder.encode(stringText(column.dictionary.at(code), this.#format))
  }

  /** Copies rows [from, from + wanted) into kernel memory; returns how many of them are complete (at least one). */
  #stage(kernel: WriteKernel, batch: Batch, from: number, wanted: number): number {
    const staged = this.#stageColumns(kernel, batch, from, wanted, this.#heapNext === kernel.at.heap)
    if (staged > 0) return staged
    this.#forgetStrings(kernel)
    return this.#stageColumns(kernel, batch, from, wanted, true)
  }

  /** 0 when the heap is full and, not being `fresh`, shall be forgotten first. */
  #stageColumns(kernel: WriteKernel, batch: Batch, from: number, wanted: number, fresh: boolean): number {
    const { bytes, words, doubles, at } = kernel
    const { selection } = batch
    const to = from + wanted
    let count = wanted
    let next = at.staging
    for (let i = 0; i < this.#columns.length; i++) {
      const cell = this.#columns[i]!
      const column = batch.columns[i]!
      const descriptor = (at.descriptors + i * descriptorBytes) >> 2
      words[descriptor + 3] = next
      words[descriptor + 4] = 0
      if (column.valid !== undefined) {
        const validAt = aligned(next + wanted * cell.valueBytes)
        words[descriptor + 4] = validAt
        if (selection === undefined) bytes.set(column.valid.subarray(from, to), validAt)
        else gather(column.valid, selection, from, to, bytes, validAt)
      }
      if (column.type === 'string') {
        assert(cell.strings !== undefined, 'a string column where the schema has none')
        this.#useDictionary(cell.strings, column.dictionary)
        const rows = this.#stageStrings(kernel, cell.strings, column, selection, from, to, next >> 2, fresh)
        if (rows === 0) return 0
        count = Math.min(count, rows)
      } else if (column.type === 'boolean') {
        assert(cell.kind === cellKind.boolean, 'a boolean column where the schema has none')
        if (selection === undefined) bytes.set(column.values.subarray(from, to), next)
        else gather(column.values, selection, from, to, bytes, next)
      } else {
        assert(cell.valueBytes === 8, 'a column of numbers where the schema has none')
        if (selection === undefined) doubles.set(column.values.subarray(from, to), next >> 3)
        else gather(column.values, selection, from, to, doubles, next >> 3)
      }
      next = aligned(next + wanted * cell.valueBytes) + (column.valid === undefined ? 0 : aligned(wanted))
    }
    return count
  }

  /** Writes the address of each row's escaped text; returns how many rows that was (0 only when not `fresh`). */
  #stageStrings(
    kernel: WriteKernel,
    cache: StringCache,
    column: { readonly values: Uint32Array; readonly valid: Uint8Array | undefined; readonly dictionary: Dictionary },
    selection: Uint32Array | undefined,
    from: number,
    to: number,
    target: number,
    fresh: boolean,
  ): number {
    const { words } = kernel
    const { values, valid, dictionary } = column
    const { tags, addresses } = cache
    const mask = tags.length - 1
    for (let i = from; i < to; i++) {
      const row = selection === undefined ? i : selection[i]!
      if (valid !== undefined && valid[row] === 0) continue
      const code = values[row]!
      const slot = code & mask
      let address = addresses[slot]!
      if (tags[slot] !== code + 1) {
        const added = this.#addEntry(kernel, dictionary.at(code))
        if (added === undefined && !fresh) return 0
        if (added === undefined && i > from) return i - from
        // the first row of a fresh heap that its strings alone fill: the rest of them go past the kernel
        address = added ?? 0
        if (added !== undefined) {
          tags[slot] = code + 1
          addresses[slot] = address
        }
      }
      words[target + i - from] = address
    }
    return to - from
  }

  /** The entry's address, 0 when the text is too long ever to be kept, undefined when the heap is full. */
  #addEntry({ bytes, words, at }: WriteKernel, text: string): number | undefined {
    if (text.length > entryBytesMax) return 0
    const start = this.#heapNext
    let length = plainText(text, this.#format, bytes, start + 4, at.heapEnd)
    if (length < 0) {
      const escaped = this.#encoder.encode(stringText(text, this.#format))
      if (escaped.length > entryBytesMax) return 0
      length = escaped.length
      if (start + 4 + length > at.heapEnd) return undefined
      bytes.set(escaped, start + 4)
    }
    words[start >> 2] = length
    this.#heapNext = Math.min(at.heapEnd, (start + 4 + length + 3) & ~3)
    return start
  }

  #useDictionary(cache: StringCache, dictionary: Dictionary): void {
    const { tags } = cache
    if (tags.length < dictionary.size && tags.length < this.#slotsPerColumn) {
      const slots = Math.min(this.#slotsPerColumn, Math.max(slotsMin, 2 ** Math.ceil(Math.log2(dictionary.size))))
      cache.tags = new Uint32Array(slots)
      cache.addresses = new Uint32Array(slots)
    } else if (cache.dictionary !== dictionary) tags.fill(0)
    cache.dictionary = dictionary
  }

  #forgetStrings(kernel: WriteKernel): void {
    for (const { strings } of this.#columns) strings?.tags.fill(0)
    this.#heapNext = kernel.at.heap
  }
}

function newColumn(type: Schema[number]['type'], prefix: Uint8Array, epoch: RowTextOptions['epoch']): CellColumn {
  if (type === 'string') {
    const strings = { dictionary: undefined, tags: new Uint32Array(slotsMin), addresses: new Uint32Array(slotsMin) }
    return { kind: cellKind.string, prefix, valueBytes: 4, strings }
  }
  if (type === 'boolean') return { kind: cellKind.boolean, prefix, valueBytes: 1, strings: undefined }
  const timeKind = epoch === undefined ? cellKind.iso : cellKind.epoch[epoch]
  return { kind: type === 'timestamp' ? timeKind : cellKind.number, prefix, valueBytes: 8, strings: undefined }
}

/** Text of at most 64 characters that needs no escape, written without an encoder; its length, or -1. */
function plainText(text: string, format: RowFormat, into: Uint8Array, start: number, end: number): number {
  const { length } = text
  if (length === 0 || length > 64 || start + length + 2 > end) return -1
  const quoted = format !== 'csv'
  let at = start
  if (quoted) into[at++] = 34
  else if (text.charCodeAt(0) === 35) return -1
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 32 || unit > 126 || unit === 34 || unit === 92 || (unit === 44 && !quoted)) return -1
    into[at++] = unit
  }
  if (quoted) into[at++] = 34
  return at - start
}

function gather<A extends Uint8Array | Float64Array>(
  from: A,
  selection: Uint32Array,
  start: number,
  end: number,
  into: A,
  at: number,
): void {
  for (let i = start; i < end; i++) into[at + i - start] = from[selection[i]!]!
}

const aligned = (bytes: number): number => (bytes + alignment - 1) & ~(alignment - 1)
