/**
 * The order of rows as a permutation: a stable sort by integer keys packed from series rank and time.
 *
 *   survey    least and greatest time and rank; is either column in order by itself? are the rows?
 *   keys      time - least time in the clock's unit, and rank - least rank, packed into one integer below 2^53
 *   count     hardly more keys than rows: one pass into a place for each key
 *   spread    many distinct keys: one pass into as many buckets as half the rows, then insertion within buckets
 *   radix     few key bits, or keys that crowd: LSD passes of at most 11 bits
 *
 * Rows arrive mostly in time order, or as runs of series, and clocks tick in whole units: a less significant column that
 * is in order needs no key bits (the sort is stable), and dividing by the unit makes most keys short. Spreading is
 * Flashsort's idea (Neubert, Dr. Dobb's Journal 2/1998) out of place, which keeps it stable.
 *
 * Invariants:
 * 1. The sort is stable: rows of one (series, time) keep their order, in every order.
 * 2. `time-series desc` has time descending and, within a time, series still ascending.
 */

export type RowOrder = 'series-time' | 'time-series' | 'time-series desc'

const digitBitsMax = 11
/** Up to here comparing beats counting. */
const smallRowsMax = 24
const bucketsMax = 1 << 18
/** Keys that may lack rows for each row, where counting takes one pass. */
const sparseMax = 2
/** Rows that share a bucket, on average over rows, at which spreading gives way to radix passes. */
const crowdMax = 16
/** Rows a kept scratch has room for; sorts of more rows get one of their own. */
const keptRowsMax = 1 << 20

/** Working memory of a sort, reused from call to call. */
export class SortScratch {
  capacity = 0
  rowsA: Uint32Array = new Uint32Array(0)
  rowsB: Uint32Array = new Uint32Array(0)
  keysA: Uint32Array = new Uint32Array(0)
  keysB: Uint32Array = new Uint32Array(0)
  packedA: Float64Array = new Float64Array(0)
  packedB: Float64Array = new Float64Array(0)
  counts: Uint32Array = new Uint32Array(1 << digitBitsMax)

  reserve(rows: number): void {
    if (rows <= this.capacity) return
    this.capacity = Math.max(rows, Math.min(this.capacity * 2, keptRowsMax))
    this.rowsA = new Uint32Array(this.capacity)
    this.rowsB = new Uint32Array(this.capacity)
    this.keysA = new Uint32Array(this.capacity)
    this.keysB = new Uint32Array(this.capacity)
    this.packedA = new Float64Array(this.capacity)
    this.packedB = new Float64Array(this.capacity)
  }
}

const shared = new SortScratch()
export const scratchFor = (rows: number): SortScratch => (rows <= keptRowsMax ? shared : new SortScratch())

/**
 * Position -> row for rows [0, length) in the order, borrowed from the scratch; undefined when they are in order as they
 * are. `ranks` is indexed by series.
 */
export function sortPermutation(
  series: Uint32Array,
  timeUs: Float64Array,
  length: number,
  order: RowOrder,
  ranks: Uint32Array,
  scratch: SortScratch = scratchFor(length),
): Uint32Array | undefined {
  const times = surveyTimes(timeUs, length, order === 'time-series desc')
  const seriesRanks = surveyRanks(series, length, ranks)
  if (inOrder(series, timeUs, length, order, ranks, times, seriesRanks)) return undefined
  scratch.reserve(length)
  if (length <= smallRowsMax || times.max - times.min > Number.MAX_SAFE_INTEGER)
    return compareSort(series, timeUs, length, order, ranks, scratch)
  return keySort(series, timeUs, length, order, ranks, times, seriesRanks, scratch)
}

interface Survey {
  readonly min: number
  readonly max: number
  /** Never falls (or never rises, for times in descending order). */
  readonly inOrder: boolean
}

function surveyTimes(timeUs: Float64Array, length: number, descending: boolean): Survey {
  let min = Number.POSITIVE_INFINITY
  let max = Number.NEGATIVE_INFINITY
  let falls = 0
  let rises = 0
  let previous = length === 0 ? 0 : timeUs[0]!
  for (let i = 0; i < length; i++) {
    const time = timeUs[i]!
    if (time < min) min = time
    if (time > max) max = time
    if (time < previous) falls++
    else if (time > previous) rises++
    previous = time
  }
  return { min, max, inOrder: (descending ? rises : falls) === 0 }
}

