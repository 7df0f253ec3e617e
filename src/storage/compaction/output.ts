/**
 * What a merge writes: a segment per namespace with a retention rule, window and size, straight to the disk, and the
 * rollups of the settled ones.
 *
 *   rows of a metric -> namespace -> windows -> SegmentWriter -> <path>.tmp        \  all whole: headers, fdatasync,
 *                                            \> RollupBuilder -> <rollup path>.tmp /  names, directories
 *
 * Invariants:
 * 1. Nothing has its name before everything is durable; `abandon` removes what has none.
 * 2. Segments of one merge have one range of LSNs and share no (series, time).
 * 3. A series is in one segment of a window, so that every bucket of its rollups is whole.
 */
import type { Kernels } from '../../kernels/kernels.ts'
import { assert } from '../../lib/assert.ts'
import type { WorkerPorts } from '../../lib/ports.ts'
import { type RetentionRules, retentionClassOf } from '../retention/rules.ts'
import { RollupBuilder, type RowsOutlook } from '../rollup/build.ts'
import type { RowBuffer } from '../row-buffer.ts'
import type { SeriesKeys } from '../segment/dictionary.ts'
import { type ClosedSegment, type SegmentHead, type SegmentSink, SegmentWriter } from '../segment/encode.ts'
import { mergePartsMax, type SegmentHeader } from '../segment/format.ts'
import { createSegment, publishAll, segmentPath, type UnpublishedSegment } from '../segment/publish.ts'
import { metaOf } from '../segment/recover.ts'
import type { MetricInfo, SegmentMeta } from '../types.ts'
import type { MergeJob } from './job.ts'

export interface MergeOutputsOptions {
  readonly ports: WorkerPorts
  readonly kernels: Kernels
  readonly rules: RetentionRules
  readonly keys: SeriesKeys
}

export interface MergedMetric {
  readonly metric: MetricInfo
  readonly outlook: RowsOutlook
}

/** A segment that rows are written to. */
interface OpenSegment {
  readonly file: UnpublishedSegment
  readonly writer: SegmentWriter
  readonly rollups: OpenRollups | undefined
}
interface OpenRollups {
  readonly builder: RollupBuilder
  /** By width. */
  readonly files: ReadonlyMap<number, UnpublishedSegment>
}

/** Rows of one namespace and one window: a segment after the other. */
interface Output {
  readonly window: string
  readonly namespace: string | undefined
  open: OpenSegment | undefined
}

/** A segment whose rows are all written. */
interface WrittenRows {
  readonly file: UnpublishedSegment
  readonly namespace: string | undefined
  readonly closed: ClosedSegment
}

export class MergeOutputs {
  readonly #job: MergeJob
  readonly #options: MergeOutputsOptions
  readonly #head: SegmentHead
  readonly #outputs = new Map<string, Output>()
  readonly #rows: WrittenRows[] = []
  readonly #rollups: SegmentMeta[] = []
  /** All that are to be published, or that `abandon` removes. */
  readonly #files = new Set<UnpublishedSegment>()
  #created = 0
  #bytes = 0
  rowsWritten = 0

