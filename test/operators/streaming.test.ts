/** Streams: first rows early, bounded memory, early ends, cancellation, limits. */
import { describe, expect, test } from 'vitest'
import { rowCount } from '../../src/columnar/batch.ts'
import { SydraError } from '../../src/lib/errors.ts'
import { execute } from '../../src/operators/execute.ts'
import type { ExecutionContext } from '../../src/operators/operator.ts'
import { catalogTables } from '../../src/operators/show.ts'
import type { RowBuffer } from '../../src/storage/row-buffer.ts'
import type { Piece, ReadRequest, Version } from '../../src/storage/types.ts'
import { type FakeDatabase, type FakeSeries, fakeCatalog, fakeContext } from './fake-database.ts'
import { planOf, rowsOf, run } from './support.ts'

const series: FakeSeries[] = Array.from({ length: 100 }, (_, i) => ({ metric: 'cpu', tags: { host: `h${i}` } }))
const database: FakeDatabase = {
  catalog: fakeCatalog({ cpu: { usage: 'float', note: 'string' } }, series),
  series,
  pieces: {},
}

/** Pieces of one series and 8,192 rows each, a row a second, made up as they are read. */
class GeneratedVersion implements Version {
  readonly lsn = 1
  readonly horizonUs = () => -Infinity
  rowsRead = 0
  largest = 0
  listed = 0
  readonly #perSeries: number
  readonly #seriesCount: number
  constructor(seriesCount: number, rowsPerSeries: number) {
    this.#seriesCount = seriesCount
    this.#perSeries = rowsPerSeries
  }
  pieces(request: ReadRequest): Piece[] {
    const pieces: Piece[] = []
    for (let ordinal = 0; ordinal < this.#seriesCount; ordinal++)
      for (let from = 0; from < this.#perSeries; from += 8192)
        if (
          (request.series === undefined || request.series.has(ordinal)) &&
          from * 1e6 < request.toUs &&
          (from + 8191) * 1e6 >= request.fromUs
        )
          pieces.push(this.#piece(request, ordinal, from, Math.min(8192, this.#perSeries - from)))
    this.listed += pieces.length
    return pieces
  }
  sources() {
    const rows = this.#seriesCount * this.#perSeries
    return [{ rows, minTimeUs: 0, maxTimeUs: (this.#perSeries - 1) * 1e6, segment: this }]
  }
  release(): void {}

  #piece(request: ReadRequest, ordinal: number, first: number, rows: number): Piece {
    return {
      rows,
      minTimeUs: first * 1e6,
      maxTimeUs: (first + rows - 1) * 1e6,
      series: ordinal,
      source: this,
      whole: true,
      statistics: () => undefined,
      read: (fromUs, toUs, into: RowBuffer) => {
        const from = Math.max(first, Math.ceil(fromUs / 1e6))
        const to = Math.min(first + rows, Math.ceil(toUs / 1e6))
        if (to <= from) return
        into.reserve(to - from)
        for (let second = from; second < to; second++) {
          const at = into.length++
          into.series[at] = ordinal
          into.timeUs[at] = second * 1e6
          for (const field of into.fields) {
            field.values[at] = second % 60
            field.valid[at] = 1
          }
        }
        this.rowsRead += to - from
        request.statistics.rowsScanned += to - from
        this.largest = Math.max(this.largest, into.length)
      },
    }
  }
}

const start = (text: string, context: Partial<ExecutionContext> = {}) =>
  execute(planOf(text, database), fakeContext(database, context))

describe('a scan by time', () => {
  test('holds one window, whatever the range', async () => {
    const version = new GeneratedVersion(100, 10_000)
    let rows = 0
    let last = -Infinity
    const { stream } = start('select time, usage from cpu', { version, windowRowsMax: 20_000 })
    for await (const batch of stream) {
      const times = batch.columns[0]!.values
      expect(times[0]).toBeGreaterThanOrEqual(last)
      last = times[batch.length - 1]!
      rows += rowCount(batch)
    }
    expect(rows).toBe(1_000_000)
    expect(version.largest).toBeLessThanOrEqual(40_000)
  })
  test('gives its first rows after a small window', async () => {
    const version = new GeneratedVersion(100, 10_000)
    const { stream } = start('select time, usage from cpu', { version })
    await stream.next()
    expect(version.rowsRead).toBeLessThan(20_000)
    await stream.return()
  })
  test('stops at the limit, from the newest rows when descending', async () => {
    const version = new GeneratedVersion(100, 100_000)
    const rows = await run(planOf('select time from cpu order by time desc limit 3', database), database, { version })
    expect(rows.map(row => row['time'])).toEqual([99_999e6, 99_999e6, 99_999e6])
    expect(version.rowsRead).toBeLessThan(20_000)
    // of 1,300: those of the end
    expect(version.listed).toBeLessThan(400)
  })
})

describe('the first rows of each series', () => {
  test.each(['time desc', 'time', 'series, time'])('by %s: each series is read until it has them', async order => {
    const version = new GeneratedVersion(100, 100_000)
    const text = `select time, series from cpu order by ${order} limit 2 per series`
    const rows = await run(planOf(text, database), database, { version, windowRowsMax: 50_000 })
    expect(rows).toHaveLength(200)
    const wanted = order === 'time desc' ? [99_999e6, 99_998e6] : [0, 1e6]
    for (const host of ['"h0"', '"h57"', '"h99"'])
      expect(rows.filter(row => String(row['series']).includes(host)).map(row => row['time'])).toEqual(wanted)
    expect(version.rowsRead).toBeLessThan(order === 'series, time' ? 1_000_000 : 20_000)
  })
  test('series that ended long ago are looked for alone', async () => {
    const [long, short] = [new GeneratedVersion(100, 100_000), new GeneratedVersion(1, 1000)]
    const version: Version = {
      lsn: 1,
      horizonUs: () => -Infinity,
      pieces: request => {
        const others = {
          ...request,
          series: {
            ordinals: new Uint32Array(0),
            has: (ordinal: number) => ordinal > 0 && request.series?.has(ordinal) !== false,
          },
        }
        return [...long.pieces(others), ...short.pieces(request)]
      },
      release() {},
    }
    const text = 'select time, series from cpu order by time desc limit 1 per series'
    const rows = await run(planOf(text, database), database, { version })
    expect(rows).toHaveLength(100)
    expect(rows.at(-1)).toEqual({ time: 999e6, series: 'cpu{host="h0"}' })
    expect(long.rowsRead + short.rowsRead).toBeLessThan(100_000)
  })
  test('the last value of each comes from the end, whatever statistics there are', async () => {
    const version = new GeneratedVersion(100, 100_000)
    const plan = planOf('select tag.host, last(usage) u from cpu group by tag.host', database)
    const rows = await run(plan, database, { version })
    expect(version.rowsRead).toBeLessThan(20_000)
    expect(rows).toHaveLength(100)
    expect(rows.every(row => row['u'] === 99_999 % 60)).toBe(true)
    // of 1,300: those of the end
    expect(version.listed).toBeLessThan(400)
    const whole = new GeneratedVersion(100, 100_000)
    expect(await run(plan, database, { version: whole }, ['last-point'])).toEqual(rows)
    expect(whole.rowsRead).toBe(10_000_000)
  })
})

test('buckets leave as soon as they have ended, in order', async () => {
  const version = new GeneratedVersion(10, 100_000)
  // A median holds its values: such groups are never kept until the end.
  const text = 'select time_bucket(1m, time) t, count(*) c, median(usage) m from cpu group by t'
  const { stream } = start(text, { version, windowRowsMax: 20_000 })
  const first = await stream.next()
  expect(version.rowsRead).toBeLessThan(30_000)
  let buckets = rowCount(first.value!)
  let rows = rowsOf(first.value!).reduce((sum, row) => sum + (row[1] as number), 0)
  let last = rowsOf(first.value!).at(-1)![0] as number
  for await (const batch of stream)
    for (const [bucket, count] of rowsOf(batch)) {
      expect(bucket).toBeGreaterThan(last)
      last = bucket as number
      buckets++
      rows += count as number
    }
  expect({ buckets, rows }).toEqual({ buckets: Math.ceil(100_000 / 60), rows: 1_000_000 })
})

describe('limits', () => {
  const exceeding = async (text: string, context: Partial<ExecutionContext>) => {
    const { stream } = start(text, { version: new GeneratedVersion(20, 20_000), ...context })
    try {
      for await (const _ of stream) void _
    } catch (error) {
      return (error as SydraError).code
    }
    return 'no error'
  }
  test('a sort beyond the memory limit fails', async () =>
    expect(await exceeding('select usage from cpu order by usage', { memoryMaxBytes: 4e6 })).toBe('memory_limit'))
  test('groups beyond the memory limit fail', async () =>
    expect(
      await exceeding('select count(*) from cpu group by time, series', { memoryMaxBytes: 4e6, windowRowsMax: 8192 }),
    ).toBe('memory_limit'))
  test('per-series aggregates hold the open buckets and the last sample of each series', async () =>
    expect(
      await exceeding(
        'select time_bucket(1s, time) t, series, rate(usage), integral(usage) from cpu group by t, series',
        {
          memoryMaxBytes: 4e6,
          windowRowsMax: 8192,
        },
      ),
    ).toBe('no error'))
  test('a top-n holds few rows', async () =>
    expect(
      await exceeding('select usage from cpu order by usage limit 10', { memoryMaxBytes: 4e6, windowRowsMax: 8192 }),
    ).toBe('no error'))
  test('a fill with too many points is refused', async () =>
    expect(await exceeding('select avg(usage) from cpu group by time_bucket(1ms, time) fill(null)', {})).toBe(
      'too_many_points',
    ))
})

describe('ends', () => {
  test('an abort stops the query within a batch', async () => {
    const controller = new AbortController()
    const version = new GeneratedVersion(100, 10_000)
    const { stream } = start('select time from cpu', { version, signal: controller.signal })
    await stream.next()
    controller.abort(new SydraError('query_timeout', 'too slow'))
    await expect(stream.next()).rejects.toMatchObject({ code: 'query_timeout' })
    expect(version.rowsRead).toBeLessThan(20_000)
  })
  test('an abort reaches an aggregate that has no rows to give yet', async () => {
    const controller = new AbortController()
    const version = new GeneratedVersion(100, 100_000)
    let now = 0
    const context = {
      version,
      signal: controller.signal,
      clock: { nowUs: () => 0, monotonicMs: () => (now += 1) },
    }
    const { stream } = start('select count(*), max(usage) from cpu where usage >= 0', context)
    setTimeout(() => controller.abort(), 5)
    await expect(stream.next()).rejects.toMatchObject({ code: 'cancelled' })
    expect(version.rowsRead).toBeLessThan(10_000_000)
  })
  test('what ends early reads no further, and statistics stay', async () => {
    const version = new GeneratedVersion(100, 10_000)
    const context = fakeContext(database, { version })
    const { stream, describe } = execute(planOf('select time, usage * 2 x from cpu limit 5', database), context)
    const rows: unknown[] = []
    for await (const batch of stream) rows.push(...rowsOf(batch))
    expect(rows).toHaveLength(5)
    expect(context.operators.map(({ name, rowsOut }) => [name, rowsOut])).toEqual([
      ['limit', 5],
      ['project', 5],
      ['scan', 5],
    ])
    expect(describe()).toMatchObject({ name: 'limit', inputs: [{ name: 'project', inputs: [{ name: 'scan' }] }] })
    expect(context.read.rowsScanned).toBeLessThan(20_000)
  })
  test('nothing is read before the first pull', async () => {
    const version = new GeneratedVersion(1, 100)
    const { stream } = start('select time from cpu', { version })
    await stream.return()
    expect(version.rowsRead).toBe(0)
  })
  test('a query that works long gives other events their turn', async () => {
    let now = 0
    let turns = 0
    const context = {
      version: new GeneratedVersion(10, 10_000),
      clock: { nowUs: () => 0, monotonicMs: () => (now += 2) },
      timers: {
        after: () => () => {},
        soon: (task: () => void) => {
          turns++
          setImmediate(task)
        },
      },
    }
    await run(planOf('select sum(usage) from cpu where usage > 1', database), database, context)
    expect(turns).toBeGreaterThan(1)
  })
})

test('listings come from the catalog, the registry and the engine', async () => {
  const tables = catalogTables(database.catalog, {
    segments: () => [],
    rollups: () => [],
    settings: () => [['http_port', '8080']],
  })
  const list = async (text: string) => {
    const rows: unknown[] = []
    const { stream } = execute(planOf(text, database), fakeContext(database), { tables })
    for await (const batch of stream) rows.push(...rowsOf(batch))
    return rows
  }
  expect(await list('show metrics')).toEqual([['cpu', 'cpu', 100, 2]])
  expect(await list('show fields from cpu')).toEqual([
    ['cpu', 'note', 'string'],
    ['cpu', 'usage', 'float'],
  ])
  expect(await list('show tags')).toEqual([['cpu', 'host', 100]])
  expect(await list('show series limit 1')).toEqual([['1000000', 'cpu{host="h0"}', 'cpu']])
  expect(await list("show functions where function = 'count'")).toHaveLength(1)
  expect(await list('show settings')).toEqual([['http_port', '8080']])
  expect(await list('show segments')).toEqual([])
})

test.each(['usage desc', 'usage', 'usage desc nulls first', 'nullif(usage, 59) desc', 'nullif(usage, 59) nulls first'])(
  'the first rows by %s are those of the whole sort',
  async order => {
    const version = new GeneratedVersion(5, 20_000)
    const plan = planOf(`select usage, series, time from cpu order by ${order} limit 700`, database)
    const [top, whole] = [await run(plan, database, { version }), await run(plan, database, { version }, ['top-n'])]
    expect(top).toEqual(whole)
  },
)

test.each(['time desc, usage', 'time, usage desc nulls first, series desc'])(
  'the first rows by %s are found without reading the others',
  async order => {
    const version = new GeneratedVersion(100, 1000)
    for (const count of [1, 99, 100, 250]) {
      const plan = planOf(`select usage, series, time from cpu order by ${order} limit ${count}`, database)
      const before = version.rowsRead
      const top = await run(plan, database, { version })
      expect(version.rowsRead - before).toBeLessThan(50_000)
      expect(top).toEqual(await run(plan, database, { version }, ['top-order']))
    }
  },
)
