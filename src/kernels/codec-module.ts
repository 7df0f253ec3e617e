/**
 * CodecModule: the loops over rows and bits, without a decision in them. WebAssembly (`assembly/codec.ts`) and plain
 * TypeScript (`codec-reference.ts`) implement it alike; `codec.ts` and `aggregate.ts` drive either.
 *
 *   memory  values | valid | integers | body | restarts | results | bounds | summaries | selected
 *
 * Invariants:
 * 1. Rows and bytes go in and out through the regions of `memory`; a call keeps nothing else, but for the decoder's tables.
 * 2. Both implementations leave the same bits in the regions, whatever the bits that go in.
 * 3. A count is 1 to `blockRowsMax`, a slice 1 to `sliceRowsMax` rows, and sizes fit their regions: the host checks.
 */

/** Rows of a slice that is aggregated or filtered in one call. */
export const sliceRowsMax = 4096
/** Runs that one call of `summarizeRuns` may hold. */
export const runsMax = 1024
/** Restarts of a delta block. */
export const restartsMax = 128
/** Bits a packed value may take. */
export const widthMax = 52
export const exponentMax = 15
/** Symbols of a coded block, and how many residuals may have none. */
export const symbolsMax = 64
export const outliersMax = 64
/** Bits of a residual beside its symbol. */
export const shiftMax = 58
/** The same where arithmetic is modulo 2^32. */
export const narrowShiftMax = 31
/** Low bits that a coded block leaves away from every value. */
export const dropMax = 52
/** States of the code: frequencies add up to it. */
export const codeStates = 256
/** Decoder's tables that are kept. */
export const codeTables = 16
/** Places in the region of 64-bit numbers and, beside those of the symbols, in `counts`. */
export const wide = { origin: 0, step: 1, base: 2, least: 3, greatest: 4, sum: 5 } as const
export const counted = { beyond: 64, zeros: 65 } as const

/** Byte offsets of the regions in the module's memory. */
export interface CodecRegions {
  /** f64 rows: what is encoded, decoded, aggregated, filtered. */
  readonly valuesAt: number
  /** One byte a row, 1 valid, 0 null. */
  readonly validAt: number
  /** The block's rows as integers in doubles. */
  readonly integersAt: number
  /** The body of a block: packed planes, then exceptions. */
  readonly bodyAt: number
  /** u32 rows, f64 values in units, at which a delta block restarts. */
  readonly restartPositionsAt: number
  readonly restartValuesAt: number
  /** f64: what a call found out, beside its result. */
  readonly resultsAt: number
  /** u32: rows at which runs begin, and where the last ends. */
  readonly boundsAt: number
  /** f64, five a run: count, NaN count, min, max, sum. */
  readonly summariesAt: number
  /** u32: rows that passed a filter. */
  readonly selectedAt: number
  /** i64 of coded blocks, see `wide`. */
  readonly wideAt: number
  /** u32: how often something occurs, 66 kinds at most. */
  readonly countsAt: number
  /** u16: how many of the code's states a symbol has. */
  readonly frequenciesAt: number
}

/** What `filterRows` tests. A NaN passes `notEqual`, `notAtMost`, `notBelow`, `isNaN` and `any`. */
export const predicate = {
  equal: 0,
  notEqual: 1,
  below: 2,
  atMost: 3,
  notAtMost: 4,
  notBelow: 5,
  isNaN: 6,
  notNaN: 7,
  any: 8,
} as const
export type Predicate = (typeof predicate)[keyof typeof predicate]

/** Booleans come back as 0 and 1, and go in likewise. */
export interface CodecFunctions extends CodedFunctions, OffsetFunctions {
  // values to integers
  /** Runs of equal bit patterns in `values`. */
  countRuns(count: number): number
  /** Writes the runs to the body: u16 lengths, then values. */
  putRuns(count: number, runs: number): void
  /** Whether `integers` holds whole numbers of at most 9e15, and no -0. */
  checkTimes(count: number): number
  /** Scales `values` to `integers`; returns the power of ten or -1. results: exceptions. */
  scaleDecimals(count: number): number
  /** Writes the exceptions scaleDecimals found to the body: u16 rows, then values. */
  putExceptions(offset: number, exceptions: number): void

  // integers to packed planes
  /** results: min, max, least delta, greatest delta, least delta that is no fall, falls. */
  scanIntegers(count: number): void
  /** Greatest common divisor of the distances from the first integer. */
  commonUnit(count: number): number
  /** results: sums of the distances from the first integer over the first and the last half. */
  halfSums(count: number): void
  /** results: least and greatest (integer - first) / unit - floor(row * slope). */
  lineResiduals(count: number, unit: number, slope: number): void
  /** Writes rows and values (in units from the first) of falls to the restart regions. */
  findRestarts(count: number, unit: number): void
  packFrame(count: number, width: number, origin: number, unit: number): void
  packLine(count: number, width: number, origin: number, unit: number, slope: number): void
  packDelta(count: number, width: number, unit: number, step: number, restarts: number): void

