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
import { sortPermutation } from './sort-permutation.ts'
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
  if (rest.length > 0) groups.push(...(rest.every(knowsSeries) ? uniteBySeries(rest) : uniteOverlaps(rest)))
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

const knowsSeries = (piece: Piece): boolean => piece.series !== undefined || piece.seriesRanges !== undefined

/** Looks at each series' own time ranges: exact, so that neighbouring flushes, which share a moment, stay apart. */
function uniteBySeries(pieces: readonly Piece[]): OverlapGroup[] {
  const ranges = pieces.map(piece => (piece.series === undefined ? piece.seriesRanges!() : undefined))
  const length = ranges.reduce((sum, range) => sum + (range?.series.length ?? 1), 0)
  const series = new Uint32Array(length)
  const minTimeUs = new Float64Array(length)
  const maxTimeUs = new Float64Array(length)
  const owner = new Uint32Array(length)
  let at = 0
  for (const [index, piece] of pieces.entries()) {
    const range = ranges[index]
    const end = at + (range?.series.length ?? 1)
    if (range === undefined) {
      series[at] = piece.series!
      minTimeUs[at] = piece.minTimeUs
      maxTimeUs[at] = piece.maxTimeUs
    } else {
      series.set(range.series, at)
      minTimeUs.set(range.minTimeUs, at)
      maxTimeUs.set(range.maxTimeUs, at)
    }
    owner.fill(index, at, end)
    at = end
  }
  const sets = unionFind(pieces.length)
  const highest = series.reduce((max, one) => Math.max(max, one), 0)
  const ranks = Uint32Array.from({ length: highest + 1 }, (_, ordinal) => ordinal)
  const order = sortPermutation(series, minTimeUs, length, 'series-time', ranks)
  let lastSeries = -1
  let reachUs = 0
  let reachOwner = 0
  for (let i = 0; i < length; i++) {
    const run = order === undefined ? i : order[i]!
    if (series[run] === lastSeries && minTimeUs[run]! <= reachUs) sets.unite(owner[run]!, reachOwner)
    if (series[run] !== lastSeries || maxTimeUs[run]! > reachUs) {
      reachUs = maxTimeUs[run]!
      reachOwner = owner[run]!
    }
    lastSeries = series[run]!
  }
  return sets.groups(pieces)
}

/**
 * A sweep over the starts. It unites more than it must — pieces of one source too, through a third — which costs a merge
 * that finds nothing, never an answer.
 */
function uniteOverlaps(pieces: readonly Piece[]): OverlapGroup[] {
  const { unite, groups } = unionFind(pieces.length)
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

  return groups(pieces)
}

interface UnionFind {
  unite(a: number, b: number): void
  groups(pieces: readonly Piece[]): OverlapGroup[]
}

function unionFind(length: number): UnionFind {
  const parent = Uint32Array.from({ length }, (_, i) => i)
  const root = (piece: number): number => {
    while (parent[piece] !== piece) piece = parent[piece] = parent[parent[piece]!]!
    return piece
  }
  return {
    unite(a, b) {
      parent[root(a)] = root(b)
    },
    groups(pieces) {
      const members = new Map<number, Piece[]>()
      for (const [index, piece] of pieces.entries()) {
        const list = members.get(root(index))
        if (list === undefined) members.set(root(index), [piece])
        else list.push(piece)
      }
      return [...members.values()].map(group => ({
        pieces: group,
        minTimeUs: group.reduce((start, piece) => Math.min(start, piece.minTimeUs), Infinity),
        maxTimeUs: group.reduce((end, piece) => Math.max(end, piece.maxTimeUs), -Infinity),
      }))
    },
  }
}
