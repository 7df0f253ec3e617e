/**
 * The frontier: how far in time each series has come, which tells rows that only lengthen their series from all others.
 *
 *   series  ordinal  0      1      2      3 …
 *   times            12:07  12:05  -∞     12:07      a row at 12:06 of series 0 is late, one of series 1 is not
 *
 * Invariants:
 * 1. No row of a followed metric that a version of now shows has a time above its series' entry. The entry may be too late:
 *    rows are then taken for late that are not, which costs work and never an answer.
 * 2. Following a metric reads bounds of its pieces, at most `piecesReadMax` of them: the newest. All older ones stand as one.
 * 3. Deletes and expiry leave entries as they are.
 */

import type { CatalogReader } from '../../storage/catalog/types.ts'
import { newReadStatistics } from '../../storage/read-statistics.ts'
import type { MetricInfo, MetricRows, Piece, Version } from '../../storage/types.ts'

const piecesReadMax = 256

export class Frontier {
  readonly #catalog: CatalogReader
  /** By catalog ordinal; -Infinity: no row so far. */
  #times = new Float64Array(0)
  /** By id of the metrics that are followed: their newest time. */
  readonly #newestUs = new Map<number, number>()

  constructor(catalog: CatalogReader) {
    this.#catalog = catalog
  }

  get byteLength(): number {
    return this.#times.byteLength
  }

  follows(metric: number): boolean {
    return this.#newestUs.has(metric)
  }

  /** The newest time of any row; -Infinity: there is none, or nobody knows. */
  newestUs(metric: number): number {
    return this.#newestUs.get(metric) ?? Number.NEGATIVE_INFINITY
  }

  /** Begins, or begins anew, with what the version of now shows. */
  follow(metric: MetricInfo, version: Version): void {
    const range = { fromUs: Number.NEGATIVE_INFINITY, toUs: Number.POSITIVE_INFINITY }
    const request = { metric, fields: [], ...range, series: undefined, statistics: newReadStatistics() }
    const pieces = version.pieces(request).sort((a, b) => b.maxTimeUs - a.maxTimeUs)
    const floorUs = pieces[piecesReadMax]?.maxTimeUs ?? Number.NEGATIVE_INFINITY
    const series = this.#catalog.seriesOf(metric.id)
    this.#growTo(this.#catalog.seriesCount)
    for (const ordinal of series) this.#times[ordinal] = floorUs
    for (const piece of pieces.slice(0, piecesReadMax)) this.#raise(piece, series)
    this.#newestUs.set(metric.id, pieces[0]?.maxTimeUs ?? Number.NEGATIVE_INFINITY)
  }

  forget(metric: number): void {
    this.#newestUs.delete(metric)
    if (this.#newestUs.size === 0) this.#times = new Float64Array(0)
  }

  /** Takes in rows of a followed metric: which of them are late, 1 each; undefined: none. */
  advance({ metric, length, series, timeUs }: MetricRows): Uint8Array | undefined {
    let late: Uint8Array | undefined
    let newestUs = this.newestUs(metric.id)
    if (this.#catalog.seriesCount > this.#times.length) this.#growTo(this.#catalog.seriesCount)
    const times = this.#times
    for (let row = 0; row < length; row++) {
      const ordinal = series[row]!
      const time = timeUs[row]!
      if (time > times[ordinal]!) {
        times[ordinal] = time
        if (time > newestUs) newestUs = time
      } else {
        late ??= new Uint8Array(length)
        late[row] = 1
      }
    }
    this.#newestUs.set(metric.id, newestUs)
    return late
  }

  #raise(piece: Piece, all: Uint32Array): void {
    const times = this.#times
    const raise = (ordinal: number, time: number): void => {
      if (time > times[ordinal]!) times[ordinal] = time
    }
    if (piece.series !== undefined) raise(piece.series, piece.maxTimeUs)
    else if (piece.seriesRanges === undefined) for (const ordinal of all) raise(ordinal, piece.maxTimeUs)
    else {
      const { series, maxTimeUs } = piece.seriesRanges()
      for (let run = 0; run < series.length; run++) raise(series[run]!, maxTimeUs[run]!)
    }
  }

  #growTo(length: number): void {
    if (length <= this.#times.length) return
    const grown = new Float64Array(Math.max(length, 2 * this.#times.length)).fill(Number.NEGATIVE_INFINITY)
    grown.set(this.#times)
    this.#times = grown
  }
}