  constructor(job: MergeJob, options: MergeOutputsOptions) {
    this.#job = job
    this.#options = options
    const { inputs, incarnation, settled, encoding } = job
    this.#head = {
      minLsn: inputs.reduce((min, { minLsn }) => Math.min(min, minLsn), Infinity),
      maxLsn: inputs.reduce((max, { maxLsn }) => Math.max(max, maxLsn), 0),
      incarnation,
      replaced: inputs.map(({ id }) => id),
      settled,
      encoding,
    }
  }

  /** That went to the disk. */
  get bytesWritten(): number {
    return this.#bytes
  }

  /** Merged rows of the metric; `beginsSeries`: they are not of the series that the call before ended with. */
  rows({ metric, outlook }: MergedMetric, rows: RowBuffer, beginsSeries: boolean): void {
    const namespace = this.#options.rules.classOf(metric.name)
    const { window, cuts } = this.#job
    this.rowsWritten += rows.length
    if (cuts.length === 0) {
      const { rollups } = this.#write(namespace, window, metric, rows, undefined, beginsSeries)
      rollups?.builder.rows(metric, rows, outlook)
      return
    }
    for (const [name, selection] of this.#cut(rows))
      this.#write(namespace, name, metric, rows, Uint32Array.from(selection), beginsSeries)
  }

  #cut({ timeUs, length }: RowBuffer): Map<string, number[]> {
    const { cuts, window } = this.#job
    const selections = new Map<string, number[]>()
    let selection: number[] = []
    let fromUs = 0
    let toUs = 0
    for (let row = 0; row < length; row++) {
      const time = timeUs[row]!
      if (time < fromUs || time >= toUs) {
        let after = cuts.findIndex(cut => cut.toUs > time)
        if (after < 0) after = cuts.length
        const next = cuts[after]
        const inside = next !== undefined && next.fromUs <= time
        fromUs = inside ? next.fromUs : (cuts[after - 1]?.toUs ?? -Infinity)
        toUs = inside ? next.toUs : (next?.fromUs ?? Infinity)
        const name = inside ? next.name : window
        selection = selections.get(name) ?? []
        selections.set(name, selection)
      }
      selection.push(row)
    }
    return selections
  }

  #write(
    namespace: string | undefined,
    window: string,
    metric: MetricInfo,
    rows: RowBuffer,
    selection: Uint32Array | undefined,
    beginsSeries: boolean,
  ): OpenSegment {
    const name = `${window} ${namespace ?? ''}`
    let output = this.#outputs.get(name)
    if (output === undefined) this.#outputs.set(name, (output = { window, namespace, open: undefined }))
    if (beginsSeries && (output.open?.writer.bytes ?? 0) >= this.#job.segmentBytesMax) this.#close(output)
    output.open ??= this.#open(output)
    output.open.writer.rows(metric, rows, selection)
    assert(output.open.rollups === undefined || selection === undefined, 'what is cut is not settled')
    return output.open
  }

  #open({ window, namespace }: Output): OpenSegment {
    const { ports, kernels, rules } = this.#options
    const { checksums, zstd } = ports
    const { rollupWidthsUs, nowUs } = this.#job
    const { id, file } = this.#create(window)
    const head = { ...this.#head, retentionClass: retentionClassOf(namespace, checksums) }
    const writer = new SegmentWriter(head, kernels, checksums, zstd, file)
    if (rollupWidthsUs.length === 0) return { file, writer, rollups: undefined }
    const files = new Map<number, UnpublishedSegment>()
    const sink = (widthUs: number): SegmentSink => {
      const created = this.#create(window).file
      files.set(widthUs, created)
      return created
    }
    const rollupHead = { ...head, replaced: [id], settled: false }
    const isKept = (widthUs: number): boolean => rules.rollupHorizonUs(widthUs, nowUs) < Infinity
    const options = { widthsUs: rollupWidthsUs, isKept, head: rollupHead, sink, kernels, checksums, zstd }
    return { file, writer, rollups: { builder: new RollupBuilder(options), files } }
  }

  #create(window: string): { readonly id: string; readonly file: UnpublishedSegment } {
    const id = this.#job.ids[this.#created++]
    assert(id !== undefined, 'the job has an id for every segment')
    const unpublished = createSegment(this.#options.ports.files, this.#job.directory, segmentPath(window, id))
    const write = (bytes: Uint8Array, position: number): void => {
      unpublished.write(bytes, position)
      this.#bytes += bytes.length
    }
    const file = { ...unpublished, write }
    this.#files.add(file)
    return { id, file }
  }

  #close(output: Output): void {
    const { open, namespace } = output
    if (open === undefined) return
    output.open = undefined
    this.#rows.push({ file: open.file, namespace, closed: open.writer.close(this.#options.keys) })
    if (open.rollups !== undefined) this.#closeRollups(open.rollups, namespace)
  }

  #closeRollups({ builder, files }: OpenRollups, namespace: string | undefined): void {
    const built = builder.close(this.#options.keys)
    const left = new Map(files)
    for (const { widthUs, closed } of built) {
      const file = left.get(widthUs)!
      left.delete(widthUs)
      this.#rollups.push(this.#metaOf(file, closed.seal(0), namespace))
    }
    // No metric turned out to be dense.
    for (const file of left.values()) {
      file.discard()
      this.#files.delete(file)
    }
  }

  /** Everything under its name, and durable. Throws `disk_full`, `io_error`. */
  async publish(): Promise<SegmentMeta[]> {
    const { ports } = this.#options
    const { directory } = this.#job
    for (const output of this.#outputs.values()) this.#close(output)
    assert(this.#rows.length <= mergePartsMax, 'the header has room for the number of parts')
    const metas = this.#rows.map(({ file, namespace, closed }) =>
      this.#metaOf(file, closed.seal(this.#rows.length), namespace),
    )
    if (metas.length > 0) await publishAll(ports.files, directory, [...this.#files])
    return [...metas, ...this.#rollups]
  }

  #metaOf({ path }: UnpublishedSegment, header: SegmentHeader, namespace: string | undefined): SegmentMeta {
    const meta = metaOf(header, path)
    const deletesLsn = Math.max(this.#job.deletesLsn, meta.maxLsn)
    return { ...meta, deletesLsn, ...(namespace === undefined ? {} : { namespace }) }
  }

  /** Removes what has no name yet. */
  abandon(): void {
    for (const file of this.#files) file.discard()
  }
}
