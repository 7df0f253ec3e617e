/**
 * A frozen memtable as durable segments: cut into time windows, sorted and merged slice by slice, encoded, published.
 *
 *   chunks -> hours -> windows;   slice of sorted rows -> its rows of each window -> that window's SegmentWriter -> publish
 *
 * Invariants:
 * 1. All segments of one flush have its LSN range; `id` gives the same at every try, so that a retried
 *    flush overwrites what the failed one left.
 * 2. Beside the memtable, one slice of sorted rows is held and the encoded segments, a tenth of it; of metrics that deletes
 *    concerned in this memtable, all rows that are left. The event loop gets a turn after `turnRowsMax` rows: ingest and
 *    queries go on meanwhile.
 */
import type { Ports } from '../lib/ports.ts'
import type { CatalogReader } from './catalog/types.ts'
import type { FrozenMemtable, FrozenTable } from './memtable/memtable.ts'
import { SegmentWriter } from './segment/encode.ts'
import type { SegmentEnvironment } from './segment/environment.ts'
import { declaredHeaderLength, decodeHeader, headerFixedLength } from './segment/format.ts'
import { encodedRowBytes, HourSizes, planWindows } from './segment/partition.ts'
import { publishSegment, segmentPath } from './segment/publish.ts'
import { metaOf } from './segment/recover.ts'
import type { SegmentMeta } from './types.ts'

export interface WriteSegmentsOptions {
  readonly ports: Ports
  readonly environment: SegmentEnvironment
  readonly catalog: CatalogReader & { readonly incarnation: string }
  /** The id of the n-th segment of this flush. */
  readonly id: (n: number) => string
}

/** Rows that are sorted and encoded before others get a turn: some milliseconds. */
const turnRowsMax = 32_768

/** Throws `disk_full` and `io_error`; may be repeated. */
export async function writeSegments(frozen: FrozenMemtable, options: WriteSegmentsOptions): Promise<SegmentMeta[]> {
  const { ports, environment, catalog, id } = options
  const head = { minLsn: frozen.minLsn, maxLsn: frozen.maxLsn, incarnation: catalog.incarnation, keys: catalog }
  const tables = frozen.tables()
  const plan = planWindows(sizesOf(tables))
  const writers = plan.names.map(() => new SegmentWriter(head, environment.kernels, ports.checksums, ports.zstd))
  let rowsThisTurn = 0
  for (const table of tables) {
    for (const rows of table.slices(catalog)) {
      if (rowsThisTurn >= turnRowsMax) {
        await new Promise<void>(resolve => ports.timers.soon(resolve))
        rowsThisTurn = 0
      }
      rowsThisTurn += rows.length
      for (const [window, selection] of plan.split(rows).entries()) writers[window]!.rows(table.metric, rows, selection)
    }
  }
  const metas: SegmentMeta[] = []
  for (const [window, writer] of writers.entries()) {
    const bytes = writer.finish()
    const path = segmentPath(plan.names[window]!, id(window))
    await publishSegment(ports, environment.directory, path, bytes)
    const length = declaredHeaderLength(bytes.subarray(0, headerFixedLength))
    metas.push(metaOf(decodeHeader(bytes.subarray(0, length), ports.checksums), path))
  }
  return metas
}

/** Rows that tell how large the others will be. */
const sampleRows = 1024

function sizesOf(tables: readonly FrozenTable[]): HourSizes {
  const sizes = new HourSizes()
  for (const { chunks, sample } of tables) {
    const rowBytes = encodedRowBytes(sample(sampleRows))
    for (const { timeUs, rows } of chunks) sizes.add(timeUs, rows, rowBytes)
  }
  return sizes
}
