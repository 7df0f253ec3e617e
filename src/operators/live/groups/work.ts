/** A step of groups: what is read at its two moments, what it has found out, and what it tells. */
import { assert } from '../../../lib/assert.ts'
import { newReadStatistics } from '../../../storage/read-statistics.ts'
import { coarsestWidthUs } from '../../../storage/rollup/widths.ts'
import type { MetricInfo } from '../../../storage/types.ts'
import type { TimeRange } from '../../../sydraql/plan.ts'
import { everything } from '../../../sydraql/time-range.ts'
import type { BoundReaders } from '../readers.ts'
import { sameButRanges } from '../same-plan.ts'
import type { Scope } from '../scope.ts'
import type { LiveContext, Moment, Step } from '../types.ts'
import { GroupChanges } from './cell.ts'
import type { GroupInput } from './input.ts'

/** Where the rows begin that are seen at a moment. */
export interface Sight {
  /** Rows of each source with a lower time are expired. */
  readonly horizonsUs: readonly number[]
  /**
   * No row is earlier. Where rollups may stand for what is expired, or metrics have horizons of their own, these do not count.
   */
  readonly lowUs: number
  readonly countsHorizons: boolean
}

export interface Work extends Step {
  readonly inputBefore: GroupInput
  readonly inputAfter: GroupInput
  readonly seenBefore: Sight
  readonly seenAfter: Sight
  readonly bound: BoundReaders
  readonly changes: GroupChanges
  /** What has been told by rows before and after. */
  readonly settled: TimeRange[]
  /** Rows that are not to be added as they come in commits. */
  readonly scopes: Scope[]
  /** By cell, series whose groups have to be made again. */
  readonly changed: Map<number, { readonly range: TimeRange; readonly series: Set<number> }>
}

export const workOf = (
  step: Step,
  reads: Pick<Work, 'inputBefore' | 'inputAfter' | 'seenBefore' | 'seenAfter' | 'bound'>,
): Work => ({ ...step, ...reads, changes: new GroupChanges(), settled: [], scopes: [], changed: new Map() })

const metricOf = (name: string, { catalog }: LiveContext): MetricInfo => {
  const metric = catalog.metric(name)
  assert(metric !== undefined, `metric ${name} is known`)
  return metric
}

export function sightOf({ sources, range }: GroupInput, { version }: Moment, context: LiveContext): Sight {
  const horizonsUs = sources.map(({ scan }) => version.horizonUs(metricOf(scan.metric, context)))
  const [horizonUs] = horizonsUs as [number]
  const hasRollups = (version.rollupWidthsUs ?? []).length > 0
  const countsHorizons = sources.length === 1 && (!hasRollups || horizonUs === -Infinity)
  return { horizonsUs, lowUs: countsHorizons ? Math.max(range.fromUs, horizonUs) : range.fromUs, countsHorizons }
}

/** Whether buckets of rollups may stand for rows there. */
export const mayBeRolledUp = ({ countsHorizons, horizonsUs }: Sight, fromUs: number): boolean =>
  !countsHorizons && horizonsUs.some(horizonUs => fromUs < horizonUs + coarsestWidthUs)

export const sameSight = (a: Sight, b: Sight): boolean =>
  a.countsHorizons === b.countsHorizons && a.horizonsUs.every((horizonUs, i) => horizonUs === b.horizonsUs[i])

/** Rows came at the ends of their series, and nothing else has happened. */
export function isQuiet({ inputBefore: a, inputAfter: b, seenBefore, seenAfter, rows, deletes }: Work): boolean {
  for (const { late } of rows) if (late !== undefined) return false
  if (deletes.length > 0 || !sameSight(seenBefore, seenAfter)) return false
  if (a === b) return true
  return (
    seenBefore.lowUs === seenAfter.lowUs && a.range.toUs === b.range.toUs && sameButRanges(a.aggregate, b.aggregate)
  )
}

/** What expired, where horizons are not a lower bound: of rows, and of the buckets that stand for them. */
export function scopesOfExpiry({ before, after, ...work }: Work, context: LiveContext): Scope[] {
  return work.inputAfter.sources.flatMap(({ scan: { metric: name } }, i) => {
    if (work.seenBefore.horizonsUs[i] === work.seenAfter.horizonsUs[i]) return []
    const metric = metricOf(name, context)
    const [was, is] = [shownFromOf(metric, before), shownFromOf(metric, after)]
    // A bucket of a rollup is shown or not as a whole, and where it is not, finer ones may be.
    return Array.from(is, ([widthUs, toUs]): Scope => {
      const fromUs = was.get(widthUs) ?? toUs
      return { metric: name, fromUs: fromUs - coarsestWidthUs, toUs: toUs + coarsestWidthUs, series: undefined }
    })
  })
}

/** By the width of buckets, 0 for rows: nothing earlier is shown. */
function shownFromOf(metric: MetricInfo, { version }: Moment): Map<number, number> {
  const shown = new Map([[0, version.horizonUs(metric)]])
  const statistics = newReadStatistics()
  const view = version.rollups?.({ metric, fields: [], ...everything, series: undefined, statistics })
  for (const { rollups } of view?.segments ?? []) for (const { widthUs, fromUs } of rollups) shown.set(widthUs, fromUs)
  return shown
}