function surveyRanks(series: Uint32Array, length: number, ranks: Uint32Array): Survey {
  let min = 0xffff_ffff
  let max = 0
  let falls = 0
  let previousSeries = -1
  let previousRank = 0
  for (let i = 0; i < length; i++) {
    const one = series[i]!
    if (one === previousSeries) continue
    previousSeries = one
    const rank = ranks[one]!
    if (rank < min) min = rank
    if (rank > max) max = rank
    if (rank < previousRank) falls++
    previousRank = rank
  }
  return { min, max, inOrder: falls === 0 }
}

/** Whether the rows are in order: the first column is, and where it stays equal, the other one is. */
function inOrder(
  series: Uint32Array,
  timeUs: Float64Array,
  length: number,
  order: RowOrder,
  ranks: Uint32Array,
  times: Survey,
  seriesRanks: Survey,
): boolean {
  if (order === 'series-time') {
    if (!seriesRanks.inOrder) return false
    if (!times.inOrder)
      for (let i = 1; i < length; i++) if (timeUs[i]! < timeUs[i - 1]! && series[i] === series[i - 1]) return false
  } else {
    if (!times.inOrder) return false
    if (!seriesRanks.inOrder)
      for (let i = 1; i < length; i++)
        if (timeUs[i] === timeUs[i - 1] && ranks[series[i]!]! < ranks[series[i - 1]!]!) return false
  }
  return true
}

function keySort(
  series: Uint32Array,
  timeUs: Float64Array,
  length: number,
  order: RowOrder,
  ranks: Uint32Array,
  times: Survey,
  seriesRanks: Survey,
  scratch: SortScratch,
): Uint32Array {
  const bySeries = order === 'series-time'
  // A column that is less significant and in order already needs no key bits.
  const useTime = times.max > times.min && !(bySeries && times.inOrder)
  const useRank = seriesRanks.max > seriesRanks.min && (bySeries || !seriesRanks.inOrder)
  const unit = useTime ? timeUnit(timeUs, length, times.min) : 1
  const places: KeyPlaces = {
    minUs: times.min,
    unit,
    times: useTime ? (times.max - times.min) / unit + 1 : 1,
    minRank: seriesRanks.min,
    ranks: useRank ? seriesRanks.max - seriesRanks.min + 1 : 1,
    order,
  }
  const keys = places.times * places.ranks
  if (keys <= bucketsMax && keys <= length * sparseMax) return count(series, timeUs, length, ranks, places, scratch)
  const timeBits = useTime ? bitsOf((times.max - times.min) / unit) : 0
  const rankBits = useRank ? bitsOf(seriesRanks.max - seriesRanks.min) : 0
  const rows = identity(scratch.rowsA, length)

  if (timeBits + rankBits > 53) {
    // Too wide for one key: by the less significant column first, then, stably, by the other.
    if (bySeries) {
      timeKeys(timeUs, length, times, unit, false, scratch.packedA)
      const byTime = radix(scratch, rows, length, timeBits)
      rankKeys(series, length, ranks, seriesRanks.min, scratch.packedA)
      return radix(scratch, byTime, length, rankBits)
    }
    rankKeys(series, length, ranks, seriesRanks.min, scratch.packedA)
    const byRank = radix(scratch, rows, length, rankBits)
    timeKeys(timeUs, length, times, unit, order === 'time-series desc', scratch.packedA)
    return radix(scratch, byRank, length, timeBits)
  }
  const packed = scratch.packedA
  if (useTime) timeKeys(timeUs, length, times, unit, order === 'time-series desc', packed)
  if (useRank && useTime) {
    const timeScale = bySeries ? 1 : 2 ** rankBits
    const rankScale = bySeries ? 2 ** timeBits : 1
    const minRank = seriesRanks.min
    for (let i = 0; i < length; i++) packed[i] = packed[i]! * timeScale + (ranks[series[i]!]! - minRank) * rankScale
  } else if (useRank) rankKeys(series, length, ranks, seriesRanks.min, packed)
  const bits = timeBits + rankBits
  if (bits > 2 * digitBitsMax) {
    const spreadRows = spread(scratch, length)
    if (spreadRows !== undefined) return spreadRows
  }
  return radix(scratch, rows, length, bits)
}

/** Keys as places: so many times, in the clock's unit, and so many ranks; 1 where a column does not count. */
interface KeyPlaces {
  readonly minUs: number
  readonly unit: number
  readonly times: number
  readonly minRank: number
  readonly ranks: number
  readonly order: RowOrder
}

