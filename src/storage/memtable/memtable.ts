/**
 * Memtable: the newest rows, in memory, readable while they are appended.
 *
 *   append ─> metric tables (chunks in arrival order)
 *                ├─ view     row counts as of a moment ─> pieces for scans
 *                └─ freeze   no more rows ─> per metric a table of plain data, to be sorted and encoded, maybe in another thread
 *
 * Invariants:
 * 1. Rows become visible in LSN order, batch by batch: a view sees all rows of a batch or none.
 * 2. A view is one row count per metric. What is appended later — rows, strings, fields — does not show in it.
 * 3. A frozen memtable never changes again; views taken before stay valid.
 */
import { assert } from '../../lib/assert.ts'
import type { CatalogReader } from '../catalog/types.ts'
import type { Duplicates } from '../merge.ts'
import type { SeriesEnds } from '../series-ends.ts'
import type { SourceTombstones } from '../tombstones/tombstones.ts'
import type { Lsn, Piece, ReadRequest, RowBatch } from '../types.ts'
import { type ChunkMemory, chunkRowsMax } from './chunk-memory.ts'
import type { FrozenTable } from './frozen-table.ts'
import { tablePieces } from './pieces.ts'
import { SeriesRows } from './series-rows.ts'
import { MetricTable } from './table.ts'
import { tableEnds } from './table-ends.ts'

export interface MemtableOptions {
  /** Which of two rows of one (series, time) wins, field by field. */
  readonly duplicates: Duplicates
  /** Where its arrays are; others may share it. Whoever made it releases it. */
  readonly memory: ChunkMemory
}

export interface MemtableView {
  /** Rows it sees, duplicates counted. */
  readonly rowCount: number
  /** Pieces that may hold rows of the request, in write order. */
  pieces(request: ReadRequest, catalog: CatalogReader): Piece[]
}

/** Of a memtable without layers. */
export interface LayerView extends MemtableView {
  /** Tells the last values of the request's one field, less what these tombstones hide. */
  ends(request: ReadRequest, into: SeriesEnds, tombstones: SourceTombstones | undefined): void
}

export interface FrozenMemtable {
  /** Rows appended, duplicates counted. */
  readonly rowCount: number
  readonly minLsn: Lsn
  readonly maxLsn: Lsn
  readonly minTimeUs: number
  readonly maxTimeUs: number
  view(): MemtableView
  readonly duplicates: Duplicates
  /** In the order of metric ids. */
  tables(): readonly FrozenTable[]
}

export class Memtable implements FrozenMemtable {
  readonly duplicates: Duplicates
  /** By metric id. */
  readonly #tables: (MetricTable | undefined)[] = []
  readonly #newest = new SeriesRows()
  readonly #memory: ChunkMemory
  #frozen = false
  #view: LayerView | undefined
  rowCount = 0
  /** Infinity and 0 while it is empty. */
  minLsn: Lsn = Number.POSITIVE_INFINITY
  maxLsn: Lsn = 0
  minTimeUs = Number.POSITIVE_INFINITY
  maxTimeUs = Number.NEGATIVE_INFINITY

  constructor({ duplicates, memory }: MemtableOptions) {
    this.duplicates = duplicates
    this.#memory = memory
  }

  /** What it takes beside its `memory`. */
  get seriesBytes(): number {
    return this.#newest.byteLength
  }

  /** Copies the rows of one commit; LSNs ascend. */
  append(batch: RowBatch, lsn: Lsn): void {
    assert(!this.#frozen, 'a frozen memtable takes no rows')
    assert(lsn >= this.maxLsn, 'rows are appended in LSN order')
    for (const rows of batch.metrics) {
      if (rows.length === 0) continue
      const table = (this.#tables[rows.metric.id] ??= new MetricTable(rows.metric, this.#memory))
      table.append(rows, this.#newest)
      this.rowCount += rows.length
      const latest = table.chunks.at(-1)!
      for (let at = table.chunks.length - 1, left = rows.length; left > 0; at--) {
        const chunk = table.chunks[at]!
        this.minTimeUs = Math.min(this.minTimeUs, chunk.minTimeUs)
        this.maxTimeUs = Math.max(this.maxTimeUs, chunk.maxTimeUs)
        left -= chunk === latest ? chunk.rows : chunkRowsMax
      }
    }
    this.minLsn = Math.min(this.minLsn, lsn)
    this.maxLsn = lsn
    this.#view = undefined
  }

  /** The rows appended so far. */
  view(): LayerView {
    return (this.#view ??= this.#takeView())
  }

  #takeView(): LayerView {
    const tables = this.#tables
    const rowCounts = Float64Array.from(tables, table => table?.rows ?? 0)
    const context = { newest: this.#newest, duplicates: this.duplicates }
    return {
      rowCount: this.rowCount,
      ends({ metric, fields }, into, tombstones) {
        const table = tables[metric.id]
        const rows = rowCounts[metric.id] ?? 0
        if (table !== undefined && rows > 0) tableEnds(table, rows, fields[0]!.id, context, into, tombstones)
      },
      pieces(request, catalog) {
        const table = tables[request.metric.id]
        const rows = rowCounts[request.metric.id] ?? 0
        return table === undefined || rows === 0 ? [] : tablePieces(table, rows, request, catalog, context)
      },
    }
  }

  freeze(): FrozenMemtable {
    this.#frozen = true
    return this
  }

  tables(): readonly FrozenTable[] {
    assert(this.#frozen, 'only a frozen memtable is flushed')
    return this.#tables.filter(table => table !== undefined).map(table => table.frozen())
  }
}
