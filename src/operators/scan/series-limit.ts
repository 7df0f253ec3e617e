/**
 * Counts rows of each series, so that a scan gives the first so many of each and knows when it has them all.
 *
 *   rows in the order wanted  a b a a c b     limit 2  ->  a b a c b     (the third a is left out)
 *
 * Invariants:
 * 1. Rows come in the order of which the first are wanted; a row taken stays taken.
 * 2. `open()` is how many series may still give rows; at 0 nothing further need be read.
 */

export interface SeriesLimit {
  /** The rows to keep of a batch, `series` by row; the array is overwritten by the next call. */
  take(series: Uint32Array, selection: Uint32Array | undefined, length: number): Uint32Array
  /** The same where only rows of `counted` (undefined: all) count; rows before a series has its number come too. */
  takeUntil(series: Uint32Array, counted: Uint32Array | undefined, length: number): Uint32Array
  open(): number
  /** How many there are. */
  readonly all: number
  hasAll(ordinal: number): boolean
  /** Ordinals of series that may still give rows, ascending. */
  openOrdinals(): Uint32Array
}

/** `ordinals`: the series of the scan, ascending. */
export function seriesLimit(limit: number, ordinals: Uint32Array): SeriesLimit {
  const first = ordinals[0] ?? 0
  const taken = new Uint32Array((ordinals.at(-1) ?? 0) - first + 1)
  let kept = new Uint32Array(0)
  let open = limit === 0 ? 0 : ordinals.length
  const room = (rows: number): Uint32Array => (kept.length < rows ? (kept = new Uint32Array(rows)) : kept)
  return {
    take(series, selection, length) {
      const count = selection?.length ?? length
      const kept = room(count)
      let rows = 0
      for (let k = 0; k < count; k++) {
        const row = selection === undefined ? k : selection[k]!
        const index = series[row]! - first
        const known = taken[index]!
        if (known === limit) continue
        taken[index] = known + 1
        if (known + 1 === limit) open--
        kept[rows++] = row
      }
      return kept.subarray(0, rows)
    },
    takeUntil(series, counted, length) {
      const kept = room(length)
      let rows = 0
      let next = 0
      for (let row = 0; row < length; row++) {
        const counts = counted === undefined || counted[next] === row
        if (counts) next++
        const index = series[row]! - first
        const known = taken[index]!
        if (known === limit) continue
        kept[rows++] = row
        if (!counts) continue
        taken[index] = known + 1
        if (known + 1 === limit) open--
      }
      return kept.subarray(0, rows)
    },
    all: ordinals.length,
    open: () => open,
    hasAll: ordinal => taken[ordinal - first] === limit,
    openOrdinals: () => ordinals.filter(ordinal => taken[ordinal - first]! < limit),
  }
}
