/** A step of groups: what is read at its two moments, what it has found out, and what it tells. */
import { assert } from '../../../lib/assert.ts'
import type { TimeRange } from '../../../sydraql/plan.ts'
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

export function sightOf({ sources, range }: GroupInput, { version }: Moment, { catalog }: LiveContext): Sight {
  const horizonsUs = sources.map(({ scan }) => {
    const metric = catalog.metric(scan.metric)
    assert(metric !== undefined, `metric ${scan.metric} is known`)
    return version.horizonUs(metric)
  })
  const countsHorizons = sources.length === 1 && (version.rollupWidthsUs ?? []).length === 0
  return { horizonsUs, lowUs: countsHorizons ? Math.max(range.fromUs, horizonsUs[0]!) : range.fromUs, countsHorizons }
}

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