  // body to values
  fillConstant(count: number): void
  /** 0 when the lengths of the runs do not add up to count. */
  expandRuns(count: number, runs: number): number
  /** 0 when an exception lies outside the rows. */
  patchExceptions(offset: number, exceptions: number, count: number): number
  unpackFrame(count: number, width: number, exponent: number, origin: number, unit: number): void
  unpackLine(count: number, width: number, origin: number, unit: number, slope: number): void
  unpackDelta(
    count: number,
    width: number,
    exponent: number,
    origin: number,
    unit: number,
    step: number,
    restarts: number,
  ): void
  /** results: sum, min and max of packed values of at most 24 bits. */
  summarizePacked(count: number, width: number): void

  // slices
  summarizeRuns(runs: number, masked: number): void
  /** Writes base + row of the rows that pass to `selected`; returns how many. */
  filterRows(predicate: Predicate, constant: number, count: number, base: number, masked: number): number
}

/** The loops of blocks that are offsets from their smallest value. */
export interface OffsetFunctions {
  /**
   * Scales `values` to `integers` by 10^exponent, -15 to 15; returns the first row that does not come back to the bit, or
   * count. results, if it is count: least, greatest; below 2^51.
   */
  scaleExactly(count: number, exponent: number): number
  /** Writes integer - least to the body, which fits the bytes; what follows there is not defined. */
  putOffsets(count: number, width: 1 | 2 | 4, least: number): void
}

/** The loops of coded blocks. */
export interface CodedFunctions {
  // values and integers to coded bodies; arithmetic is modulo 2^64
  /** x = (integer - first) / unit; 0 when one is beyond 32 bits. wide: step, which is the second row's. */
  spanIntegers(count: number, unit: number): number
  /**
   * x = bits of the value, ordered as values are, without the low ones that all lack, minus the first's; returns how many
   * are lacking. wide: origin, step.
   */
  spanBits(count: number): number
  /** Of 3 rows or more. wide[order]: median of a sample of the residuals; results[order]: bits of their distances from it. */
  measureOrders(count: number): void
  /** Residuals: x, its differences, or theirs; rows that the order determines take the next one's. wide: least, greatest, sum. */
  difference(count: number, order: number): void
  /** counts[b]: residuals whose distance from the base takes b bits. */
  countLengths(count: number): void
  /** counts[s]: residuals, not 0, of the symbol (residual - base) >> shift; counts of those beyond, of zeros. */
  countSymbols(count: number, shift: number): void
  /**
   * Writes symbols; packed low bits and outliers, whose symbol is not below `symbols`, to the body. first 1: symbol 0 is a
   * residual of 0, without low bits. counts: of the symbols. results: residuals with low bits, outliers.
   */
  splitResiduals(count: number, shift: number, symbols: number, first: number, filler: number, wide: number): void
  /** Writes the stream at `offset` of the body; returns its bytes. */
  encodeSymbols(count: number, offset: number, symbols: number): number

  // coded body to values
  /** Of the frequencies, which must add up to `codeStates`; `table` is one of `codeTables`. */
  buildDecoder(symbols: number, table: number): void
  /** 0 when the stream at `offset` of the body does not end as it should. */
  decodeSymbols(count: number, offset: number, length: number, table: number): number
  /** Residuals of symbols and low bits, modulo 2^32. */
  joinNarrow(count: number, shift: number, base: number): void
  /** The same where symbol 0 has no low bits: 0 when there are not `repeats` of it. */
  joinNarrowRepeats(count: number, shift: number, base: number, repeats: number): number
  /** Either, modulo 2^64; repeats 0: symbol 0 is like others. */
  joinWide(count: number, shift: number, repeats: number): number
  /** 0 when an outlier lies outside the rows. */
  patchResiduals(offset: number, outliers: number, count: number, wide: number): number
  sumNarrow(count: number, order: number, step: number, exponent: number, origin: number, unit: number): void
  /** joinNarrow and sumNarrow, of order 1. */
  joinSums(count: number, shift: number, base: number, exponent: number, origin: number, unit: number): void
  sumWide(count: number, order: number, exponent: number, origin: number, unit: number): void
  sumBits(count: number, order: number, drop: number): void
}

export interface CodecModule extends CodecFunctions, CodecRegions {
  readonly memory: ArrayBuffer
}