/** A counting sort with a place for each key. */
function count(
  series: Uint32Array,
  timeUs: Float64Array,
  length: number,
  ranks: Uint32Array,
  places: KeyPlaces,
  scratch: SortScratch,
): Uint32Array {
  const { minUs, minRank, order } = places
  const size = places.times * places.ranks
  const { keysA, rowsA } = scratch
  if (scratch.counts.length < size) scratch.counts = new Uint32Array(size)
  const { counts } = scratch
  counts.fill(0, 0, size)
  // Times are whole units: their numbers are far too small for a product to be off by half a unit.
  const perUs = places.times > 1 ? 1 / places.unit : 0
  const descending = order === 'time-series desc'
  const timeScale = order === 'series-time' ? 1 : places.ranks
  const rankScale = places.ranks === 1 ? 0 : order === 'series-time' ? places.times : 1
  const first = descending ? (places.times - 1) * timeScale : 0
  const step = descending ? -timeScale : timeScale
  for (let i = 0; i < length; i++) {
    const time = Math.floor((timeUs[i]! - minUs) * perUs + 0.5)
    const key = first + time * step + (rankScale === 0 ? 0 : (ranks[series[i]!]! - minRank) * rankScale)
    keysA[i] = key
    counts[key]!++
  }
  for (let key = 0, sum = 0; key < size; key++) {
    const rows = counts[key]!
    counts[key] = sum
    sum += rows
  }
  for (let i = 0; i < length; i++) rowsA[counts[keysA[i]!]!++] = i
  return rowsA.subarray(0, length)
}

function timeKeys(
  timeUs: Float64Array,
  length: number,
  { min, max }: Survey,
  unit: number,
  descending: boolean,
  into: Float64Array,
): void {
  if (descending) for (let i = 0; i < length; i++) into[i] = (max - timeUs[i]!) / unit
  else for (let i = 0; i < length; i++) into[i] = (timeUs[i]! - min) / unit
}

function rankKeys(series: Uint32Array, length: number, ranks: Uint32Array, min: number, into: Float64Array): void {
  for (let i = 0; i < length; i++) into[i] = ranks[series[i]!]! - min
}

function identity(rows: Uint32Array, length: number): Uint32Array {
  for (let i = 0; i < length; i++) rows[i] = i
  return rows
}

/** Bits of an integer from 0 to 2^53 - 1. */
const bitsOf = (value: number): number =>
  value < 4_294_967_296 ? 32 - Math.clz32(value) : 64 - Math.clz32(Math.floor(value / 4_294_967_296))

/** What a sample of the times has in common: they differ by multiples of it. Not 0. */
export function clockUnit(timeUs: Float64Array, length: number, fromUs = timeUs[0]!): number {
  let unit = 0
  // An odd step, so that the sample does not fall into step with runs of 2^n rows.
  const step = Math.floor(length / 64) | 1
  for (let i = 0; i < length && unit !== 1; i += step) unit = gcd(Math.abs(timeUs[i]! - fromUs), unit)
  return unit === 0 ? 1 : unit
}

/** Sampled times settle a candidate for the common unit; all rows must agree, else the unit is 1. */
function timeUnit(timeUs: Float64Array, length: number, minTime: number): number {
  const unit = clockUnit(timeUs, length, minTime)
  if (unit <= 1) return 1
  const perUs = 1 / unit
  for (let i = 0; i < length; i++) {
    const delta = timeUs[i]! - minTime
    if (Math.floor(delta * perUs + 0.5) * unit !== delta) return 1
  }
  return unit
}

function gcd(a: number, b: number): number {
  while (b !== 0) {
    const rest = a % b
    a = b
    b = rest
  }
  return a
}

/** Sorts by `packedA` through buckets of equal width; undefined when too many rows would share one. */
function spread(scratch: SortScratch, length: number): Uint32Array | undefined {
  const { packedA, packedB, rowsB } = scratch
  let greatest = 0
  for (let i = 0; i < length; i++) if (packedA[i]! > greatest) greatest = packedA[i]!
  let buckets = 1 << digitBitsMax
  while (buckets < length / 2 && buckets < bucketsMax) buckets *= 2
  if (scratch.counts.length < buckets) scratch.counts = new Uint32Array(buckets)
  const counts = scratch.counts
  counts.fill(0, 0, buckets)
  // Multiplying by a constant and truncating never reverses an order, which is all that counts here.
  const scale = (buckets - 1) / greatest
  for (let i = 0; i < length; i++) counts[Math.trunc(packedA[i]! * scale)]!++
  let crowd = 0
  for (let bucket = 0, sum = 0; bucket < buckets; bucket++) {
    const count = counts[bucket]!
    crowd += count * count
    counts[bucket] = sum
    sum += count
  }
  if (crowd > length * crowdMax) return undefined
  for (let i = 0; i < length; i++) {
    const key = packedA[i]!
    const at = counts[Math.trunc(key * scale)]!++
    packedB[at] = key
    rowsB[at] = i
  }
  for (let i = 1; i < length; i++) {
    const key = packedB[i]!
    if (packedB[i - 1]! <= key) continue
    const row = rowsB[i]!
    let at = i
    do {
      packedB[at] = packedB[at - 1]!
      rowsB[at] = rowsB[at - 1]!
      at--
    } while (at > 0 && packedB[at - 1]! > key)
    packedB[at] = key
    rowsB[at] = row
  }
  return rowsB.subarray(0, length)
}

