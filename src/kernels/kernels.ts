/**
 * Kernels: the inner loops, as an interface with two implementations — WebAssembly (`wasm-kernels.ts`) and plain
 * TypeScript (`reference-kernels.ts`), held to the same bytes by property tests.
 *
 * Invariants:
 * 1. Blocks hold 1 to `blockRowsMax` values; encoding is lossless to the bit for every bit pattern, NaN payloads included.
 * 2. A decoder never reads or writes outside the given arrays, whatever the bytes: damage throws `BlockError`.
 * 3. Kernel memory is fixed when instantiated; calls copy in and out of it and keep no state between calls.
 */

export const blockRowsMax = 1024

/** More bytes than any encoded block of `blockRowsMax` values takes. */
export const blockBytesMax = 64 + blockRowsMax * 8

export class BlockError extends Error {
  override readonly name = 'BlockError'
}

/**
 * Count of non-null values (NaN included), of NaNs, min and max without NaN (±Infinity when none), sum. A zero among min
 * and max is +0; the sum is NaN when a value is, or when infinities cancel. Validity masks hold 1 for valid, 0 for null.
 */
export interface Summary {
  count: number
  nanCount: number
  min: number
  max: number
  sum: number
}

export type Comparison = 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge'

export interface Kernels {
  readonly name: 'wasm' | 'reference'

  /** Encodes `values[from, from + count)` at `out[at…]`; returns the bytes written (<= blockBytesMax). */
  encodeTimes(values: Float64Array, from: number, count: number, out: Uint8Array, at: number): number
  /** Decodes one block at `bytes[at, at + length)` to `out[outAt…]`; returns the number of values. */
  decodeTimes(bytes: Uint8Array, at: number, length: number, out: Float64Array, outAt: number): number
  encodeValues(values: Float64Array, from: number, count: number, out: Uint8Array, at: number): number
  decodeValues(bytes: Uint8Array, at: number, length: number, out: Float64Array, outAt: number): number
  /** The two that try harder: smaller where rows allow it, slower to write and to read. Decoded like any block. */
  encodeDenseTimes(values: Float64Array, from: number, count: number, out: Uint8Array, at: number): number
  encodeDenseValues(values: Float64Array, from: number, count: number, out: Uint8Array, at: number): number
  /** Replaces `into` by the summary of an encoded value block, from its header or packed form where possible. */
  summarizeBlock(bytes: Uint8Array, at: number, length: number, into: Summary): void

  /**
   * Encodes `values[from, from + count)` at `out[at…]` as the write-ahead log has them, which is faster than small; returns the bytes
   * written (<= 1 + 8 a value). `isTimes`: µs, of which many are whole seconds.
   */
  encodeOffsets(
    values: Float64Array,
    from: number,
    count: number,
    isTimes: boolean,
    out: Uint8Array,
    at: number,
  ): number

  /** Adds `values[from, to)` where `valid` (undefined: all) to the summary. */
  summarize(values: Float64Array, valid: Uint8Array | undefined, from: number, to: number, into: Summary): void

  /**
   * Folds rows with ascending times into runs of one bucket each: bucket = floor((time - originUs) / widthUs).
   * Writes per run the bucket's start to `starts` and {count, nanCount, min, max, sum} to `summaries[run * 5 …]`, for
   * rows [from, to); returns the number of runs. Both arrays hold at least `to - from` runs.
   */
  bucketRuns(
    times: Float64Array,
    values: Float64Array,
    valid: Uint8Array | undefined,
    from: number,
    to: number,
    originUs: number,
    widthUs: number,
    starts: Float64Array,
    summaries: Float64Array,
  ): number

  /**
   * Indexes i of [0, length), or of `selection`, with a valid value for which `value <op> constant`, into `out`;
   * returns how many. NaN equals NaN and is above every number; -0 equals 0.
   */
  filter(
    values: Float64Array,
    valid: Uint8Array | undefined,
    length: number,
    selection: Uint32Array | undefined,
    op: Comparison,
    constant: number,
    out: Uint32Array,
  ): number
}
