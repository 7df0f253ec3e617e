/**
 * Groups pieces that may hold rows of one (series, time): what must be read together to be merged.
 *
 *   time  ──────────────────────────>
 *   p0    [== any ==]                      {p0, p1}   p1 overlaps p0
 *   p1          [=== a ===]
 *   p2               [=== b ===]           {p2}       another series than p1, and p0 has ended
 *
 * Invariants:
 * 1. Two pieces are in one group if their time ranges (inclusive) intersect, their series may coincide and they are of
 *    different sources, directly or through other pieces.
 * 2. Pieces of a group keep their order, so that merging them in turn is merging in write order.
 * 3. Groups come by the time they begin.
 */
import type { Piece } from './types.ts'

export interface OverlapGroup {
  /** In write order. */
  readonly pieces: readonly Piece[]
  /** Inclusive, over all pieces. */
  readonly minTimeUs: number
  readonly maxTimeUs: number
}

/** A set of united pieces seen so far: one of them, and the latest end among those a new piece must be compared with. */
interface Reach {
  piece: number
  endUs: number
}

/** n log n for any number of pieces, series, sources and overlaps. */
export function overlapGroups(pieces: readonly Piece[]): OverlapGroup[] {
  const groups: OverlapGroup[] = []
  const rest: Piece[] = []
  const meets = foreignRanges(pieces)
  for (const piece of pieces) {
    if (meets(piece)) rest.push(piece)
    else groups.push({ pieces: [piece], minTimeUs: piece.minTimeUs, maxTimeUs: piece.maxTimeUs })
  }
  if (rest.length > 0) groups.push(...uniteOverlaps(rest))
  return groups.sort((a, b) => a.minTimeUs - b.minTimeUs)
}

/** Tells whether a piece's time intersects that of any source but its own. */
function foreignRanges(pieces: readonly Piece[]): (piece: Piece) => boolean {
  const ranges = new Map<object, { minTimeUs: number; maxTimeUs: number }>()
  for (const piece of pieces) {
    const source = piece.source ?? piece
    const range = ranges.get(source)
    if (range === undefined) ranges.set(source, { minTimeUs: piece.minTimeUs, maxTimeUs: piece.maxTimeUs })
    else {
      range.minTimeUs = Math.min(range.minTimeUs, piece.minTimeUs)
      range.maxTimeUs = Math.max(range.maxTimeUs, piece.maxTimeUs)
    }
  }
  // Ranges that intersect a piece are those that began by its end, less those that ended before it began. Its own
  // source's always does.
  const starts = Float64Array.from(ranges.values(), range => range.minTimeUs).sort()
  const ends = Float64Array.from(ranges.values(), range => range.maxTimeUs).sort()
  return piece => countBelow(starts, piece.maxTimeUs, true) - countBelow(ends, piece.minTimeUs, false) > 1
}

/** How many of the ascending values are below the limit, or equal to it where that counts. */
function countBelow(ascending: Float64Array, limit: number, orEqual: boolean): number {
  let low = 0
  let high = ascending.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const value = ascending[middle]!
    if (value < limit || (orEqual && value === limit)) low = middle + 1
    else high = middle
  }
  return low
}

/**
 * A sweep over the starts. It unites more than it must — pieces of one source too, through a third — which costs a merge
 * that finds nothing, never an answer.
 */
function uniteOverlaps(pieces: readonly Piece[]): OverlapGroup[] {
  const parent = Uint32Array.from(pieces, (_, i) => i)
  const root = (piece: number): number => {
    while (parent[piece] !== piece) piece = parent[piece] = parent[parent[piece]!]!
    return piece
  }
  const unite = (a: number, b: number): void => {
    parent[root(a)] = root(b)
  }
  const byStart = pieces.map((_, i) => i).sort((a, b) => pieces[a]!.minTimeUs - pieces[b]!.minTimeUs || a - b)

  // Pieces that contain one point in time and one series overlap each other, so per series the latest end stands for
  // all; the same goes for pieces of several series.
  const bySeries = new Map<number, Reach>()
  let several: Reach | undefined
  // What a piece of several series must be compared with. It unites all it meets, so one of them is left for the next.
  let open: Reach[] = []
  for (const index of byStart) {
    const { series, minTimeUs: startUs, maxTimeUs: endUs } = pieces[index]!
    if (several !== undefined && several.endUs >= startUs) unite(index, several.piece)
    if (series === undefined) {
      const met = open.filter(reach => reach.endUs >= startUs)
      for (const reach of met) unite(index, reach.piece)
      open = [{ piece: index, endUs: met.reduce((end, reach) => Math.max(end, reach.endUs), endUs) }]
      if (several === undefined || several.endUs < endUs) several = { piece: index, endUs }
      continue
    }
    const same = bySeries.get(series)
    if (same === undefined) bySeries.set(series, { piece: index, endUs })
    else {
      if (same.endUs >= startUs) unite(index, same.piece)
      if (same.endUs < endUs) bySeries.set(series, { piece: index, endUs })
    }
    open.push({ piece: index, endUs })
  }

  const members = new Map<number, number[]>()
  for (const index of byStart) {
    const list = members.get(root(index))
    if (list === undefined) members.set(root(index), [index])
    else list.push(index)
  }
  return [...members.values()].map(indexes => {
    const minTimeUs = pieces[indexes[0]!]!.minTimeUs
    const group = indexes.sort((a, b) => a - b).map(index => pieces[index]!)
    return {
      pieces: group,
      minTimeUs,
      maxTimeUs: group.reduce((end, piece) => Math.max(end, piece.maxTimeUs), -Infinity),
    }
  })
}
