/**
 * Which buckets answer for which rows of a request.
 *
 *   range          |----------------------------------|
 *   1d                    [==========)                     the coarsest width first: its whole buckets
 *   1h                [===)          [======)              then finer ones at what is left
 *   rows           [==)                     [=========]    and rows at the rest
 *   late rows                                  xx          no bucket that other rows of its series may fall into
 *
 * Invariants:
 * 1. Each row of the request, merged and with deletes, is counted once: by a bucket or as a row that is left to read.
 * 2. A bucket is used only when no row of another source, memtables included, may merge with one of its rows, when no delete
 *    since the merge cuts it, and when the request's range holds all of it.
 * 3. Where rows are expired, buckets that are kept longer stand for them; a bucket that the horizon cuts, too, for the rows
 *    after it.
 */
import { overlapGroups } from '../overlap.ts'
import type { Piece, ReadRequest } from '../types.ts'
import { ceilTo, clipped, floorTo, type Spans, spanOf, union, wholeBuckets, without } from './spans.ts'
import type { RolledUp, Rollup, RollupView } from './view.ts'
import { coarsestWidthUs } from './widths.ts'

/** Buckets of one rollup that answer. */
export interface RollupPart {
  readonly rollup: Rollup
  /** Of the starts of buckets. */
  readonly spans: Spans
}

export interface RollupChoice {
  readonly parts: readonly RollupPart[]
  /** What must be read as rows, in write order. */
  readonly pieces: readonly Piece[]
}

export interface Wanted {
  readonly request: ReadRequest
  /** Of the request: in write order. */
  readonly pieces: readonly Piece[]
  /** Whether buckets of this width fall into one bucket of the query each. */
  isUsable(widthUs: number): boolean
  /** Whether a piece that overlaps no other is answered without being read. */
  isKnown(piece: Piece): boolean
  /** Only what stands for expired rows. */
  readonly expiredOnly: boolean
}

/** undefined: rollups answer nothing. */
export function chooseRollups(view: RollupView, wanted: Wanted): RollupChoice | undefined {
  const { pieces, expiredOnly } = wanted
  const parts: RollupPart[] = []
  /** What is left to read of sources that rollups answer for. */
  const left = new Map<object, Spans>()
  const foreign = foreignSpans(pieces, view)
  const bySource = Map.groupBy(pieces, piece => piece.source)
  for (const segment of view.segments) {
    const { source } = segment
    const own = (source && bySource.get(source)) ?? []
    const others = clipped((source && foreign.get(source)) ?? [], view.rowsFromUs, Infinity)
    const outlives = segment.rollups.some(rollup => rollup.fromUs < view.rowsFromUs)
    if (expiredOnly && !outlives) continue
    if (own.length > 0 && others.length === 0 && !outlives && own.every(piece => wanted.isKnown(piece))) continue
    const chosen = chooseFor(segment, own, view, wanted, others)
    if (chosen.parts.length === 0) continue
    parts.push(...chosen.parts)
    if (source !== undefined) left.set(source, chosen.rows)
  }
  if (parts.length === 0) return undefined
  const rest = pieces.flatMap(piece => {
    const spans = piece.source === undefined ? undefined : left.get(piece.source)
    return spans === undefined ? [piece] : restricted(piece, spans)
  })
  return { parts, pieces: rest }
}

