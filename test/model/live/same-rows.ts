/** Rows that are the same but for their order and the rounding of sums. */
import type { Value } from '../../../src/types.ts'

export type Row = readonly Value[]

/** Sums over all that a run has written: bounds of what rounding may do to any part of it. */
export interface Magnitude {
  /** Σ|x| */
  readonly sum: number
  /** Σx² */
  readonly squares: number
}

type Exactness = 'exact' | 'rounded' | 'squared'
const exactnessOf = (name: string): Exactness =>
  name.endsWith('_r') ? 'rounded' : name.endsWith('_q') ? 'squared' : 'exact'

/** undefined: they are the same; else what is not. `names` tell how exact their columns are (see shape.ts). */
export function rowsDiffer(
  found: readonly Row[],
  wanted: readonly Row[],
  names: readonly string[],
  magnitude: Magnitude,
): string | undefined {
  const exactness = names.map(exactnessOf)
  const groups = new Map<string, { readonly found: Row[]; readonly wanted: Row[] }>()
  const collect = (rows: readonly Row[], side: 'found' | 'wanted'): void => {
    for (const row of rows) {
      const text = rowText(row.filter((_, column) => exactness[column] === 'exact'))
      let group = groups.get(text)
      if (group === undefined) groups.set(text, (group = { found: [], wanted: [] }))
      group[side].push(row)
    }
  }
  collect(found, 'found')
  collect(wanted, 'wanted')
  const problems: string[] = []
  for (const group of groups.values()) {
    const [have, want] = [sorted(group.found, exactness), sorted(group.wanted, exactness)]
    for (let k = 0; k < Math.max(have.length, want.length); k++) {
      const isSame =
        have[k] !== undefined &&
        want[k] !== undefined &&
        exactness.every((kind, column) => isClose(have[k]![column]!, want[k]![column]!, kind, magnitude))
      if (!isSame) problems.push(`${shown(have[k])} instead of ${shown(want[k])}`)
    }
  }
  if (problems.length === 0) return undefined
  const more = problems.length > 5 ? `\n  and ${problems.length - 5} more` : ''
  return `${found.length} rows instead of ${wanted.length} (${names.join(', ')})\n  ${problems.slice(0, 5).join('\n  ')}${more}`
}

/** undefined: each row found is one of those; else the first that is none. */
export function strangeRow(
  found: readonly Row[],
  all: readonly Row[],
  names: readonly string[],
  magnitude: Magnitude,
): string | undefined {
  const exactness = names.map(exactnessOf)
  const exactText = (row: Row): string => rowText(row.filter((_, column) => exactness[column] === 'exact'))
  const left = Map.groupBy(all, exactText)
  const take = (row: Row, isIt: (candidate: Row) => boolean): boolean => {
    const candidates = left.get(exactText(row)) ?? []
    const place = candidates.findIndex(isIt)
    if (place >= 0) candidates.splice(place, 1)
    return place >= 0
  }
  // Those that are the same to the bit find each other first: rounding may reach over several rows.
  const inexact = found.filter(row => !take(row, candidate => rowText(candidate) === rowText(row)))
  const isNear = (a: Row, b: Row): boolean =>
    exactness.every((kind, column) => isClose(a[column]!, b[column]!, kind, magnitude))
  const strange = inexact.find(row => !take(row, candidate => isNear(row, candidate)))
  if (strange === undefined) return undefined
  const others = left.get(exactText(strange)) ?? []
  return `a row that is not there: ${shown(strange)}; there are ${others.map(shown).join(', ') || 'none'}`
}

const shown = (row: Row | undefined): string => (row === undefined ? 'nothing' : `[${row.map(valueText).join(', ')}]`)

/** Equal where rows are, as the language compares values. */
export const rowText = (row: Row): string => row.map(valueText).join(',')

function valueText(value: Value): string {
  if (typeof value === 'string') return JSON.stringify(value)
  return String(value === 0 ? 0 : value)
}

/** Nulls first, NaN last. */
const compareRounded = (a: Value, b: Value): number => {
  const kind = (value: Value): number => (value === null ? 0 : Number.isNaN(value) ? 2 : 1)
  const [x, y] = [Number(a), Number(b)]
  return kind(a) - kind(b) || (x < y ? -1 : x > y ? 1 : 0)
}

function sorted(rows: readonly Row[], exactness: readonly Exactness[]): readonly Row[] {
  if (rows.length < 2) return rows
  return rows.toSorted((a, b) => {
    for (const [column, kind] of exactness.entries()) {
      const order = kind === 'exact' ? 0 : compareRounded(a[column]!, b[column]!)
      if (order !== 0) return order
    }
    return 0
  })
}

const roundingShare = 1e-12

function isClose(a: Value, b: Value, kind: Exactness, { sum, squares }: Magnitude): boolean {
  if (a === b || Object.is(a, b)) return true
  if (kind === 'exact' || typeof a !== 'number' || typeof b !== 'number') return false
  if (Math.abs(a - b) <= roundingShare * (sum + Math.abs(a) + Math.abs(b))) return true
  // of a standard deviation it is the square that is a sum
  return kind === 'squared' && Math.min(Math.abs(a - b), Math.abs(a * a - b * b)) <= roundingShare * squares
}
