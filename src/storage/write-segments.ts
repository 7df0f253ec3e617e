/**
 * A frozen memtable as durable segments: encoded, in another thread where that pays, then closed and published.
 *
 *   frozen memtable -> EncodeJob -> encode-segments.ts -> groups -> + pages of series, footer, header -> published
 *
 * Invariants:
 * 1. All segments of one flush have its LSN range; `id` gives the same at every try, so that a retried
 *    flush overwrites what the failed one left.
 * 2. A thread that fails is no failed flush: what it was to do is done here, in turns.
 */
import type { Ports } from '../lib/ports.ts'
import type { CatalogReader } from './catalog/types.ts'
import { type EncodedSegment, type EncodeJob, encodeSegments, encodeTask } from './encode-segments.ts'
import type { FrozenLayers } from './memtable/layers.ts'
import { type RetentionRules, retentionClassOf } from './retention/rules.ts'
import { closeSegment, type Encoders } from './segment/encode.ts'
import type { SegmentEnvironment } from './segment/environment.ts'
import { createSegment, publishAll, segmentPath, type UnpublishedSegment } from './segment/publish.ts'
import { metaOf } from './segment/recover.ts'
import type { SegmentMeta } from './types.ts'

export interface WriteSegmentsOptions {
  readonly ports: Ports
  readonly environment: SegmentEnvironment
  readonly catalog: CatalogReader & { readonly incarnation: string }
  readonly rules: RetentionRules
  /** Whether a large one is encoded in another thread. */
  readonly inThread: boolean
  /** When the flush began: what expires later is written. The same at every try. */
  readonly nowUs: number
  /** The id of the n-th segment of this flush. */
  readonly id: (n: number) => string
}

/** Encoding less takes some 20 ms: not worth a thread, and its memory. */
const threadBytesMin = 8 * 2 ** 20

/** Throws `disk_full` and `io_error`; may be repeated. */
export async function writeSegments(frozen: FrozenLayers, options: WriteSegmentsOptions): Promise<SegmentMeta[]> {
  const { ports, environment, catalog, inThread, id } = options
  const encoders: Encoders = { ...ports, kernels: environment.kernels }
  const job = jobOf(frozen, options)
  const segments = await encoded(job, inThread && frozen.byteLength >= threadBytesMin, encoders, ports)
  const files: UnpublishedSegment[] = []
  try {
    const metas = segments.map(({ window, namespace, bytes, groups }, index): SegmentMeta => {
      const path = segmentPath(window, id(index))
      const file = createSegment(ports.files, environment.directory, path)
      files.push(file)
      file.write(bytes, 0)
      // V8 sees the weight of dead arrays late.
      const { buffer } = bytes as Uint8Array<ArrayBuffer>
      buffer.transfer(0)
      const head = { ...job.head, retentionClass: retentionClassOf(namespace, ports.checksums) }
      const meta = metaOf(closeSegment(head, groups, catalog, encoders, file).seal(0), path)
      return namespace === undefined ? meta : { ...meta, namespace }
    })
    if (files.length > 0) await publishAll(ports.files, environment.directory, files)
    return metas
  } catch (error) {
    for (const file of files) file.discard()
    throw error
  }
}

function jobOf(frozen: FrozenLayers, { catalog, rules, nowUs }: WriteSegmentsOptions): EncodeJob {
  const { minLsn, maxLsn, duplicates } = frozen
  let ranks: Uint32Array = new Uint32Array(0)
  const tables = frozen.tables().map(table => {
    const { id, name } = table.metric
    // One array for all metrics, which has each in order once it was asked for.
    ranks = catalog.ranks(id)
    const seriesCount = catalog.seriesOf(id).length
    return { ...table, seriesCount, namespace: rules.classOf(name), horizonUs: rules.horizonUs(name, nowUs) }
  })
  // A copy: series that are added meanwhile move ranks.
  const copied = ranks.slice(0, catalog.seriesCount)
  return { head: { minLsn, maxLsn, incarnation: catalog.incarnation }, tables, ranks: copied, duplicates }
}

async function encoded(job: EncodeJob, inThread: boolean, encoders: Encoders, ports: Ports): Promise<EncodedSegment[]> {
  if (inThread) {
    const { signal } = new AbortController()
    try {
      return await ports.workers.run(encodeTask, job, { ports, signal, progress: () => {} })
    } catch (error) {
      ports.log('warn', 'a flush is encoded beside everything else: its thread failed', { error: String(error) })
    }
  }
  return encodeSegments(job, encoders, ports)
}
