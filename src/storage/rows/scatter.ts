/**
 * The loops that move staged rows into columns: one function for each type, so that each is compiled for one.
 *
 *   all      into[i] = source[at + i * step]          rows of one layout
 *   picked   into[i] = source[of row rows[at + i]]    the rows of a metric, one layout
 *   spread   into[place[row]] = …                     the rows of one layout of several that a metric has
 *
 * `rows` are numbers of staged rows; a row's values begin at `firstValues[row]`.
 */

/** Where a layout's rows are and where their values go: `place` is undefined where they go one after the other. */
export interface Picked {
  readonly rows: Uint32Array
  readonly at: number
  readonly count: number
  /** By row. */
  readonly place: Uint32Array | undefined
}

export function allFloats(values: Float64Array, at: number, step: number, into: Float64Array): void {
  if (step === 1) into.set(values.subarray(at, at + into.length))
  else for (let i = 0; i < into.length; i++, at += step) into[i] = values[at]!
}

export function allFlags(values: Float64Array, at: number, step: number, into: Uint8Array): void {
  for (let i = 0; i < into.length; i++, at += step) into[i] = values[at]!
}

/** `into[i] = meaning[templates[at + i]]`. */
export function allMeanings(meaning: Uint32Array, templates: Uint32Array, at: number, into: Uint32Array): void {
  for (let i = 0; i < into.length; i++) into[i] = meaning[templates[at + i]!]!
}

export function pickTimes(times: Float64Array, { rows, at, count, place }: Picked, into: Float64Array): void {
  if (place === undefined) for (let i = 0; i < count; i++) into[i] = times[rows[at + i]!]!
  else for (let i = 0; i < count; i++) into[place[rows[at + i]!]!] = times[rows[at + i]!]!
}

export function pickMeanings(
  meaning: Uint32Array,
  templates: Uint32Array,
  { rows, at, count, place }: Picked,
  into: Uint32Array,
): void {
  if (place === undefined) for (let i = 0; i < count; i++) into[i] = meaning[templates[rows[at + i]!]!]!
  else for (let i = 0; i < count; i++) into[place[rows[at + i]!]!] = meaning[templates[rows[at + i]!]!]!
}

export function pickFloats(
  values: Float64Array,
  firstValues: Uint32Array,
  slot: number,
  { rows, at, count, place }: Picked,
  into: Float64Array,
): void {
  if (place === undefined) for (let i = 0; i < count; i++) into[i] = values[firstValues[rows[at + i]!]! + slot]!
  else for (let i = 0; i < count; i++) into[place[rows[at + i]!]!] = values[firstValues[rows[at + i]!]! + slot]!
}

export function pickFlags(
  values: Float64Array,
  firstValues: Uint32Array,
  slot: number,
  { rows, at, count, place }: Picked,
  into: Uint8Array,
): void {
  if (place === undefined) for (let i = 0; i < count; i++) into[i] = values[firstValues[rows[at + i]!]! + slot]!
  else for (let i = 0; i < count; i++) into[place[rows[at + i]!]!] = values[firstValues[rows[at + i]!]! + slot]!
}

// Four rows a turn. Short loops would be inlined into methods that run once a batch, too seldom for the optimising compiler, and
// take three times as long there.

/** The first row from `from` on, before `to`, whose layout has no group (0 in `groupOfLayout`); notes the others' groups. */
export function groupRows(
  templates: Uint32Array,
  base: number,
  from: number,
  to: number,
  layoutIds: Uint32Array,
  groupOfLayout: Uint32Array,
  groupOf: Uint32Array,
  counts: Uint32Array,
): number {
  let row = from
  for (; row + 4 <= to; row += 4) {
    const at = base + row
    const a = groupOfLayout[layoutIds[templates[at]!]!]!
    const b = groupOfLayout[layoutIds[templates[at + 1]!]!]!
    const c = groupOfLayout[layoutIds[templates[at + 2]!]!]!
    const d = groupOfLayout[layoutIds[templates[at + 3]!]!]!
    if (a === 0 || b === 0 || c === 0 || d === 0) break
    groupOf[row] = a - 1
    groupOf[row + 1] = b - 1
    groupOf[row + 2] = c - 1
    groupOf[row + 3] = d - 1
    counts[a - 1]!++
    counts[b - 1]!++
    counts[c - 1]!++
    counts[d - 1]!++
  }
  for (; row < to; row++) {
    const group = groupOfLayout[layoutIds[templates[base + row]!]!]!
    if (group === 0) break
    groupOf[row] = group - 1
    counts[group - 1]!++
  }
  return row
}

/** Counting sort, stable: the numbers of the rows by group; `cursors[g]` is where group g begins. */
export function orderByGroup(
  groupOf: Uint32Array,
  count: number,
  base: number,
  cursors: Uint32Array,
  order: Uint32Array,
): void {
  const whole = count & ~3
  let i = 0
  for (; i < whole; i += 4) {
    order[cursors[groupOf[i]!]!++] = base + i
    order[cursors[groupOf[i + 1]!]!++] = base + i + 1
    order[cursors[groupOf[i + 2]!]!++] = base + i + 2
    order[cursors[groupOf[i + 3]!]!++] = base + i + 3
  }
  for (; i < count; i++) order[cursors[groupOf[i]!]!++] = base + i
}
