import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { Catalog } from '../../../src/storage/catalog/catalog.ts'
import { loadSeriesHasher, type SeriesHasher } from '../../../src/storage/catalog/identity.ts'
import { ChunkMemory, ChunkPool, chunkRowsMax, slabBytes } from '../../../src/storage/memtable/chunk-memory.ts'
import type { FrozenTable } from '../../../src/storage/memtable/frozen-table.ts'
import { Memtable, type MemtableView } from '../../../src/storage/memtable/memtable.ts'
import { sortedSlices } from '../../../src/storage/memtable/sorted-rows.ts'
import { newReadStatistics } from '../../../src/storage/read-statistics.ts'
import { RowBuffer } from '../../../src/storage/row-buffer.ts'
import type {
  FieldInfo,
  FieldRows,
  FieldType,
  MetricInfo,
  ReadRequest,
  RowBatch,
  SeriesSet,
} from '../../../src/storage/types.ts'

let hash: SeriesHasher
beforeAll(async () => {
  hash = await loadSeriesHasher()
})

type Value = number | string
interface Row {
  readonly metric: string
  readonly host: number
  readonly timeUs: number
  readonly values: ReadonlyMap<string, Value>
}
const types: Record<string, FieldType> = { f: 'float', i: 'integer', b: 'boolean', s: 'string' }

class Harness {
  readonly catalog = new Catalog({ incarnation: '00'.repeat(16), hash, seriesMax: 100_000 })
  readonly memory: ChunkMemory
  readonly memtable: Memtable
  readonly duplicates: 'last' | 'first'
  /** All rows in the order of appending, with what the catalog calls their series. */
  readonly rows: (Row & { series: number })[] = []
  lsn = 0

  constructor(duplicates: 'last' | 'first', pool?: ChunkPool) {
    this.duplicates = duplicates
    this.memory = new ChunkMemory(pool)
    this.memtable = new Memtable({ duplicates, memory: this.memory })
  }

  /** What another thread would make of a table. */
  slices(table: FrozenTable, rowsMax?: number): Generator<RowBuffer> {
    const { id } = table.metric
    const ranks = this.catalog.ranks(id).slice()
    return sortedSlices(structuredClone(table), ranks, this.catalog.seriesOf(id).length, this.duplicates, rowsMax)
  }

  append(rows: readonly Row[]): void {
    this.memtable.append(this.batch(rows), ++this.lsn)
  }

  batch(rows: readonly Row[]): RowBatch {
    const names = [...new Set(rows.map(row => row.metric))]
    const metrics = names.map(name => {
      const metric = this.catalog.useMetric(name)
      const own = rows.filter(row => row.metric === name)
      const series = Uint32Array.from(own, row => this.catalog.useSeries(metric, [['host', `h${row.host}`]]))
      const fieldNames = [...new Set(own.flatMap(row => [...row.values.keys()]))]
      return {
        metric,
        length: own.length,
        series,
        timeUs: Float64Array.from(own, row => row.timeUs),
        fields: fieldNames.map(field => this.column(metric, field, own)),
      }
    })
    for (const row of rows) {
      const metric = this.catalog.useMetric(row.metric)
      this.rows.push({ ...row, series: this.catalog.useSeries(metric, [['host', `h${row.host}`]]) })
    }
    return { metrics, rowCount: rows.length, byteLength: 0 }
  }

  column(metric: MetricInfo, name: string, rows: readonly Row[]): FieldRows {
    const type = types[name]!
    const values =
      type === 'string'
        ? new Uint32Array(rows.length)
        : type === 'boolean'
          ? new Uint8Array(rows.length)
          : new Float64Array(rows.length)
    const valid = new Uint8Array(rows.length)
    // A code no row uses must not show anywhere.
    const strings = ['unused']
    rows.forEach((row, i) => {
      const value = row.values.get(name)
      if (value === undefined) return
      valid[i] = 1
      values[i] = typeof value === 'string' ? strings.push(value) - 1 : value
    })
    return {
      field: this.catalog.useField(metric, name, type),
      values,
      valid: valid.includes(0) ? valid : undefined,
      strings: type === 'string' ? strings : undefined,
    }
  }

