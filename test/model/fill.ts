/** Groups of an answer, and what `fill` makes of them. */
import { type Cell, exactly, zero } from './aggregates.ts'
import type { TimeBuckets } from './buckets.ts'
import type { Generator, Scalar } from './expressions.ts'

export interface Extent {
  readonly fromUs: number
  readonly toUs: number
}

export interface Group {
  readonly bucketUs: number | undefined
  readonly keys: readonly Scalar[]
  cells: readonly Cell[]
}

export type Fill = { readonly text: string; readonly lookbackUs?: number } & (
  | { readonly kind: 'none' | 'null' | 'linear' | 'previous' }
  | { readonly kind: 'constant'; readonly value: number }
)

export function fillOf(
  generate: Generator,
  hasBucket: boolean,
  hasFrom: boolean,
  allNumbers: boolean,
  stepUs: number,
): Fill {
  if (!hasBucket || generate.chance(0.5))
    return { kind: 'none', text: generate.chance(0.1) && hasBucket ? ' fill(none)' : '' }
  switch (generate.random.below(allNumbers ? 5 : 3)) {
    case 0:
      return { kind: 'null', text: ' fill(null)' }
    case 1:
      return { kind: 'previous', text: ' fill(previous)' }
    case 2: {
      if (!hasFrom) return { kind: 'previous', text: ' fill(previous)' }
      const lookbackUs = stepUs * generate.pick([1, 3, 10])
      return { kind: 'previous', lookbackUs, text: ` fill(previous, ${lookbackUs}us)` }
    }
    case 3:
      return { kind: 'linear', text: ' fill(linear)' }
    default:
      return { kind: 'constant', value: 7, text: ' fill(7)' }
  }
}

export const nameOf = ({ bucketUs, keys }: Pick<Group, 'bucketUs' | 'keys'>): string => `${bucketUs} ${keyName(keys)}`
const keyName = (keys: readonly Scalar[]): string =>
  keys.map(key => (typeof key === 'string' ? JSON.stringify(key) : String(zero(key)))).join(' ')

/** A row for every bucket of every group that has data in the range; what `having` dropped stays away. */
export function fillGroups(
  fill: Fill,
  bucket: TimeBuckets,
  { fromUs, toUs }: Extent,
  groups: readonly Group[],
  dropped: ReadonlySet<string>,
): Group[] | undefined {
  if (groups.length === 0) return []
  const starts = groups.map(group => group.bucketUs!)
  const firstUs = fromUs === -Infinity ? Math.min(...starts) : bucket.start(fromUs)
  const lastUs = toUs === Infinity ? Math.max(...starts) : bucket.start(toUs - 1)
  const all: number[] = []
  for (let startUs = firstUs; startUs <= lastUs; startUs = bucket.next(startUs)) {
    all.push(startUs)
    if (all.length > filledRowsMax) return undefined
  }
  const byKeys = Map.groupBy(groups, group => keyName(group.keys))
  const out: Group[] = []
  for (const own of byKeys.values()) {
    if (!own.some(group => group.bucketUs! >= firstUs && group.bucketUs! <= lastUs)) continue
    const { keys } = own[0]!
    const known = own[0]!.cells.map((_, i) => own.filter(group => group.cells[i]!.value !== null))
    for (const startUs of all) {
      if (dropped.has(nameOf({ bucketUs: startUs, keys }))) continue
      const here = own.find(group => group.bucketUs === startUs)
      const cells = known.map((groups, i) => {
        const cell = here?.cells[i]
        return cell === undefined || cell.value === null ? filledCell(fill, groups, i, startUs) : cell
      })
      out.push({ bucketUs: startUs, keys, cells })
    }
    if (out.length > filledRowsMax) return undefined
  }
  return out
}

const filledRowsMax = 3000

/** `known`: the groups with a value, by time. */
function filledCell(fill: Fill, known: readonly Group[], column: number, startUs: number): Cell {
  if (fill.kind === 'constant') return exactly(fill.value)
  const before = known.findLast(group => group.bucketUs! < startUs)
  if (fill.kind === 'null' || before === undefined) return exactly(null)
  if (fill.kind === 'previous')
    return startUs - before.bucketUs! > (fill.lookbackUs ?? Infinity) ? exactly(null) : before.cells[column]!
  const after = known.find(group => group.bucketUs! > startUs)
  if (after === undefined) return exactly(null)
  const [low, high] = [before.cells[column]!, after.cells[column]!]
  const share = (startUs - before.bucketUs!) / (after.bucketUs! - before.bucketUs!)
  const [a, b] = [low.value as number, high.value as number]
  return {
    value: a === b ? a : a + (b - a) * share,
    tolerance: low.tolerance + high.tolerance + 1e-12 * (Math.abs(a) + Math.abs(b)),
  }
}
