/**
 * LayeredMemtable: a memtable that deletes fall into. A delete that may concern rows of a metric seals the metric's layer.
 *
 *   metric a   layer 0 │ delete │ layer 1 │ delete │ layer 2      rows of a layer are before or after any tombstone,
 *   metric b   layer 0                                            never on both sides of one that concerns them
 *
 * Invariants:
 * 1. Tombstones concern a sealed layer from the seal's LSN on, and the open one when they are younger than the memtable:
 *    where none of its rows was in the range of a delete, it went on.
 * 2. It holds every commit with an LSN in [minLsn, maxLsn], rows and deletes.
 * 3. What is flushed has its own tombstones applied: those up to `maxLsn` concern none of its segments any more.
 */
import { assert } from '../../lib/assert.ts'
import type { CatalogReader } from '../catalog/types.ts'
import type { Duplicates } from '../merge.ts'
import { newReadStatistics } from '../read-statistics.ts'
import { RowBuffer } from '../row-buffer.ts'
import type { SeriesEnds } from '../series-ends.ts'
import { maskedPieces } from '../tombstones/mask.ts'
import { type MetricTombstones, type Tombstone, Tombstones } from '../tombstones/tombstones.ts'
import type { Lsn, MetricInfo, MetricRows, Piece, ReadRequest, RowBatch } from '../types.ts'
import { ChunkMemory, type ChunkPool } from './chunk-memory.ts'
import { type FrozenTable, tableOfRows } from './frozen-table.ts'
import { type FrozenMemtable, Memtable, type MemtableView } from './memtable.ts'

export interface LayeredView {
  /** Tells the last values of the request's one field, less what the metric's tombstones hide. */
  ends(request: ReadRequest, into: SeriesEnds, tombstones?: MetricTombstones): void
  /** Pieces that may hold rows of the request, in write order, less what the metric's tombstones hide. */
  pieces(request: ReadRequest, catalog: CatalogReader, tombstones?: MetricTombstones): Piece[]
}

export interface FrozenLayers extends FrozenMemtable {
  readonly tombstones: Tombstones
  readonly byteLength: number
  /** What it keeps from others: like `byteLength`, but memory that was taken ahead counts whole. */
  readonly heldBytes: number
  /** Its rows are in segments and nobody reads it or a view of it any more: its memory is for others. */
  release(): void
}

/** Each layer costs a query of its metric a look at the tombstones above it. */
const layersMax = 256
/** What a tombstone takes beside its series. */
const tombstoneBytes = 128
export interface LayeredMemtableOptions {
  readonly duplicates: Duplicates
  readonly catalog: CatalogReader
  /** Where the arrays come from and go to; undefined: from and to the collector. */
  readonly pool?: ChunkPool | undefined
}

export class LayeredMemtable implements FrozenLayers {
  readonly duplicates: Duplicates
  readonly #catalog: CatalogReader
  readonly #memory: ChunkMemory
  readonly #layers: Memtable[]
  /** By metric id: the LSNs of the deletes that sealed its layers. */
  #seals: ReadonlyMap<number, readonly Lsn[]> = new Map()
  #isFrozen = false
  tombstones = Tombstones.none
  /** Infinity and 0 while it is empty. */
  minLsn: Lsn = Number.POSITIVE_INFINITY
  maxLsn: Lsn = 0

  constructor({ duplicates, catalog, pool }: LayeredMemtableOptions) {
    this.duplicates = duplicates
    this.#catalog = catalog
    this.#memory = new ChunkMemory(pool)
    this.#layers = [this.#newLayer()]
  }

