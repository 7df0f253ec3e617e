/**
 * A store as flushes leave it: unsettled segments, one after the other in time, cut into windows as flushes do, written by the
 * storage layer.
 *
 *   cpu   `hosts` series of one field, a row each every 10 s from Monday, 1 January 2024 on: two-decimal random walks
 */
import { createWasmKernels } from '../src/kernels/wasm-kernels.ts'
import { nodePorts } from '../src/lib/node/ports.ts'
import { openCatalog } from '../src/storage/catalog/store.ts'
import { createManifest } from '../src/storage/manifest/manifest.ts'
import { newManifestState } from '../src/storage/manifest/state.ts'
import { RowBuffer } from '../src/storage/row-buffer.ts'
import { SegmentWriter } from '../src/storage/segment/encode.ts'
import { HourSizes, planWindows } from '../src/storage/segment/partition.ts'
import { createSegment, publishAll, segmentPath } from '../src/storage/segment/publish.ts'
import { metaOf } from '../src/storage/segment/recover.ts'
import type { SegmentMeta } from '../src/storage/types.ts'
import { normal, uniform } from './random.ts'

/** `uniform`: each hundredth from -1 to 1 as likely; `normal`: standard deviation 1, as TSBS has it. */
export type Steps = 'uniform' | 'normal'

/** A step of a walk, in hundredths. */
export function stepsOf(steps: Steps, random: () => number): () => number {
  if (steps === 'uniform') return () => Math.round((random() - 0.5) * 200)
  const step = normal(random)
  return () => Math.round(step() * 100)
}

export interface History {
  readonly dataDir: string
  readonly hosts: number
  readonly points: number
  /** Of one flush. */
  readonly flushRows: number
  readonly steps: Steps
}

export const historyStartMs = Date.UTC(2024, 0, 1)
export const historyStepMs = 10_000
export const hostName = (host: number): string => `host_${String(host).padStart(4, '0')}`

const timeUsOf = (row: number): number => (historyStartMs + row * historyStepMs) * 1000
/** As flushes estimate it: a time and a number. */
const encodedRowBytes = 1.75

/** The directory must not be there. Returns how many rows there are. */
export async function writeHistory({ dataDir, hosts, points, flushRows, steps }: History): Promise<number> {
  const ports = nodePorts()
  const kernels = createWasmKernels()
  const store = await openCatalog({ ports, directory: dataDir, seriesMax: 1e7 })
  const { catalog } = store
  const metric = catalog.useMetric('cpu')
  const field = catalog.useField(metric, 'value', 'float')
  const ordinals = Array.from({ length: hosts }, (_, host) => catalog.useSeries(metric, [['hostname', hostName(host)]]))
  const step = stepsOf(steps, uniform(20_240_101))
  const hundredths = Array.from({ length: hosts }, () => 5000)
  const rowsPerHost = Math.ceil(points / hosts)
  const rowsPerFlush = Math.max(1, Math.floor(flushRows / hosts))
  const hostsAtOnce = Math.max(1, Math.floor(65_536 / rowsPerFlush))
  const segments: SegmentMeta[] = []
  let flushes = 0
  for (let first = 0; first < rowsPerHost; first += rowsPerFlush) {
    const count = Math.min(rowsPerFlush, rowsPerHost - first)
    const lsn = ++flushes
    const hours = new HourSizes()
    hours.add(
      Float64Array.from({ length: count }, (_, row) => timeUsOf(first + row)),
      count,
      hosts * encodedRowBytes,
    )
    const plan = planWindows(hours)
    const parts = plan.names.map((window, n) => {
      const path = segmentPath(window, String(segments.length + n + 1).padStart(10, '0'))
      const file = createSegment(ports.files, dataDir, path)
      const head = { minLsn: lsn, maxLsn: lsn, incarnation: catalog.incarnation }
      return { path, file, writer: new SegmentWriter(head, kernels, ports.checksums, ports.zstd, file) }
    })
    for (let from = 0; from < hosts; from += hostsAtOnce) {
      const to = Math.min(from + hostsAtOnce, hosts)
      const rows = new RowBuffer([field], (to - from) * count)
      const { values, valid } = rows.fields[0]!
      for (let host = from; host < to; host++) {
        for (let row = first; row < first + count; row++) {
          const at = rows.length++
          hundredths[host]! += step()
          rows.series[at] = ordinals[host]!
          rows.timeUs[at] = timeUsOf(row)
          values[at] = hundredths[host]! / 100
        }
      }
      valid.fill(1)
      for (const [n, selection] of plan.split(rows).entries()) parts[n]!.writer.rows(metric, rows, selection)
    }
    const metas = parts.map(({ path, writer }) => metaOf(writer.close(catalog).seal(1), path))
    const files = parts.map(({ file }) => file)
    await publishAll(ports.files, dataDir, files)
    segments.push(...metas)
  }
  await store.checkpoint()
  await store.close()
  const state = newManifestState(ports.random.bytes(new Uint8Array(16)), 'last')
  const flushed = { flushedLsn: flushes, nextSegment: segments.length + 1, segments }
  await (await createManifest(ports, dataDir, { ...state, ...flushed })).close()
  return rowsPerHost * hosts
}
