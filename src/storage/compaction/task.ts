/**
 * A chosen job as a merge that runs anywhere: what the engine knows goes into plain data, the merge into a task of the
 * `Workers` port.
 *
 * Invariants:
 * 1. A `MergeJob` survives structured cloning, and reads nothing but the files it names.
 */
import { toSydraError } from '../../lib/errors.ts'
import type { WorkerTask } from '../../lib/ports.ts'
import { toHex } from '../../lib/text.ts'
import type { RetentionSettings } from '../retention/rules.ts'
import type { SegmentEnvironment } from '../segment/environment.ts'
import { segmentSeries } from '../segment/recover.ts'
import type { SegmentCatalog } from '../segment/segment.ts'
import { SegmentFile } from '../segment/segment-file.ts'
import type { Tombstones } from '../tombstones/tombstones.ts'
import type { Lsn, MetricInfo, SegmentMeta } from '../types.ts'
import { deletesLsnOf } from '../versions.ts'
import type { CompactionJob, MergeInput, MergeJob, MergeProgress, MergeResult } from './job.ts'
import { merge } from './merge.ts'

/**
 * Runs a merge. Throws `corrupt_segment` (`damagedInput` says whose), `disk_full`, `io_error`.
 *
 * @example const result = await ports.workers.run(mergeTask, mergeJobOf(job, engine), { ports, signal, progress })
 */
export const mergeTask: WorkerTask<MergeJob, MergeResult, MergeProgress> = {
  module: import.meta.url,
  name: 'mergeTask',
  run: merge,
}

/** What the engine knows when a merge begins; all of one moment. */
export interface MergeEngine {
  readonly environment: SegmentEnvironment
  readonly catalog: SegmentCatalog & { metricAt(id: number): MetricInfo }
  /** All there are: those up to `flushedLsn` are applied. */
  readonly tombstones: Tombstones
  /** The manifest's. */
  readonly flushedLsn: Lsn
  readonly duplicates: 'last' | 'first'
  readonly retention: Pick<RetentionSettings, 'retentionDays' | 'retention'>
  /** Whether expired rows are kept as long as their file: where rollups shall outlive them. */
  readonly keepExpired: boolean
  readonly nowUs: number
  /** Of the rollups that settled segments get. */
  readonly rollupWidthsUs: readonly number[]
  /** 0: no limit. */
  readonly bytesPerSecondMax: number
  /** Default 512 MiB. */
  readonly segmentBytesMax?: number
  takeIds(count: number): readonly string[]
}

const segmentBytesMaxDefault = 512 * 2 ** 20

export function mergeJobOf(job: CompactionJob, engine: MergeEngine): MergeJob {
  const { catalog, environment, tombstones, flushedLsn, retention, segmentBytesMax = segmentBytesMaxDefault } = engine
  const inputs = job.inputs.map(meta => inputOf(meta, environment, catalog))
  const rollupWidthsUs = job.settled ? engine.rollupWidthsUs : []
  const bytes = inputs.reduce((sum, input) => sum + input.bytes, 0)
  // A segment more than half full for each that ends by size, and the last of each window and namespace.
  const namespaces = Object.keys(retention.retention).length + 1
  const segmentsMax = (job.cuts.length + 1) * namespaces + Math.ceil((2 * bytes) / segmentBytesMax)
  const minTimeUs = Math.min(...job.inputs.map(meta => meta.minTimeUs))
  const maxTimeUs = Math.max(...job.inputs.map(meta => meta.maxTimeUs))
  const oldestLsn = Math.min(...inputs.map(({ deletesLsn }) => deletesLsn))
  return {
    directory: environment.directory,
    inputs,
    tombstones: tombstones.list
      .filter(
        ({ lsn, fromUs, toUs }) => lsn > oldestLsn && lsn <= flushedLsn && fromUs <= maxTimeUs && toUs > minTimeUs,
      )
      .map(({ lsn, metric, fromUs, toUs, series }) => ({
        lsn,
        metric: catalog.metricAt(metric).name,
        fromUs,
        toUs,
        series,
      })),
    deletesLsn: flushedLsn,
    duplicates: engine.duplicates,
    incarnation: catalog.incarnation,
    seriesCount: catalog.seriesCount,
    retention: { retentionDays: retention.retentionDays, retention: { ...retention.retention } },
    keepExpired: engine.keepExpired,
    nowUs: engine.nowUs,
    window: job.window,
    cuts: job.cuts,
    settled: job.settled,
    encoding: job.settled ? 'dense' : 'fast',
    rollupWidthsUs,
    ids: engine.takeIds(segmentsMax * (1 + rollupWidthsUs.length)),
    segmentBytesMax,
    bytesPerSecondMax: engine.bytesPerSecondMax,
  }
}

/** Reads the header, and where it names another catalog the whole dictionary. Throws `corrupt_segment`, `io_error`. */
function inputOf(meta: SegmentMeta, environment: SegmentEnvironment, catalog: SegmentCatalog): MergeInput {
  const { id, path, bytes, minLsn, maxLsn } = meta
  const input = { id, path, bytes, minLsn, maxLsn, deletesLsn: deletesLsnOf(meta) }
  const { header } = new SegmentFile(environment, path).readHeader()
  if (toHex(header.incarnation) === catalog.incarnation) return input
  const ordinals: number[] = []
  for (const { metric, series } of segmentSeries(environment, path)) {
    const info = catalog.useMetric(metric)
    for (const tags of series) ordinals.push(catalog.useSeries(info, tags))
  }
  return { ...input, ordinals: Uint32Array.from(ordinals) }
}

/** The input that a merge failed for; undefined when it failed for another reason. */
export function damagedInput({ inputs }: Pick<CompactionJob, 'inputs'>, error: unknown): SegmentMeta | undefined {
  const { code, message } = toSydraError(error)
  return code === 'corrupt_segment' ? inputs.find(({ path }) => message.includes(path)) : undefined
}
