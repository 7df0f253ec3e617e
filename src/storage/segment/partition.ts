/**
 * Time windows: what a segment's directory is named after, and which of them the rows of a flush go to. Each window that is
 * worth a file gets one, the rest goes together.
 *
 *   hours with 1 MiB or more -> a segment each; what is left of a day, if 1 MiB -> a segment; week; 4 weeks; of the
 *   remainder, an hour or else a day with half of it -> a segment; the rest -> one in the finest window that holds all of it
 *
 * So a decade backfilled in one go makes few files, a day's traffic one or two, and old data is dropped by whole files. Nor
 * do few late rows, or the end of a window, make one segment of what compaction wants in two.
 *
 * Invariants:
 * 1. Every row is in exactly one window, in the order it had. Hours are counted before the rows are sorted and merged.
 * 2. A flush makes at most `total / windowBytesMin + 2` segments.
 * 3. Sizes are estimates of encoded bytes: a few per value, text at its length.
 */
import type { RowBuffer } from '../row-buffer.ts'

export interface PartitionPolicy {
  /** Encoded bytes that make a window worth a segment of its own. */
  readonly windowBytesMin: number
}
export const defaultPartitionPolicy: PartitionPolicy = { windowBytesMin: 1024 * 1024 }

const hourUs = 3_600_000_000
const dayUs = 24 * hourUs
const weekUs = 7 * dayUs
/** Weeks begin on Mondays: 1970-01-05. */
const mondayUs = 4 * dayUs

export interface Level {
  readonly prefix: string
  readonly widthUs: number
  readonly originUs: number
  /** Characters of the ISO 8601 text that name a window. */
  readonly nameLength: number
}
export const hourLevel: Level = { prefix: 'h', widthUs: hourUs, originUs: 0, nameLength: 13 }
export const dayLevel: Level = { prefix: 'd', widthUs: dayUs, originUs: 0, nameLength: 10 }
export const weekLevel: Level = { prefix: 'w', widthUs: weekUs, originUs: mondayUs, nameLength: 10 }
const levels: readonly Level[] = [
  hourLevel,
  dayLevel,
  weekLevel,
  { prefix: '4w', widthUs: 4 * weekUs, originUs: mondayUs, nameLength: 10 },
]

/** Half-open. */
export interface TimeWindow {
  /** Directory under `segments/`. */
  readonly name: string
  readonly fromUs: number
  readonly toUs: number
}

export function windowAt(level: Level, timeUs: number): TimeWindow {
  const fromUs = startOf(level, timeUs)
  return { name: nameOf(level, fromUs), fromUs, toUs: fromUs + level.widthUs }
}

const allTime: TimeWindow = { name: 'all', fromUs: Number.NEGATIVE_INFINITY, toUs: Number.POSITIVE_INFINITY }

/** The finest window that holds both times. */
export function finestWindow(minTimeUs: number, maxTimeUs: number): TimeWindow {
  const level = levels.find(each => startOf(each, minTimeUs) === startOf(each, maxTimeUs))
  return level === undefined ? allTime : windowAt(level, minTimeUs)
}

export const startOf = ({ widthUs, originUs }: Level, timeUs: number): number =>
  Math.floor((timeUs - originUs) / widthUs) * widthUs + originUs

const nameOf = ({ prefix, nameLength }: Level, startUs: number): string =>
  `${prefix}-${new Date(startUs / 1000).toISOString().slice(0, nameLength)}`

/** Encoded bytes that the rows of each hour will take, by the hour's start. */
export class HourSizes {
  readonly bytes = new Map<number, number>()

  /** Counts rows of so many bytes each; their order only matters for speed. */
  add(timeUs: Float64Array, rows: number, rowBytes: number): void {
    forEachStretch(timeUs, rows, (startUs, from, to) =>
      this.bytes.set(startUs, (this.bytes.get(startUs) ?? 0) + (to - from) * rowBytes),
    )
  }
}

/** The windows of one flush. */
export interface WindowPlan {
  /** Directories under `segments/`: `h-2024-03-01T05`, `d-2024-03-01`, `w-2024-02-26`, `4w-2024-02-26`, `all`. */
  readonly names: readonly string[]
  /** Encoded bytes that each will about have. */
  readonly bytes: readonly number[]
  /** Indexes of the rows of each window, ascending; undefined where the window takes all of them. */
  split(rows: RowBuffer): readonly (Uint32Array | undefined)[]
}