  /** Whether it holds no commit. */
  get isEmpty(): boolean {
    return this.maxLsn === 0
  }
  /** Rows appended, duplicates and deleted ones counted. */
  get rowCount(): number {
    return this.#layers.reduce((sum, layer) => sum + layer.rowCount, 0)
  }
  get byteLength(): number {
    return this.#memory.bytes + this.#otherBytes
  }
  get heldBytes(): number {
    return this.#memory.heldBytes + this.#otherBytes
  }
  get #otherBytes(): number {
    const { size, seriesCount } = this.tombstones
    return this.#layers.reduce((sum, layer) => sum + layer.seriesBytes, size * tombstoneBytes + seriesCount * 4)
  }
  /** Whether it is time to freeze it, of this size or of as many layers as queries should meet. */
  isFull(bytesMax: number): boolean {
    return this.#layers.length >= layersMax || this.byteLength >= bytesMax
  }
  get minTimeUs(): number {
    return this.#layers.reduce((min, layer) => Math.min(min, layer.minTimeUs), Number.POSITIVE_INFINITY)
  }
  get maxTimeUs(): number {
    return this.#layers.reduce((max, layer) => Math.max(max, layer.maxTimeUs), Number.NEGATIVE_INFINITY)
  }

  /** Copies the rows of one commit; LSNs ascend. */
  append(batch: RowBatch, lsn: Lsn): void {
    if (this.#seals.size === 0) this.#layers[0]!.append(batch, lsn)
    else {
      for (const [layer, metrics] of this.#byLayer(batch.metrics).entries())
        if (metrics !== undefined) this.#layers[layer]!.append({ ...batch, metrics }, lsn)
    }
    this.#holds(lsn)
  }

  /** Takes a delete. Views taken before do not show it. */
  delete(tombstone: Tombstone, metric: MetricInfo): void {
    assert(!this.#isFrozen && tombstone.lsn > this.maxLsn, 'a delete has an LSN of its own')
    const seals = this.#seals.get(metric.id) ?? []
    const { fromUs, toUs } = tombstone
    const request = { metric, fields: [], fromUs, toUs, series: undefined, statistics: newReadStatistics() }
    if (this.#layers[seals.length]!.view().pieces(request, this.#catalog).length > 0) {
      this.#seals = new Map(this.#seals).set(metric.id, [...seals, tombstone.lsn])
      if (this.#layers.length === seals.length + 1) this.#layers.push(this.#newLayer())
    }
    this.tombstones = this.tombstones.with(tombstone)
    this.#holds(tombstone.lsn)
  }

  /** What was committed so far. */
  view(): LayeredView & MemtableView {
    const views = this.#layers.map(layer => layer.view())
    const seals = this.#seals
    const { rowCount, maxLsn } = this
    return {
      rowCount,
      ends(request, into, tombstones?: MetricTombstones) {
        const beforeSeals = (seals.get(request.metric.id) ?? []).map(lsn => lsn - 1)
        for (const [layer, newestLsn] of [...beforeSeals, maxLsn].entries())
          views[layer]!.ends(request, into, tombstones?.above(newestLsn))
      },
      pieces(request, catalog, tombstones?: MetricTombstones) {
        const beforeSeals = (seals.get(request.metric.id) ?? []).map(lsn => lsn - 1)
        return [...beforeSeals, maxLsn].flatMap((newestLsn, layer) =>
          maskedPieces(views[layer]!.pieces(request, catalog), tombstones, newestLsn),
        )
      },
    }
  }

  freeze(): FrozenLayers {
    this.#isFrozen = true
    for (const layer of this.#layers) layer.freeze()
    return this
  }

  release(): void {
    assert(this.#isFrozen, 'the active memtable is in use')
    this.#memory.release()
  }

  tables(): readonly FrozenTable[] {
    assert(this.#isFrozen, 'only a frozen memtable is flushed')
    // layers of a metric are used from the first one on
    return this.#layers[0]!.tables()
      .map(table => (this.#seals.has(table.metric.id) ? this.#survivors(table.metric) : table))
      .filter(({ chunks }) => chunks.some(({ rows }) => rows > 0))
  }

  /** The rows of a metric that its deletes left, from all layers: held beside the chunks for as long as the table is. */
  #survivors(metric: MetricInfo): FrozenTable {
    const rows = new RowBuffer(metric.fields)
    const range = { fromUs: Number.NEGATIVE_INFINITY, toUs: Number.POSITIVE_INFINITY }
    const fields = rows.fields.map(({ field }) => field)
    const request = { metric, fields, ...range, series: undefined, statistics: newReadStatistics() }
    const tombstones = this.tombstones.touching(request)
    for (const piece of this.view().pieces(request, this.#catalog, tombstones))
      piece.read(range.fromUs, range.toUs, rows)
    return tableOfRows(metric, rows)
  }

  #byLayer(metrics: readonly MetricRows[]): (MetricRows[] | undefined)[] {
    const byLayer: (MetricRows[] | undefined)[] = []
    for (const rows of metrics) (byLayer[this.#seals.get(rows.metric.id)?.length ?? 0] ??= []).push(rows)
    return byLayer
  }

  #newLayer(): Memtable {
    return new Memtable({ duplicates: this.duplicates, memory: this.#memory })
  }

  #holds(lsn: Lsn): void {
    this.minLsn = Math.min(this.minLsn, lsn)
    this.maxLsn = lsn
  }
}