/** Sorts `rows` (`rowsA` or `rowsB`) by `packedA[row]`, an integer of so many bits; the result is in either array. */
function radix(scratch: SortScratch, rows: Uint32Array, length: number, bits: number): Uint32Array {
  const passes = Math.max(1, Math.ceil(bits / digitBitsMax))
  const digitBits = Math.ceil(bits / passes)
  // Keys are carried as words of 32 bits: one, or a lower and an upper one.
  const lowPasses = bits <= 32 ? passes : passes >> 1
  const lowScale = 2 ** (lowPasses * digitBits)
  let from = rows.buffer === scratch.rowsA.buffer ? scratch.rowsA : scratch.rowsB
  let to = from === scratch.rowsA ? scratch.rowsB : scratch.rowsA
  let keys = scratch.keysA
  let nextKeys = scratch.keysB
  for (let pass = 0; pass < passes; pass++) {
    if (pass === 0) lowWords(scratch.packedA, from, length, lowScale, keys)
    else if (pass === lowPasses) highWords(scratch.packedA, from, length, lowScale, keys)
    const shift = (pass < lowPasses ? pass : pass - lowPasses) * digitBits
    if (!scatter(keys, from, nextKeys, to, length, shift, (1 << digitBits) - 1, scratch.counts)) continue
    const moved = to
    to = from
    from = moved
    const movedKeys = nextKeys
    nextKeys = keys
    keys = movedKeys
  }
  return from.subarray(0, length)
}

function lowWords(packed: Float64Array, rows: Uint32Array, length: number, scale: number, into: Uint32Array): void {
  for (let i = 0; i < length; i++) {
    const key = packed[rows[i]!]!
    into[i] = key - Math.floor(key / scale) * scale
  }
}

function highWords(packed: Float64Array, rows: Uint32Array, length: number, scale: number, into: Uint32Array): void {
  for (let i = 0; i < length; i++) into[i] = packed[rows[i]!]! / scale
}

/** One stable counting pass. False, with nothing moved, when all rows have the same digit. */
function scatter(
  keys: Uint32Array,
  rows: Uint32Array,
  nextKeys: Uint32Array,
  nextRows: Uint32Array,
  length: number,
  shift: number,
  mask: number,
  counts: Uint32Array,
): boolean {
  counts.fill(0, 0, mask + 1)
  for (let i = 0; i < length; i++) counts[(keys[i]! >>> shift) & mask]!++
  if (counts[(keys[0]! >>> shift) & mask] === length) return false
  for (let digit = 0, sum = 0; digit <= mask; digit++) {
    const count = counts[digit]!
    counts[digit] = sum
    sum += count
  }
  for (let i = 0; i < length; i++) {
    const key = keys[i]!
    const at = counts[(key >>> shift) & mask]!++
    nextKeys[at] = key
    nextRows[at] = rows[i]!
  }
  return true
}

function compareSort(
  series: Uint32Array,
  timeUs: Float64Array,
  length: number,
  order: RowOrder,
  ranks: Uint32Array,
  scratch: SortScratch,
): Uint32Array {
  const rows = identity(scratch.rowsA, length).subarray(0, length)
  const byTime = (a: number, b: number): number => timeUs[a]! - timeUs[b]!
  const byRank = (a: number, b: number): number => ranks[series[a]!]! - ranks[series[b]!]!
  if (order === 'series-time') return rows.sort((a, b) => byRank(a, b) || byTime(a, b))
  if (order === 'time-series') return rows.sort((a, b) => byTime(a, b) || byRank(a, b))
  return rows.sort((a, b) => byTime(b, a) || byRank(a, b))
}
