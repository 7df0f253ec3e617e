/**
 * A merge: the rows of some segments, written once more as few.
 *
 *   inputs -> metric by metric, by name -> merged slices (slices.ts) -> segments and rollups (output.ts) -> published
 *
 * Invariants:
 * 1. It needs no catalog: what is written and where follows from the job and the files.
 * 2. Memory is one slice, footers, and what outputs hold; others get a turn after each slice.
 * 3. Its result reads as the inputs did: deletes applied, expired rows gone (unless they are to be kept), fields of rows
 *    with one series and time merged by write order.
 * 4. When it fails, or is aborted, nothing is published. A damaged input is `corrupt_segment` naming the file.
 */
import { createWasmKernels } from '../../kernels/wasm-kernels.ts'
import { SydraError } from '../../lib/errors.ts'
import type { WorkerContext } from '../../lib/ports.ts'
import { compareUtf8 } from '../../lib/text.ts'
import { newReadStatistics } from '../read-statistics.ts'
import { retentionRules } from '../retention/rules.ts'
import { segmentEnvironment } from '../segment/environment.ts'
import { MetricTombstones } from '../tombstones/tombstones.ts'
import type { FieldInfo, ReadStatistics } from '../types.ts'
import type { MergeJob, MergeProgress, MergeResult } from './job.ts'
import { type MergedMetric, MergeOutputs } from './output.ts'
import { mergeSeries, placesIn, SourceKeys } from './series.ts'
import { type MetricSlices, mergedSlices } from './slices.ts'
import { MergeSource, SourceMetric } from './source.ts'

/** Chunks that the next slice may need again: the group of each input that it cuts. */
const cacheBytesMax = 8 * 2 ** 20
const inputCacheBytes = 2 ** 19
/** Progress is told after so many more bytes. */
const progressBytes = 4 * 2 ** 20
/** A pause of the rate limit is worth it from here on. */
const pauseMinMs = 5

/** Throws `corrupt_segment`, `disk_full`, `io_error`, and the reason of the signal. */
export async function merge(job: MergeJob, context: WorkerContext<MergeProgress>): Promise<MergeResult> {
  const { ports, signal } = context
  const startedMs = ports.clock.monotonicMs()
  const kernels = createWasmKernels()
  const { directory, inputs } = job
  const environment = segmentEnvironment(ports, kernels, {
    directory,
    openFilesMax: inputs.length,
    cacheBytesMax: Math.min(inputs.length * inputCacheBytes, cacheBytesMax),
  })
  const statistics = newReadStatistics()
  const sources: MergeSource[] = []
  let outputs: MergeOutputs | undefined
  try {
    for (const input of inputs) {
      sources.push(new MergeSource(environment, input, job, statistics))
      await turn(context)
    }
    const rules = retentionRules(job.retention)
    const keys = new SourceKeys(sources)
    outputs = new MergeOutputs(job, { ports, kernels, rules, keys })
    const pace = new Pace(job, context, startedMs)
    for (const [id, name] of metricNames(sources).entries()) {
      const fromUs = job.keepExpired ? -Infinity : rules.horizonUs(name, job.nowUs)
      const { slices, ...metric } = metricSlices(job, id, name, sources, keys, fromUs)
      for (const { rows, beginsSeries } of mergedSlices(slices)) {
        outputs.rows(metric, rows, beginsSeries)
        await pace.after(statistics, outputs.bytesWritten)
      }
    }
    signal.throwIfAborted()
    const segments = await outputs.publish()
    pace.tell(statistics, outputs.bytesWritten)
    return {
      segments,
      rowsRead: statistics.rowsScanned,
      rowsWritten: outputs.rowsWritten,
      bytesRead: statistics.bytesRead,
      bytesWritten: outputs.bytesWritten,
      elapsedMs: ports.clock.monotonicMs() - startedMs,
    }
  } catch (error) {
    outputs?.abandon()
    throw error
  } finally {
    // Of an input that could not be read to its footer, too.
    environment.files.closeAll()
  }
}

/** Of all sources, in byte order. */
function metricNames(sources: readonly MergeSource[]): string[] {
  const names = new Set(sources.flatMap(({ footer }) => footer.metrics.map(({ name }) => name)))
  return [...names].sort(compareUtf8)
}

