/**
 * CodecModule: the loops over rows and bits, without a decision in them. WebAssembly (`assembly/codec.ts`) and plain
 * TypeScript (`codec-reference.ts`) implement it alike; `codec.ts` and `aggregate.ts` drive either.
 *
 *   memory  values | valid | integers | body | restarts | results | bounds | summaries | selected
 *
 * Invariants:
 * 1. Rows and bytes go in and out through the regions of `memory`; a call keeps nothing else.
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
export interface CodecFunctions {
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

export interface CodecModule extends CodecFunctions, CodecRegions {
  readonly memory: ArrayBuffer
}
