/**
 * A frozen memtable as durable segments: cut into time windows, sorted and merged slice by slice, encoded, published.
 *
 *   chunks -> hours -> windows;   slice of sorted rows -> its rows of each window -> that window's SegmentWriter -> publish
 *
 * Metrics of a namespace with a retention rule of its own go to segments of their own, so that they go whole one day.
 *
 * Invariants:
 * 1. All segments of one flush have its LSN range; `id` gives the same at every try, so that a retried
 *    flush overwrites what the failed one left.
 * 2. Beside the memtable, one block of sorted rows is held and the encoded segments, a tenth of it; of metrics that deletes
 *    concerned in this memtable, all rows that are left. The event loop gets a turn after `turnRowsMax` rows: ingest and
 *    queries go on meanwhile.
 * 3. Rows that have expired are left out.
 */
import type { Ports } from '../lib/ports.ts'
import type { CatalogReader } from './catalog/types.ts'
import type { FrozenMemtable, FrozenTable } from './memtable/memtable.ts'
import { type RetentionRules, retentionClassOf } from './retention/rules.ts'
import { dropBefore } from './retention/trim.ts'
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
  readonly rules: RetentionRules
  /** When the flush began: what expires later is written. The same at every try. */
  readonly nowUs: number
  /** The id of the n-th segment of this flush. */
  readonly id: (n: number) => string
}

/** Rows that are sorted and encoded before others get a turn: some milliseconds. */
const turnRowsMax = 32_768

/** A segment that is being made. */
interface Output {
  readonly window: string
  readonly namespace: string | undefined
  readonly writer: SegmentWriter
  isEmpty: boolean
}

/** Throws `disk_full` and `io_error`; may be repeated. */
export async function writeSegments(frozen: FrozenMemtable, options: WriteSegmentsOptions): Promise<SegmentMeta[]> {
  const { ports, environment, catalog, rules, nowUs, id } = options
  const { minLsn, maxLsn } = frozen
  const head = { minLsn, maxLsn, incarnation: catalog.incarnation, keys: catalog }
  const outputs: Output[] = []
  let rowsThisTurn = 0
  for (const [namespace, tables] of Map.groupBy(frozen.tables(), ({ metric }) => rules.classOf(metric.name))) {
    const plan = planWindows(sizesOf(tables))
    const retentionClass = retentionClassOf(namespace, ports.checksums)
    const own = plan.names.map((window, index): Output => {
      const segment = { ...head, retentionClass, bytesExpected: plan.bytes[index]! }
      const writer = new SegmentWriter(segment, environment.kernels, ports.checksums, ports.zstd)
      return { window, namespace, writer, isEmpty: true }
    })
    outputs.push(...own)
    for (const table of tables) {
      const horizonUs = rules.horizonUs(table.metric.name, nowUs)
      for (const rows of table.slices(catalog)) {
        if (rowsThisTurn >= turnRowsMax) {
          await new Promise<void>(resolve => ports.timers.soon(resolve))
          rowsThisTurn = 0
        }
        rowsThisTurn += rows.length
        dropBefore(rows, horizonUs)
        for (const [window, selection] of plan.split(rows).entries()) {
          const output = own[window]!
          output.writer.rows(table.metric, rows, selection)
          if ((selection ?? rows).length > 0) output.isEmpty = false
        }
      }
    }
  }
  const metas: SegmentMeta[] = []
  for (const { window, namespace, writer, isEmpty } of outputs) {
    if (isEmpty) continue
    const bytes = writer.finish()
    const path = segmentPath(window, id(metas.length))
    await publishSegment(ports, environment.directory, path, bytes)
    const length = declaredHeaderLength(bytes.subarray(0, headerFixedLength))
    const meta = metaOf(decodeHeader(bytes.subarray(0, length), ports.checksums), path)
    metas.push(namespace === undefined ? meta : { ...meta, namespace })
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