  /** What the first `count` rows come to: merged, by (series rank, time). */
  expected(count: number, request: Omit<ReadRequest, 'statistics'>): unknown[] {
    const ranks = this.catalog.ranks(request.metric.id)
    const merged = new Map<string, { series: number; timeUs: number; values: Map<string, Value> }>()
    for (const row of this.rows.slice(0, count)) {
      if (row.metric !== request.metric.name || row.timeUs < request.fromUs || row.timeUs >= request.toUs) continue
      if (request.series && !request.series.has(row.series)) continue
      const key = `${row.series} ${row.timeUs}`
      const known = merged.get(key)
      if (known === undefined) merged.set(key, { series: row.series, timeUs: row.timeUs, values: new Map(row.values) })
      else
        for (const [name, value] of row.values)
          if (this.duplicates === 'last' || !known.values.has(name)) known.values.set(name, value)
    }
    return [...merged.values()]
      .sort((a, b) => ranks[a.series]! - ranks[b.series]! || a.timeUs - b.timeUs)
      .map(row => [row.series, row.timeUs, ...request.fields.map(field => row.values.get(field.name) ?? null)])
  }
}

function* contents(buffer: RowBuffer): Generator<unknown[]> {
  for (let i = 0; i < buffer.length; i++)
    yield [
      buffer.series[i],
      buffer.timeUs[i],
      ...buffer.fields.map(({ valid, values, dictionary }) =>
        valid[i] === 0 ? null : dictionary ? dictionary.at(values[i]!) : values[i]!,
      ),
    ]
}

const statistics = newReadStatistics
const setOf = (ordinals: number[]): SeriesSet => ({
  ordinals: Uint32Array.from(ordinals).sort(),
  has: ordinal => ordinals.includes(ordinal),
})

/** Reads the request's pieces in windows and merges them as a scan would: later pieces after earlier ones. */
function readAll(
  harness: Harness,
  view: MemtableView,
  request: Omit<ReadRequest, 'statistics'>,
  windowUs: number,
): unknown[] {
  const { catalog, duplicates } = harness
  const full = { ...request, statistics: statistics() }
  const ranks = catalog.ranks(request.metric.id)
  const pieces = view.pieces(full, catalog)
  const merged = new Map<string, unknown[]>()
  for (const piece of pieces) {
    let rows = 0
    const from = Math.max(request.fromUs, piece.minTimeUs)
    const to = Math.min(request.toUs, piece.maxTimeUs + 1)
    for (let startUs = from; startUs < to; startUs += windowUs) {
      const buffer = new RowBuffer(request.fields, 1)
      piece.read(startUs, Math.min(to, startUs + windowUs), buffer)
      rows += buffer.length
      let last: unknown[] | undefined
      for (const row of contents(buffer)) {
        const [series, timeUs] = row as [number, number]
        // One `expect` a row would take most of the time.
        const [lastSeries, lastTime] = (last ?? [series, Number.NEGATIVE_INFINITY]) as [number, number]
        const ascends = (ranks[lastSeries]! - ranks[series]! || lastTime - timeUs) < 0
        const fits = timeUs >= Math.max(piece.minTimeUs, request.fromUs) && timeUs <= piece.maxTimeUs
        if (!ascends || !fits || (piece.series ?? series) !== series) expect.unreachable(`row ${row} is out of place`)
        last = row
        const known = merged.get(`${series} ${timeUs}`)
        if (known === undefined) merged.set(`${series} ${timeUs}`, row)
        else
          for (let i = 2; i < row.length; i++)
            known[i] = duplicates === 'last' ? (row[i] ?? known[i]) : (known[i] ?? row[i])
      }
    }
    expect(rows).toBeLessThanOrEqual(piece.rows)
  }
  return [...merged.values()].sort(
    (a, b) => ranks[a[0] as number]! - ranks[b[0] as number]! || (a[1] as number) - (b[1] as number),
  )
}

const someRow = fc.record({
  metric: fc.constantFrom('m', 'm', 'n'),
  host: fc.nat(5),
  timeUs: fc.nat(60),
  values: fc
    .record({ f: fc.double(), i: fc.integer(), b: fc.nat(1), s: fc.constantFrom('', 'x', 'yy') }, { requiredKeys: [] })
    .filter(values => Object.keys(values).length > 0)
    .map(values => new Map<string, Value>(Object.entries(values))),
})
const someStep = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.array(someRow, { minLength: 1, maxLength: 40 }).map(rows => ({ kind: 'append' as const, rows })),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'view' as const }) },
)
const someRequest = fc.record({
  metric: fc.constantFrom('m', 'n'),
  from: fc.option(fc.nat(60)),
  width: fc.option(fc.nat(40)),
  hosts: fc.option(fc.uniqueArray(fc.nat(6), { maxLength: 6 })),
  fields: fc.shuffledSubarray(['f', 'i', 'b', 's']),
  windowUs: fc.integer({ min: 5, max: 100 }),
})

