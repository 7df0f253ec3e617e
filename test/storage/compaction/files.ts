/** Segments in a memory file system, merged and read back; and the naive model of what a merge gives. */
import { inlineWorkers } from '../../../src/lib/inline-workers.ts'
import { memoryFiles } from '../../../src/lib/memory-files.ts'
import { nodePorts } from '../../../src/lib/node/ports.ts'
import type { FileSystem, WorkerPorts } from '../../../src/lib/ports.ts'
import type { MergeJob, MergeProgress, MergeResult, MergeTombstone } from '../../../src/storage/compaction/job.ts'
import { mergeTask } from '../../../src/storage/compaction/task.ts'
import { encodeSegment } from '../../../src/storage/segment/encode.ts'
import { type SegmentEnvironment, segmentEnvironment } from '../../../src/storage/segment/environment.ts'
import { segmentPath } from '../../../src/storage/segment/publish.ts'
import { readSegmentMeta } from '../../../src/storage/segment/recover.ts'
import { openSegment } from '../../../src/storage/segment/segment.ts'
import { verifySegment } from '../../../src/storage/segment/verify.ts'
import type { FieldInfo, SegmentMeta } from '../../../src/storage/types.ts'
import { deletesLsnOf } from '../../../src/storage/versions.ts'
import {
  bufferOf,
  incarnation,
  inOrder,
  keys,
  metricOf,
  type Row,
  read,
  requestOf,
  TestCatalog,
  type Value,
  wasmKernels,
} from '../segment/model.ts'

export interface MetricRows {
  readonly metric: string
  readonly fields: readonly FieldInfo[]
  /** Values in the order of the fields; unique by (series, time), in any order. */
  readonly rows: readonly Row[]
}

export class SegmentFiles {
  readonly files: FileSystem
  readonly ports: WorkerPorts
  readonly environment: SegmentEnvironment
  readonly directory: string
  #next = 1

  constructor(files = memoryFiles(), directory = 'data') {
    files.makeDirectory(directory)
    this.files = files
    this.directory = directory
    this.ports = { ...nodePorts(), files }
    this.environment = segmentEnvironment(this.ports, wasmKernels, { directory })
  }

  takeIds(count: number): string[] {
    return Array.from({ length: count }, () => String(this.#next++).padStart(10, '0'))
  }

  /** A segment of a flush. */
  write(metrics: readonly MetricRows[], minLsn: number, maxLsn = minLsn, window = 'all'): SegmentMeta {
    const head = { minLsn, maxLsn, incarnation, keys }
    const input = metrics.map(({ metric, fields, rows }) => {
      const info = metricOf(metric, fields)
      return { metric: info, rows: bufferOf(info, rows), selection: undefined }
    })
    const { checksums, zstd } = this.ports
    const path = segmentPath(window, this.takeIds(1)[0]!)
    this.files.makeDirectory(`${this.directory}/segments/${window}`)
    const file = this.files.open(`${this.directory}/${path}`, 'create')
    file.write(encodeSegment({ ...head, metrics: input }, wasmKernels, checksums, zstd), 0)
    file.close()
    return readSegmentMeta(this.environment, path).meta
  }

  job(inputs: readonly SegmentMeta[], part: Partial<MergeJob> = {}): MergeJob {
    return {
      directory: this.directory,
      inputs: inputs.map(meta => ({ ...meta, deletesLsn: deletesLsnOf(meta) })),
      tombstones: [],
      deletesLsn: 1e6,
      duplicates: 'last',
      incarnation,
      seriesCount: 1e6,
      retention: { retentionDays: 0, retention: {} },
      keepExpired: false,
      nowUs: 0,
      window: 'all',
      cuts: [],
      settled: false,
      encoding: 'fast',
      rollupWidthsUs: [],
      ids: this.takeIds(500),
      segmentBytesMax: 2 ** 29,
      bytesPerSecondMax: 0,
      ...part,
    }
  }

  merge(job: MergeJob, signal = new AbortController().signal, told: MergeProgress[] = []): Promise<MergeResult> {
    return inlineWorkers.run(mergeTask, job, { ports: this.ports, signal, progress: made => void told.push(made) })
  }

  /** All rows of a metric, checked. */
  rows(meta: SegmentMeta, metric: string, fields: readonly FieldInfo[]): Row[] {
    verifySegment(this.environment, meta.path)
    const segment = openSegment(this.environment, meta, new TestCatalog())
    const found = read(segment, requestOf(metricOf(metric, fields)))
    segment.close()
    return found
  }

  paths(): string[] {
    const windows = this.files.exists(`${this.directory}/segments`) ? this.files.list(`${this.directory}/segments`) : []
    return windows.flatMap(window =>
      this.files.list(`${this.directory}/segments/${window}`).map(name => `segments/${window}/${name}`),
    )
  }
}

export interface ModelInput {
  readonly meta: SegmentMeta
  readonly metrics: readonly MetricRows[]
}

/** What the rows of the inputs, in write order, come to: values in the order of `fields`. */
export function mergedRows(
  inputs: readonly ModelInput[],
  name: string,
  fields: readonly FieldInfo[],
  tombstones: readonly MergeTombstone[],
  duplicates: 'last' | 'first',
  fromUs = -Infinity,
): Row[] {
  const merged = new Map<string, Row>()
  for (const { meta, metrics } of inputs) {
    for (const { metric, fields: own, rows } of metrics) {
      if (metric !== name) continue
      for (const row of rows) {
        if (row.timeUs < fromUs || tombstones.some(each => concerns(each, name, meta, row))) continue
        const values = fields.map(field => row.values[own.findIndex(each => each.name === field.name)])
        const key = `${row.series} ${row.timeUs}`
        const before = merged.get(key)
        merged.set(key, { ...row, values: before === undefined ? values : combined(before.values, values, duplicates) })
      }
    }
  }
  return inOrder(metricOf(name, fields), [...merged.values()])
}

const concerns = (tombstone: MergeTombstone, metric: string, meta: SegmentMeta, { series, timeUs }: Row): boolean =>
  tombstone.metric === metric &&
  tombstone.lsn > deletesLsnOf(meta) &&
  timeUs >= tombstone.fromUs &&
  timeUs < tombstone.toUs &&
  (tombstone.series === undefined || tombstone.series.includes(series))

const combined = (
  before: Row['values'],
  after: Row['values'],
  duplicates: 'last' | 'first',
): readonly (Value | undefined)[] =>
  before.map((value, i) => (duplicates === 'last' ? (after[i] ?? value) : (value ?? after[i])))
