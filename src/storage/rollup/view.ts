/**
 * What a version shows of its rollups: those that are open and hold the metric, by the segment whose rows they summarise.
 *
 * Invariants:
 * 1. A rollup that is missing or quarantined is not among them: rows answer then.
 * 2. Buckets that deletes since the merge covered are dropped when they are read. `cuts` are the times where a delete
 *    begins or ends: a bucket around one says too much, and nobody can say what it should.
 */
import { maskedPieces } from '../tombstones/mask.ts'
import type { MetricTombstones } from '../tombstones/tombstones.ts'
import type { Lsn, Piece, ReadRequest, SegmentMeta } from '../types.ts'

/** A rollup of one width. */
export interface Rollup {
  readonly widthUs: number
  /** Starts of its buckets, of any metric: inclusive. */
  readonly minTimeUs: number
  readonly maxTimeUs: number
  /** Buckets that begin earlier are not shown. */
  readonly fromUs: number
  /** Buckets as rows: the request's fields are columns of the rollup, its times those of buckets' starts. */
  pieces(request: ReadRequest): Piece[]
}

export interface RolledUp {
  /** Of the pieces whose rows they summarise; undefined when those rows are gone. */
  readonly source: object | undefined
  readonly rollups: readonly Rollup[]
  readonly cuts: readonly number[]
}

export interface RollupView {
  /** Rows with a lower time are expired: where a rollup shows more, it stands for them. */
  readonly rowsFromUs: number
  readonly segments: readonly RolledUp[]
}

/** A segment as rollups need it. */
export interface RollupSegment {
  readonly meta: SegmentMeta
  readonly source: object
  holds(request: ReadRequest): boolean
  pieces(request: ReadRequest): Piece[]
}

export interface Horizons {
  readonly rowsFromUs: number
  /** Infinity: rollups of this width are not kept longer than rows. */
  rollupsFromUs(widthUs: number): number
}

/** Up to which LSN deletes have been applied to a segment. */
type DeletesLsn = (meta: SegmentMeta) => Lsn

export function rollupView(
  segments: readonly RollupSegment[],
  request: ReadRequest,
  tombstones: MetricTombstones | undefined,
  deletesLsnOf: DeletesLsn,
  { rowsFromUs, rollupsFromUs }: Horizons,
): RollupView {
  const byRows = new Map<string, RollupSegment[]>()
  const rows = new Map<string, RollupSegment>()
  for (const segment of segments) {
    const { id, rollup, minTimeUs, maxTimeUs } = segment.meta
    if (rollup === undefined) {
      rows.set(id, segment)
      continue
    }
    if (minTimeUs >= request.toUs || maxTimeUs + rollup.widthUs <= request.fromUs) continue
    const list = byRows.get(rollup.of)
    if (list === undefined) byRows.set(rollup.of, [segment])
    else list.push(segment)
  }
  const found: RolledUp[] = []
  for (const [of, candidates] of byRows) {
    const source = rows.get(of)?.source
    const own = candidates.filter(segment => segment.holds(request))
    if (own.length === 0) continue
    const deletesLsn = deletesLsnOf(own[0]!.meta)
    const rollups = own.map((segment): Rollup => {
      const { rollup, minTimeUs, maxTimeUs } = segment.meta
      const { widthUs } = rollup!
      const keptFromUs = rollupsFromUs(widthUs)
      return {
        widthUs,
        minTimeUs,
        maxTimeUs,
        fromUs: Math.min(keptFromUs, rowsFromUs),
        pieces: wanted => maskedPieces(segment.pieces(wanted), tombstones, deletesLsnOf(segment.meta)),
      }
    })
    // One by one: merged, a delete of one series would hide where that of another ends.
    const cuts = (tombstones?.list ?? []).filter(({ lsn }) => lsn > deletesLsn).flatMap(ends)
    found.push({ source, rollups, cuts })
  }
  return { rowsFromUs, segments: found }
}

const ends = ({ fromUs, toUs }: { fromUs: number; toUs: number }): number[] => [fromUs, toUs].filter(Number.isFinite)