describe('memtable', () => {
  test('views answer as the rows appended until then do', () => {
    fc.assert(
      fc.property(
        fc.array(someStep, { maxLength: 12 }),
        fc.array(someRequest, { minLength: 4, maxLength: 4 }),
        fc.constantFrom('last' as const, 'first' as const),
        fc.integer({ min: 1, max: 40 }),
        (steps, requests, duplicates, sliceRowsMax) => {
          const harness = new Harness(duplicates)
          const views: { view: MemtableView; count: number }[] = []
          const look = (): void => void views.push({ view: harness.memtable.view(), count: harness.rows.length })
          const ask = (): void => {
            for (const { view, count } of views)
              for (const { metric: name, from, width, hosts, fields, windowUs } of requests) {
                const metric = harness.catalog.metric(name)
                if (metric === undefined) continue
                const fromUs = from ?? Number.NEGATIVE_INFINITY
                const known = hosts?.map(host => harness.catalog.useSeries(metric, [['host', `h${host}`]]))
                const request = {
                  metric,
                  fields: fields
                    .map(field => metric.fields.find(other => other.name === field))
                    .filter((f): f is FieldInfo => f !== undefined),
                  fromUs,
                  toUs: width === null ? Number.POSITIVE_INFINITY : (from ?? 0) + width,
                  series: known && setOf(known),
                }
                expect(readAll(harness, view, request, windowUs)).toEqual(harness.expected(count, request))
              }
          }
          look()
          for (const step of steps) {
            if (step.kind === 'append') harness.append(step.rows)
            else look()
          }
          look()
          ask()
          const frozen = harness.memtable.freeze()
          expect(frozen.rowCount).toBe(harness.rows.length)
          expect(frozen.minTimeUs).toBe(Math.min(...harness.rows.map(row => row.timeUs)))
          expect(frozen.maxTimeUs).toBe(Math.max(...harness.rows.map(row => row.timeUs)))
          for (const table of frozen.tables()) {
            const { metric } = table
            const sorted: unknown[] = []
            let fields: readonly FieldInfo[] = []
            for (const rows of harness.slices(table, sliceRowsMax)) {
              expect(rows.length <= sliceRowsMax || new Set(rows.series.subarray(0, rows.length)).size === 1).toBe(true)
              fields = rows.fields.map(({ field }) => field)
              sorted.push(...contents(rows))
            }
            const all = { metric, fields, fromUs: -Infinity, toUs: Infinity, series: undefined }
            expect(sorted).toEqual(harness.expected(harness.rows.length, all))
            const names = new Set(
              harness.rows.filter(row => row.metric === metric.name).flatMap(row => [...row.values.keys()]),
            )
            expect(new Set(fields.map(field => field.name))).toEqual(names)
          }
          ask()
        },
      ),
      { numRuns: 120 },
    )
  })

  test('many chunks: batches across their borders, late rows, one series without scanning the rest', () => {
    const harness = new Harness('last')
    const hosts = 50
    const ticks = 1200
    let row = 0
    for (let tick = 0; tick < ticks; tick += 40) {
      const rows: Row[] = []
      for (let t = tick; t < tick + 40; t++)
        for (let host = 0; host < hosts; host++) {
          const late = row++ % 997 === 0 ? 300 : 0
          const values = new Map<string, Value>([['f', row]])
          if (row > 20_000 && row % 3 === 0) values.set('s', `s${row % 10}`)
          rows.push({ metric: 'm', host, timeUs: Math.max(0, t - late) * 1000, values })
        }
      harness.append(rows)
    }
    const { catalog, memtable } = harness
    const metric = catalog.metric('m')!
    const view = memtable.view()
    const [fields, one] = [metric.fields, setOf([17])]
    const requests = [
      { metric, fields, fromUs: -Infinity, toUs: Infinity, series: undefined },
      { metric, fields, fromUs: 300_000, toUs: 420_000, series: undefined },
      { metric, fields, fromUs: 300_000, toUs: 420_000, series: setOf([3, 17, 44]) },
      { metric, fields, fromUs: -Infinity, toUs: Infinity, series: one },
      { metric, fields: [metric.fields[1]!], fromUs: 1_100_000, toUs: Infinity, series: one },
    ]
    for (const request of requests)
      expect(readAll(harness, view, request, 100_000)).toEqual(harness.expected(harness.rows.length, request))

    const counted = { ...requests[1]!, statistics: statistics() }
    const pieces = view.pieces(counted, catalog)
    expect(pieces.length).toBeLessThan(4)
    const alone = { ...requests[3]!, statistics: statistics() }
    const [linked, ...others] = view.pieces(alone, catalog)
    expect(others).toEqual([])
    expect(linked).toMatchObject({ series: 17, whole: false, rows: ticks })
    linked!.read(-Infinity, Infinity, new RowBuffer(fields))
    expect(alone.statistics.rowsScanned).toBe(ticks)
    expect(view.pieces({ ...alone, series: setOf([]) }, catalog)).toEqual([])
    expect(linked!.statistics(0)).toBeUndefined()

    const sorted: unknown[] = []
    for (const table of memtable.freeze().tables())
      for (const rows of harness.slices(table, 5000)) sorted.push(...contents(rows))
    expect(sorted).toEqual(harness.expected(harness.rows.length, requests[0]!))
  })

  test('more series than a chunk has rows', () => {
    const harness = new Harness('last')
    const hosts = 20_000
    const rows: Row[] = []
    for (let i = 0; i < 2 * hosts; i++)
      rows.push({
        metric: 'm',
        host: (i * 7919) % hosts,
        timeUs: i < hosts ? 2000 : 1000 * (i % 3),
        values: new Map([['f', i]]),
      })
    harness.append(rows)
    const metric = harness.catalog.metric('m')!
    const sorted: unknown[] = []
    for (const table of harness.memtable.freeze().tables())
      for (const slice of harness.slices(table, 3000)) sorted.push(...contents(slice))
    const all = { metric, fields: metric.fields, fromUs: -Infinity, toUs: Infinity, series: undefined }
    expect(sorted).toEqual(harness.expected(rows.length, all))
  })

  test('the memory of one serves the next, and nothing of it shows', () => {
    const pool = new ChunkPool()
    const everything: [string, Value][] = [
      ['f', 7],
      ['i', 7],
      ['b', 1],
      ['s', 'seven'],
    ]
    const fill = (rows: number, valuesOf: (i: number) => ReadonlyMap<string, Value>): Harness => {
      const harness = new Harness('last', pool)
      for (let from = 0; from < rows; from += 10_000)
        harness.append(
          Array.from({ length: Math.min(10_000, rows - from) }, (_, i) => ({
            metric: 'm',
            host: i % 9,
            timeUs: from + i,
            values: valuesOf(from + i),
          })),
        )
      return harness
    }
    const first = fill(3 * chunkRowsMax, () => new Map(everything))
    first.memtable.freeze()
    first.memory.release()
    for (let round = 0; round < 2; round++) {
      // Fields come and go by the thousand rows: some begin in a chunk, some are missing at its end.
      const sparse = fill(2 * chunkRowsMax + 777, i => new Map([everything[Math.floor(i / 3000) % 4]!]))
      const metric = sparse.catalog.metric('m')!
      const all = { metric, fields: metric.fields, fromUs: -Infinity, toUs: Infinity, series: undefined }
      const expected = sparse.expected(sparse.rows.length, all)
      expect(readAll(sparse, sparse.memtable.view(), all, 10_000)).toEqual(expected)
      const sorted: unknown[] = []
      for (const table of sparse.memtable.freeze().tables())
        for (const rows of sparse.slices(table)) sorted.push(...contents(rows))
      expect(sorted).toEqual(expected)
      sparse.memory.release()
    }
    // What waits is no more than the last one took.
    const small = new Harness('last', pool)
    small.append([{ metric: 'm', host: 1, timeUs: 1, values: new Map(everything) }])
    small.memtable.freeze()
    small.memory.release()
    expect(pool.bytes).toBeLessThan(8 * slabBytes)
    expect(pool.stats()).toMatchObject({ slabsInUse: 0, slabsWaiting: pool.bytes / slabBytes })
  })

  test('grows in bytes with rows and strings, and knows its LSNs', () => {
    const harness = new Harness('last')
    const { memtable, memory } = harness
    expect(memtable.view().rowCount).toBe(0)
    const start = memory.bytes
    harness.append([{ metric: 'm', host: 1, timeUs: 5, values: new Map([['f', 1]]) }])
    expect([memtable.minLsn, memtable.maxLsn, memtable.rowCount]).toEqual([1, 1, 1])
    const one = memory.bytes
    expect(one).toBeGreaterThan(start)
    harness.append([{ metric: 'm', host: 1, timeUs: 6, values: new Map([['s', 'x'.repeat(10_000)]]) }])
    expect(memory.bytes).toBeGreaterThan(one + 20_000)
    expect([memtable.minLsn, memtable.maxLsn]).toEqual([1, 2])
    const view = memtable.view()
    memtable.freeze()
    expect(() => harness.append([{ metric: 'm', host: 1, timeUs: 7, values: new Map([['f', 1]]) }])).toThrow(/frozen/)
    expect(view.rowCount).toBe(2)
  })
})
