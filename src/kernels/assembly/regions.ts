// Where things lie in the kernel's memory. The host copies rows and bytes in and out of the exported regions and
// fixes their sizes here once and for all: nothing is allocated while it runs.
//
// Every region ends in slack, because vector loops run up to a group of 128 rows past the last one.

export const blockRowsMax: i32 = 1024;
/** Rows of a slice that is aggregated or filtered in one call. */
export const sliceRowsMax: i32 = 4096;
/** Runs that one call of summarizeRuns may hold. */
export const runsMax: i32 = 1024;
/** Restarts of a delta block. */
export const restartsMax: i32 = 128;

const groupRows: i32 = 128;

/** f64 rows: what is encoded, decoded, aggregated, filtered. */
export const valuesAt: usize = memory.data(8 * (sliceRowsMax + groupRows), 16);
/** One byte a row, 1 valid, 0 null. */
export const validAt: usize = memory.data(sliceRowsMax + groupRows, 16);
/** The block's rows as integers in doubles: times, or decimals scaled by a power of ten. */
export const integersAt: usize = memory.data(8 * (blockRowsMax + groupRows), 16);
/** The body of an encoded block: packed planes, then exceptions. */
export const bodyAt: usize = memory.data(10 * blockRowsMax + 8 * blockRowsMax + 1024, 16);
/** u32: positions, and f64: values in units, of the rows at which a delta block restarts. */
export const restartPositionsAt: usize = memory.data(4 * restartsMax, 16);
export const restartValuesAt: usize = memory.data(8 * restartsMax, 16);
/** Numbers a call leaves for the host: see the functions. */
export const resultsAt: usize = memory.data(8 * 8, 16);
/** u32: rows at which runs begin, and where the last ends. */
export const boundsAt: usize = memory.data(4 * (runsMax + 1), 16);
/** f64: five a run: count, NaN count, min, max, sum. */
export const summariesAt: usize = memory.data(5 * 8 * runsMax, 16);
/** u32: rows that passed a filter. */
export const selectedAt: usize = memory.data(4 * (sliceRowsMax + 4), 16);
/** i64, of coded blocks: origin, step, base, least, greatest, sum. */
export const wideAt: usize = memory.data(8 * 8, 16);
/** u32: how often something occurs, 66 kinds at most. */
export const countsAt: usize = memory.data(4 * 66, 16);
/** u16: how many of 256 states a symbol has; they add up to 256. */
export const frequenciesAt: usize = memory.data(2 * 64, 16);

// private to the kernel
/** u32: unpacked values, or the low 32 bits of wide ones. */
export const lowAt: usize = memory.data(4 * (blockRowsMax + groupRows), 16);
/** u32: bits from 32 up of wide values. */
export const highAt: usize = memory.data(4 * (blockRowsMax + groupRows), 16);
/** u16: rows that are exceptions. */
export const exceptionsAt: usize = memory.data(2 * blockRowsMax, 16);
/** i64: rows of a coded block, from the first and in units. */
export const spannedAt: usize = memory.data(8 * blockRowsMax, 16);
/** i32 or i64: residuals. */
export const residualsAt: usize = memory.data(8 * (blockRowsMax + groupRows), 16);
/** u8: symbols of the residuals. */
export const symbolsAt: usize = memory.data(blockRowsMax + groupRows, 16);
/** u16: rows whose residual is an outlier. */
export const outlierRowsAt: usize = memory.data(2 * blockRowsMax, 16);
/** u16: what coding a row put out, bits 0-7, and how many bits of it, from bit 8. */
export const stepsAt: usize = memory.data(2 * blockRowsMax, 16);
/** u8: symbols of the 256 states. */
export const spreadAt: usize = memory.data(256, 16);
/** The decoder's tables: 8 bytes for each of the 256 states. */
export const tableAt: usize = memory.data(16 * 8 * 256, 16);
/** Of 64 symbols: u32 that tells how many bits a state puts out, i32 where its states begin. */
export const encoderAt: usize = memory.data(8 * 64, 16);
/** u16: of 64 symbols, the next place. */
export const nextAt: usize = memory.data(2 * 64, 16);
/** u8: 256 states, by symbol. */
export const statesAt: usize = memory.data(256, 16);

const powersOfTen: usize = memory.data<f64>([
  1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
]);

@inline export function powerOfTen(exponent: i32): f64 {
  return load<f64>(powersOfTen + (<usize>exponent << 3));
}
