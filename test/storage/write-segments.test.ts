/** A flush large enough for a thread: the same files whoever encodes it, and no flush fails with a thread. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openStorage, type Storage } from '../../src/engine/recovery/open-storage.ts'
import { inlineWorkers } from '../../src/lib/inline-workers.ts'
import { memoryFiles } from '../../src/lib/memory-files.ts'
import { nodePorts } from '../../src/lib/node/ports.ts'
import type { Ports, Workers } from '../../src/lib/ports.ts'
import { parseSettings } from '../../src/lib/settings.ts'
import type { FieldRows, FieldType, RowBatch, SegmentMeta } from '../../src/storage/types.ts'
import { SeededRandom } from '../simulated/random.ts'

const startUs = Date.UTC(2024, 2, 1) * 1000
const dayUs = 86_400e6
const fieldTypes: Readonly<Record<string, FieldType>> = { f: 'float', n: 'integer', b: 'boolean', s: 'string' }
const rowsInAll = 160_000
const rowsPerBatch = 20_000
const hosts = 37

const opened: Storage[] = []
afterAll(() => Promise.all(opened.map(storage => storage.close())))

interface Flushed {
  readonly segments: readonly SegmentMeta[]
  readonly files: readonly (readonly [path: string, bytes: Uint8Array])[]
  readonly warnings: readonly string[]
}

/** Fills a memtable of some 10 MB, with a delete in it and rows of two namespaces, and writes its segments. */
async function flushed(workers: Workers): Promise<Flushed> {
  const files = memoryFiles()
  const warnings: string[] = []
  const ports: Ports = {
    ...nodePorts(),
    files,
    workers,
    random: new SeededRandom(7),
    clock: { nowUs: () => startUs + 3 * dayUs, monotonicMs: () => 0 },
    log: (level, message) => void (level === 'warn' && warnings.push(message)),
  }
  const settings = parseSettings({ dataDir: 'data', fsync: 'none', retention: { short: 2.5 } })
  const storage = await openStorage(settings, ports, () => {})
  opened.push(storage)
  const { versions } = storage
  let lsn = 0
  for (let from = 0; from < rowsInAll; from += rowsPerBatch)
    versions.apply(++lsn, [batchOf(storage, from % 60_000 === 0 ? 'short.cpu' : 'cpu', from)])
  const metric = storage.catalog.metric('cpu')!
  versions.delete(++lsn, { metric: metric.id, series: undefined, fromUs: startUs, toUs: startUs + dayUs / 2 }, metric)
  versions.apply(++lsn, [batchOf(storage, 'cpu', 1000)])
  versions.freeze()
  const [frozen] = versions.frozen
  const segments = await storage.writeSegments(frozen!)
  const bytesOf = (path: string): Uint8Array => {
    const file = files.open(`data/${path}`, 'read')
    const bytes = new Uint8Array(file.size())
    file.read(bytes, 0)
    file.close()
    return bytes
  }
  return { segments, files: segments.map(({ path }) => [path, bytesOf(path)]), warnings }
}

function batchOf({ catalog }: Storage, name: string, from: number): RowBatch {
  const metric = catalog.useMetric(name)
  const series = Array.from({ length: hosts }, (_, host) =>
    catalog.useSeries(metric, [['host', `h${(host * 7) % hosts}`]]),
  )
  const rows = Array.from({ length: rowsPerBatch }, (_, i) => from + i)
  const fields = Object.entries(fieldTypes).map(([field, type]): FieldRows => {
    const value = (row: number): number =>
      type === 'boolean' ? row % 2 : type === 'string' ? row % 11 : (row % 997) / 4
    const array = type === 'boolean' ? Uint8Array : type === 'string' ? Uint32Array : Float64Array
    return {
      field: catalog.useField(metric, field, type),
      values: array.from(rows.map(row => (type === 'integer' ? Math.floor(value(row)) : value(row)))),
      valid: type === 'float' ? undefined : Uint8Array.from(rows, row => Number(row % 5 !== 0)),
      strings: type === 'string' ? Array.from({ length: 11 }, (_, i) => `text ${i}`) : undefined,
    }
  })
  const own = {
    metric,
    length: rowsPerBatch,
    series: Uint32Array.from(rows, row => series[row % hosts]!),
    // Some rows are late, and some come twice.
    timeUs: Float64Array.from(rows, row => startUs + (row % 13 === 0 ? Math.floor(row / 2) : row) * 1.5e6),
    fields,
  }
  return { metrics: [own], rowCount: rowsPerBatch, byteLength: 0 }
}

let here: Flushed
beforeAll(async () => {
  here = await flushed(inlineWorkers)
})

test('a thread writes the same files', async () => {
  expect(here.segments.reduce((sum, { rows }) => sum + rows, 0)).toBeLessThan(rowsInAll)
  expect(here.segments.some(({ namespace }) => namespace === 'short')).toBe(true)
  const { workers } = nodePorts()
  let runs = 0
  const threads: Workers = {
    run: (task, input, context) => {
      runs++
      return workers.run(task, input, context)
    },
  }
  expect(await flushed(threads)).toEqual(here)
  // The thread that waits takes the next one.
  expect(await flushed(threads)).toEqual(here)
  expect(runs).toBe(2)
})

test('where threads fail, it is done without', async () => {
  const { segments, files, warnings } = await flushed({ run: () => Promise.reject(new Error('no more threads')) })
  expect({ segments, files }).toEqual({ segments: here.segments, files: here.files })
  expect(warnings).toEqual(['a flush is encoded beside everything else: its thread failed'])
})