/**
 * @example
 * const plan = planWindows(hours)
 * plan.split(rows).forEach((selection, i) => writers[i].rows(metric, rows, selection))
 */
export function planWindows(
  { bytes }: HourSizes,
  { windowBytesMin }: PartitionPolicy = defaultPartitionPolicy,
): WindowPlan {
  const windows = assignHours(bytes, windowBytesMin)
  const sizes = new Map<string, number>()
  for (const [hour, name] of windows) sizes.set(name, (sizes.get(name) ?? 0) + bytes.get(hour)!)
  const names = [...sizes.keys()]
  const split = names.length === 1 ? () => [undefined] : (rows: RowBuffer) => selectByWindow(rows, windows, names)
  return { names, bytes: [...sizes.values()], split }
}

/** Calls for each stretch of rows that lie in one hour. */
function forEachStretch(
  timeUs: Float64Array,
  length: number,
  visit: (hourStartUs: number, from: number, to: number) => void,
): void {
  for (let from = 0; from < length; ) {
    const startUs = startOf(levels[0]!, timeUs[from]!)
    const endUs = startUs + hourUs
    let to = from + 1
    while (to < length && timeUs[to]! >= startUs && timeUs[to]! < endUs) to++
    visit(startUs, from, to)
    from = to
  }
}

/** Encoded bytes that a row like these takes on average. */
export function encodedRowBytes(rows: RowBuffer): number {
  let bytes = 0
  for (let row = 0; row < rows.length; row++) {
    bytes += 0.25
    for (const { field, values, valid, nulls, dictionary } of rows.fields) {
      if (nulls && valid[row] === 0) continue
      if (field.type === 'boolean') bytes += 0.125
      else if (field.type === 'string') bytes += 1 + dictionary!.at(values[row]!).length / 4
      else bytes += 1.5
    }
  }
  return bytes / rows.length
}

/** Hour start -> name of the window its rows go to. */
function assignHours(hours: ReadonlyMap<number, number>, windowBytesMin: number): Map<number, string> {
  const assigned = new Map<number, string>()
  let left = [...hours.keys()].sort((a, b) => a - b)
  for (const level of levels) {
    const sizes = new Map<number, number>()
    for (const hour of left) {
      const start = startOf(level, hour)
      sizes.set(start, (sizes.get(start) ?? 0) + hours.get(hour)!)
    }
    left = left.filter(hour => {
      const start = startOf(level, hour)
      if (sizes.get(start)! < windowBytesMin) return true
      assigned.set(hour, nameOf(level, start))
      return false
    })
  }
  const most = mostOf(left, hours)
  if (most !== undefined) {
    for (const hour of most.of) assigned.set(hour, most.name)
    left = left.filter(hour => !assigned.has(hour))
  }
  if (left.length === 0) return assigned
  const { name } = finestWindow(left[0]!, left.at(-1)!)
  for (const hour of left) assigned.set(hour, name)
  return assigned
}

/** The hour, else the day, that has half of these hours' bytes or more; the latest of several. */
function mostOf(
  left: readonly number[],
  hours: ReadonlyMap<number, number>,
): { readonly name: string; readonly of: readonly number[] } | undefined {
  const sizeOf = (some: readonly number[]): number => some.reduce((sum, hour) => sum + hours.get(hour)!, 0)
  const half = sizeOf(left) / 2
  for (const level of [hourLevel, dayLevel]) {
    const found = [...Map.groupBy(left, hour => startOf(level, hour))].findLast(([, of]) => sizeOf(of) >= half)
    if (found !== undefined) return { name: nameOf(level, found[0]), of: found[1] }
  }
  return undefined
}

/** Row indexes by window, in the order of `names`. */
function selectByWindow(
  { timeUs, length }: RowBuffer,
  windows: ReadonlyMap<number, string>,
  names: readonly string[],
): Uint32Array[] {
  const indexes = new Map(names.map((name, i) => [name, i]))
  const windowOf = (hourStartUs: number): number => indexes.get(windows.get(hourStartUs)!)!
  const counts = new Uint32Array(names.length)
  forEachStretch(timeUs, length, (hour, from, to) => {
    counts[windowOf(hour)]! += to - from
  })
  const selections = names.map((_, window) => new Uint32Array(counts[window]!))
  counts.fill(0)
  forEachStretch(timeUs, length, (hour, from, to) => {
    const window = windowOf(hour)
    const selection = selections[window]!
    for (let row = from, at = counts[window]!; row < to; row++, at++) selection[at] = row
    counts[window]! += to - from
  })
  return selections
}