function chooseFor(
  { rollups, cuts }: RolledUp,
  own: readonly Piece[],
  { rowsFromUs }: RollupView,
  { request, isUsable, expiredOnly }: Wanted,
  foreign: Spans,
): { parts: RollupPart[]; rows: Spans } {
  const fromUs = Math.max(rowsFromUs, request.fromUs)
  // Of expired rows there are no pieces; of others, those say where rows are.
  const last = own.reduce((max, piece) => Math.max(max, piece.maxTimeUs), -Infinity)
  const parts: RollupPart[] = []
  // Where only rollups are left, up to the bucket that the horizon cuts.
  const hasRows = own.length > 0 && !expiredOnly
  const endUs = ceilTo(hasRows ? last + 1 : rowsFromUs, coarsestWidthUs)
  let left = without(spanOf(-Infinity, Math.min(request.toUs, endUs)), foreign)
  for (const rollup of rollups.toSorted((a, b) => b.widthUs - a.widthUs)) {
    const { widthUs } = rollup
    if (!isUsable(widthUs)) continue
    const holes = union(cuts.flatMap(timeUs => spanOf(floorTo(timeUs, widthUs), ceilTo(timeUs, widthUs))))
    const shownUs = Math.max(request.fromUs, Math.min(rollup.fromUs, fromUs), rollup.minTimeUs)
    const toUs = Math.min(rollup.maxTimeUs + widthUs, hasRows ? Infinity : ceilTo(rowsFromUs, widthUs))
    const candidates = clipped(left, shownUs, toUs)
    const spans = wholeBuckets(without(candidates, holes), widthUs)
    if (spans.length === 0) continue
    parts.push({ rollup, spans })
    left = without(left, spans)
  }
  const answered = union(parts.flatMap(({ spans }) => spans))
  return { parts, rows: without(spanOf(fromUs, request.toUs), answered) }
}

/** Where other sources may have rows that merge with those of a source that is rolled up. */
function foreignSpans(pieces: readonly Piece[], { segments }: RollupView): Map<object, Spans> {
  const rolledUp = new Set(segments.map(({ source }) => source))
  const found = new Map<object, { fromUs: number; toUs: number }[]>()
  for (const group of overlapGroups(pieces)) {
    if (group.pieces.length === 1) continue
    const sources = new Set(group.pieces.map(({ source }) => source).filter(source => rolledUp.has(source)))
    for (const source of sources) {
      if (source === undefined) continue
      const spans = found.get(source) ?? []
      found.set(source, spans)
      for (const piece of group.pieces) if (piece.source !== source) for (const span of spansOf(piece)) spans.push(span)
    }
  }
  return new Map([...found].map(([source, spans]) => [source, union(spans)]))
}

function spansOf(piece: Piece): Spans {
  if (piece.series !== undefined || piece.seriesRanges === undefined)
    return spanOf(piece.minTimeUs, piece.maxTimeUs + 1)
  const { series, minTimeUs, maxTimeUs } = piece.seriesRanges()
  return union(Array.from(series, (_, i) => ({ fromUs: minTimeUs[i]!, toUs: maxTimeUs[i]! + 1 })))
}

/** The parts of a piece within the spans. */
function restricted(piece: Piece, spans: Spans): Piece[] {
  const { minTimeUs, maxTimeUs } = piece
  return clipped(spans, minTimeUs, maxTimeUs + 1).map(({ fromUs, toUs }) =>
    fromUs === minTimeUs && toUs === maxTimeUs + 1 ? piece : partOf(piece, fromUs, toUs),
  )
}

function partOf(piece: Piece, fromUs: number, toUs: number): Piece {
  const { rows, series, source } = piece
  return {
    rows,
    minTimeUs: fromUs,
    maxTimeUs: toUs - 1,
    series,
    source,
    ...(piece.seriesRanges === undefined ? {} : { seriesRanges: () => rangesWithin(piece, fromUs, toUs) }),
    whole: false,
    statistics: () => undefined,
    read: (from, to, into, bounds) => piece.read(Math.max(from, fromUs), Math.min(to, toUs), into, bounds),
  }
}

function rangesWithin(piece: Piece, fromUs: number, toUs: number): ReturnType<NonNullable<Piece['seriesRanges']>> {
  const { series, minTimeUs, maxTimeUs } = piece.seriesRanges!()
  const within: number[] = []
  for (let i = 0; i < series.length; i++) if (minTimeUs[i]! < toUs && maxTimeUs[i]! >= fromUs) within.push(i)
  return {
    series: Uint32Array.from(within, i => series[i]!),
    minTimeUs: Float64Array.from(within, i => Math.max(minTimeUs[i]!, fromUs)),
    maxTimeUs: Float64Array.from(within, i => Math.min(maxTimeUs[i]!, toUs - 1)),
  }
}