function metricSlices(
  job: MergeJob,
  id: number,
  name: string,
  sources: readonly MergeSource[],
  keys: SourceKeys,
  fromUs: number,
): MergedMetric & { readonly slices: MetricSlices } {
  const fields = unitedFields(name, sources)
  const tombstones = job.tombstones.filter(({ metric }) => metric === name).map(each => ({ ...each, metric: id }))
  const deleted = MetricTombstones.of(tombstones.toSorted((a, b) => a.lsn - b.lsn))
  const rows = sources.flatMap(source => {
    const metric = source.metric(name)
    return metric === undefined ? [] : [new SourceMetric(source, metric, fields)]
  })
  const series = mergeSeries(name, rows, keys)
  const merged = rows.map(each => ({
    rows: each,
    places: placesIn(series, each),
    tombstones: deleted.above(each.source.input.deletesLsn),
  }))
  const groups = rows.flatMap(({ metric }) => metric.groups)
  return {
    metric: { id, name, fields },
    outlook: {
      rows: groups.reduce((sum, group) => sum + group.rows, 0),
      series: series.length,
      spanUs:
        groups.reduce((max, { maxTimeUs }) => Math.max(max, maxTimeUs), -Infinity) -
        groups.reduce((min, { minTimeUs }) => Math.min(min, minTimeUs), Infinity),
    },
    slices: { sources: merged, series, fields, duplicates: job.duplicates, fromUs },
  }
}

/** The fields that any source has, in the order in which they came to be. */
function unitedFields(name: string, sources: readonly MergeSource[]): FieldInfo[] {
  const fields = new Map<string, FieldInfo>()
  for (const source of sources) {
    for (const field of source.metric(name)?.fields ?? []) {
      const known = fields.get(field.name)
      if (known === undefined) fields.set(field.name, { id: fields.size, ...field })
      else if (known.type !== field.type)
        throw new SydraError(
          'corrupt_segment',
          `segment ${source.input.path} has field ${field.name} of ${name} as ${field.type}, earlier ones as ${known.type}`,
        )
    }
  }
  return [...fields.values()]
}

/** Others get a turn, and the last word. */
async function turn({ ports, signal }: WorkerContext<MergeProgress>): Promise<void> {
  await new Promise<void>(resolve => ports.timers.soon(resolve))
  signal.throwIfAborted()
}

/** Keeps to the rate, gives turns, tells of progress. */
class Pace {
  readonly #job: MergeJob
  readonly #context: WorkerContext<MergeProgress>
  readonly #bytesTotal: number
  readonly #startedMs: number
  #toldBytes = 0

  constructor(job: MergeJob, context: WorkerContext<MergeProgress>, startedMs: number) {
    this.#job = job
    this.#context = context
    this.#startedMs = startedMs
    this.#bytesTotal = job.inputs.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  async after(statistics: ReadStatistics, bytesWritten: number): Promise<void> {
    if (statistics.bytesRead + bytesWritten - this.#toldBytes >= progressBytes) this.tell(statistics, bytesWritten)
    const { bytesPerSecondMax } = this.#job
    const { clock } = this.#context.ports
    if (bytesPerSecondMax > 0) {
      const dueMs = ((statistics.bytesRead + bytesWritten) * 1000) / bytesPerSecondMax
      const aheadMs = dueMs - (clock.monotonicMs() - this.#startedMs)
      if (aheadMs >= pauseMinMs) await this.#pause(aheadMs)
    }
    await turn(this.#context)
  }

  tell({ bytesRead, rowsScanned }: ReadStatistics, bytesWritten: number): void {
    this.#toldBytes = bytesRead + bytesWritten
    this.#context.progress({ rowsRead: rowsScanned, bytesRead, bytesWritten, bytesTotal: this.#bytesTotal })
  }

  async #pause(ms: number): Promise<void> {
    const { ports, signal } = this.#context
    await new Promise<void>(resolve => {
      const cancel = ports.timers.after(ms, done)
      function done(): void {
        signal.removeEventListener('abort', done)
        cancel()
        resolve()
      }
      signal.addEventListener('abort', done)
    })
  }
}
