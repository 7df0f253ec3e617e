/** The library as its users meet it: `open`, `ingest`, `query`, `prepare`, `close`. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { text as consume } from 'node:stream/consumers'
import { from, lastValueFrom, map, take, toArray } from 'rxjs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Database, type IngestSource, open, type RowObject, SydraError } from '../../src/index.ts'
import { nodePorts } from '../../src/lib/node/ports.ts'

const day = Date.UTC(2024, 2, 1)
const rows = (count: number, series = 'cpu', host = 'a'): RowObject[] =>
  Array.from({ length: count }, (_, i) => ({ series, ts: day + i, value: i, tags: { host } }))

function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'sydradb-library-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}
async function inMemory(source?: IngestSource): Promise<Database> {
  const db = await open(':memory:')
  onTestFinished(() => db.close())
  if (source !== undefined) expect((await db.ingest(source)).rejected).toBe(0)
  return db
}
const countOf = async (db: Database, metric = 'cpu'): Promise<unknown> =>
  (await db.query(`select count(*) as n from ${metric}`).first())?.['n']
const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'none',
    (error: unknown) => (error instanceof SydraError ? error.code : error),
  )

describe('open', () => {
  test('a path; what was stored is there again; `await using` closes', async () => {
    const dir = join(temporaryDirectory(), 'made', 'for it')
    {
      await using db = await open(dir)
      expect(db.dataDir).toBe(dir)
      await db.ingest(rows(3))
      expect(await codeOf(open(dir))).toBe('directory_in_use')
    }
    await using again = await open({ dataDir: dir, fsync: 'interval', query: { runningMax: 5 } })
    expect(await countOf(again)).toBe(3)
  })
  test('wrong settings are told by name', async () => {
    expect(await codeOf(open({ dataDirs: 'x' } as never))).toBe('unknown_setting')
    expect(await codeOf(open({ dataDir: ':memory:', fsync: 'often' } as never))).toBe('invalid_setting')
    expect(await codeOf(open({ dataDir: ':memory:', query: { timeout: 1 } } as never))).toBe('unknown_setting')
  })
  test('parts of the machine are injected', async () => {
    const clock = { ...nodePorts().clock, nowUs: () => 1_000_000 }
    await using db = await open(':memory:', { clock })
    await db.ingest([{ series: 'cpu', value: 1 }])
    expect(await db.query('select time, now() as n from cpu').first()).toEqual({ time: 1_000_000, n: 1_000_000 })
  })
  test('two databases at once know nothing of each other', async () => {
    const [a, b] = [await inMemory(rows(2)), await inMemory(rows(3, 'disk'))]
    expect([await countOf(a), await countOf(b, 'disk')]).toEqual([2, 3])
    expect(await codeOf(b.query('select value from cpu').all())).toBe('unknown_metric')
  })
})

describe('ingest', () => {
  const ndjson = (count: number): string =>
    rows(count)
      .map(row => `${JSON.stringify(row)}\n`)
      .join('')
  const bytes = (text: string) => new TextEncoder().encode(text)
  /** Cut anywhere. */
  const pieces = (text: string, size = 100): Uint8Array[] =>
    Array.from({ length: Math.ceil(text.length / size) }, (_, i) => bytes(text.slice(i * size, (i + 1) * size)))

  const sources: Readonly<Record<string, () => IngestSource>> = {
    array: () => rows(100),
    generator: () => rows(100).values(),
    'async generator of rows': async function* () {
      yield* rows(100)
    },
    'async generator of bytes': async function* () {
      yield* pieces(ndjson(100))
    },
    'async generator of texts': async function* () {
      yield ndjson(60)
      yield ndjson(100).slice(ndjson(60).length, -1)
    },
    'Node stream of bytes': () => Readable.from(pieces(ndjson(100)), { objectMode: false }),
    'Node stream of texts': () => Readable.from([ndjson(100)]).setEncoding('utf8'),
    'Node stream of rows': () => Readable.from(rows(100)),
    'web stream of bytes': () => new Response(ndjson(100)).body!,
    'web stream of rows': () => Readable.toWeb(Readable.from(rows(100))) as ReadableStream<RowObject>,
    Observable: () => from(rows(100)),
    'slow Observable': () => from(Readable.from(rows(100))) as never,
  }
  test.each(Object.entries(sources))('%s', async (_, make) => {
    const db = await inMemory()
    expect(await db.ingest(make())).toMatchObject({ ingested: 100, rejected: 0, errors: [], failure: undefined })
    expect(await db.query('select count(*) as n, sum(value) as s from cpu').first()).toEqual({ n: 100, s: 4950 })
  })

  test('nothing is nothing', async () => {
    const db = await inMemory()
    for (const source of [[], Readable.from([]), from([])]) {
      expect(await db.ingest(source as IngestSource)).toMatchObject({ ingested: 0, failure: undefined })
    }
  })
  test('what is no source is refused, what is no row reported', async () => {
    const db = await inMemory()
    for (const wrong of [undefined, null, 5, 'text', { series: 'cpu', value: 1 }, () => rows(1)]) {
      expect(await codeOf(db.ingest(wrong as never))).toBe('bad_request')
    }
    const bad = [null, 5, [], {}, { series: 5, value: 1 }, { series: 'cpu' }, { series: 'cpu', value: () => 1 }]
    const report = await db.ingest([...bad, ...rows(1)] as never)
    expect(report).toMatchObject({ ingested: 1, rejected: bad.length })
    expect(report.errors.map(({ line }) => line)).toEqual(bad.map((_, index) => index + 1))
    const mixed = async function* () {
      yield `${JSON.stringify(rows(1)[0])}\n`
      yield rows(1)[0]!
    }
    expect(await codeOf(db.ingest(mixed()))).toBe('invalid_row')
  })
  test('times: numbers by magnitude or precision, texts, Dates, bigints, none', async () => {
    const db = await inMemory()
    const value = 1
    await db.ingest([
      { series: 'a', ts: new Date(day), value },
      { series: 'a', ts: '2024-03-02', value },
    ])
    await db.ingest([{ series: 'a', ts: BigInt(day) * 1_000_000n + 259_200_000_000_000n, value }], { precision: 'ns' })
    await db.ingest([{ series: 'a', ts: day / 1000 + 86_400 * 4, value }], { precision: 's' })
    const { rows: found } = await db.query<{ time: Date }>('select time from a', [], { time: 'date' }).all()
    expect(found.map(({ time }) => time.toISOString())).toEqual(
      ['01', '02', '04', '05'].map(date => `2024-03-${date}T00:00:00.000Z`),
    )
  })
  test('abort stops at the first bad row, skip goes on', async () => {
    const source = [...rows(2), { series: '' }, ...rows(3, 'other')] as RowObject[]
    const db = await inMemory()
    expect(await db.ingest(source, { onError: 'abort' })).toMatchObject({ ingested: 2, rejected: 1 })
    expect(await db.ingest(source)).toMatchObject({ ingested: 5, rejected: 1, failure: undefined })
  })
  test('onCommit tells lines and LSN in order, once they are durable; its error ends the source', async () => {
    const db = await inMemory()
    const seen: { lines: number; lsn: number }[] = []
    const slow = async function* () {
      for (const row of rows(3)) {
        yield `${JSON.stringify(row)}\n`
        await new Promise(resolve => setImmediate(resolve))
      }
    }
    await db.ingest(slow(), { onCommit: progress => seen.push(progress) })
    expect(seen.map(({ lines }) => lines)).toEqual([1, 2, 3])
    expect(seen.map(({ lsn }) => lsn)).toEqual(seen.map(({ lsn }) => lsn).toSorted((a, b) => a - b))
    expect(seen.at(-1)!.lsn).toBe(db.stats().lsn)

    const failing = () => {
      throw new Error('the caller’s own')
    }
    const report = await db.ingest(slow(), { onCommit: failing })
    expect(report.failure?.message).toBe('the caller’s own')
    expect(db.stats().ingest.inFlightBytes).toBe(0)
  })
  test('a source that breaks off rejects with its own error; what it gave is stored', async () => {
    const db = await inMemory()
    const error = new Error('unplugged')
    const objects = async function* () {
      yield* rows(5)
      throw error
    }
    const torn = async function* () {
      yield `${ndjson(7)}{"series":"cpu","value":1`
      throw error
    }
    expect(await codeOf(db.ingest(objects()))).toBe(error)
    expect(await countOf(db)).toBe(5)
    expect(await codeOf(db.ingest(torn()))).toBe(error)
    expect(await countOf(db)).toBe(7)
  })
  test('an abort is noticed while the source is silent; what it gave is stored', async () => {
    const db = await inMemory()
    const stuck = (first: RowObject | string) =>
      (async function* () {
        yield first
        await new Promise(() => {})
      })()
    for (const first of [rows(1)[0]!, ndjson(1)]) {
      const abort = new AbortController()
      const running = codeOf(db.ingest(stuck(first), { signal: abort.signal }))
      setTimeout(() => abort.abort('enough'), 20)
      expect(await running).toBe('cancelled')
    }
    expect(await countOf(db)).toBe(1)
    expect(await codeOf(db.ingest(rows(1), { signal: AbortSignal.abort('early') }))).toBe('cancelled')
  })
  test('the stream: write, end, cut', async () => {
    const db = await inMemory()
    const whole = db.ingestStream()
    for (const piece of pieces(ndjson(10))) await whole.write(piece)
    expect(await whole.end()).toMatchObject({ ingested: 10, failure: undefined })
    expect(await codeOf(whole.end())).toBe('bad_request')
    expect(() => whole.write(bytes('x'))).toThrow(SydraError)

    const cut = db.ingestStream({ precision: 'ms' })
    await cut.write(bytes(`${ndjson(12)}{"series":"cpu","ts":${day + 99},"value":1}`))
    expect(await cut.cut()).toMatchObject({ ingested: 12 })
    expect(await countOf(db)).toBe(12)
  })
})

describe('query', () => {
  test('rows as objects: awaited, iterated, the first, typed, with Dates', async () => {
    const db = await inMemory(rows(3))
    const query = 'select time, value, tag.host as host, value > 1 as big, nullif(value, 1) as v from cpu'
    const first = { time: day * 1000, value: 0, host: 'a', big: false, v: 0 }
    const all = await db.query(query).all()
    expect(all.rows[0]).toEqual(first)
    expect(all.rows[1]!['v']).toBe(null)
    expect(all.columns.map(({ name, type }) => `${name} ${type}`)).toEqual([
      'time timestamp',
      'value float',
      'host string',
      'big boolean',
      'v float',
    ])
    expect(all.stats).toMatchObject({ rows_emitted: 3, rows_scanned: 3 })
    expect(await db.query(query).first()).toEqual(first)
    expect(await db.query(`${query} where value > 100`).first()).toBe(undefined)
    const values: number[] = []
    for await (const row of db.query<{ value: number }>('select value from cpu')) values.push(row.value)
    expect(values).toEqual([0, 1, 2])
    expect(await db.query(query, [], { time: 'date' }).first()).toMatchObject({ time: new Date(day) })
    expect((await db.query(query).columns()).length).toBe(5)
  })
  test('batches are owned, or borrowed until the next pull', async () => {
    const db = await inMemory(rows(20_000))
    const kept = []
    for await (const batch of db.query('select value from cpu').batches()) kept.push(batch)
    const sumOf = (values: ArrayLike<number>) => Array.from(values).reduce((sum, value) => sum + value, 0)
    expect(kept.length).toBeGreaterThan(1)
    const total = kept.reduce((sum, batch) => sum + sumOf(batch.columns[0]!.values as Float64Array), 0)
    expect(total).toBe((19_999 * 20_000) / 2)
    let borrowed = 0
    for await (const batch of db.query('select value from cpu').batches({ borrow: true })) {
      const values = batch.columns[0]!.values as Float64Array
      borrowed += batch.selection ? batch.selection.reduce((sum, row) => sum + values[row]!, 0) : sumOf(values)
    }
    expect(borrowed).toBe(total)
  })
  test('text in every format', async () => {
    const db = await inMemory(rows(2))
    const text = async (options: Parameters<ReturnType<Database['query']>['text']>[0]) =>
      consume(db.query('select time, value from cpu').text(options))
    expect(await text({ format: 'csv', epoch: 'ms' })).toBe(`time,value\r\n${day},0\r\n${day + 1},1\r\n`)
    expect(JSON.parse(await text({ format: 'json' })).rows).toEqual([
      ['2024-03-01T00:00:00Z', 0],
      ['2024-03-01T00:00:00.001Z', 1],
    ])
    expect(JSON.parse(await text({ format: 'json', bare: true, epoch: 's' }))[0]).toEqual({
      time: day / 1000,
      value: 0,
    })
    expect((await text({ format: 'ndjson' })).trim().split('\n')).toHaveLength(4)
  })
  test('is an Observable; unsubscribing ends the run', async () => {
    const db = await inMemory(rows(50_000))
    const some = from(db.query('select value from cpu')).pipe(
      map(row => row['value']),
      take(3),
      toArray(),
    )
    expect(await lastValueFrom(some)).toEqual([0, 1, 2])
    await expect(lastValueFrom(from(db.query('select nothing from cpu')))).rejects.toMatchObject({
      code: 'unknown_field',
    })
    await expect.poll(() => db.stats().queries.running).toBe(0)
  })
  test('an early end of every kind releases the run', async () => {
    const db = await inMemory(rows(50_000))
    for await (const row of db.query('select value from cpu')) if (row['value'] === 10) break
    await db.query('select value from cpu').first()
    for await (const _ of db.query('select value from cpu').batches()) break
    for await (const _ of db.query('select value from cpu').text({ format: 'csv' })) break
    await expect(async () => {
      for await (const _ of db.query('select value from cpu')) throw new Error('mine')
    }).rejects.toThrow('mine')
    expect(db.stats().queries).toMatchObject({ started: 5, running: 0 })
  })
  test('is read once; statistics come with reading', async () => {
    const db = await inMemory(rows(1))
    const result = db.query('select value from cpu')
    expect(() => result.stats()).toThrow(SydraError)
    await result.all()
    expect(result.stats().rows_emitted).toBe(1)
    expect(await codeOf(result.all())).toBe('bad_request')
    expect(db.stats().queries.running).toBe(0)
  })
  test('parameters: ?, $n, every type, and what does not fit', async () => {
    const db = await inMemory([...rows(5), ...rows(5, 'cpu', "o'b")])
    const count = async (where: string, ...params: (string | number | boolean | null | Date)[]) =>
      (await db.query(`select count(*) as n from cpu where ${where}`, params).first())!['n']
    expect(await count('tag.host = ?', "o'b")).toBe(5)
    expect(
      await count('time >= $1 and time < $2 and tag.host = $3', new Date(day + 1), '2024-03-01T00:00:00.003Z', 'a'),
    ).toBe(2)
    expect(await count('time = ?', day * 1000)).toBe(2)
    expect(await count('value > $1 or value = $1', 3)).toBe(4)
    expect(await count('value = ?', null)).toBe(0)
    expect(await count('(value > 1) = ?', true)).toBe(6)
    expect(await codeOf(count('value > ?', 'text'))).toBe('wrong_argument')
    expect(await codeOf(count('value > ?'))).toBe('wrong_argument_count')
    expect(await codeOf(count('value > ?', 1, 2))).toBe('wrong_argument_count')
  })
  test('prepared: parsed at once, run often, and right after the schema has changed', async () => {
    const db = await inMemory(rows(3))
    expect(() => db.prepare('select valu from cpu')).toThrow(SydraError)
    const above = db.prepare<{ n: number }>('select count(*) as n from cpu where value >= ?')
    expect(await above.query([1]).first()).toEqual({ n: 2 })
    expect(await above.query([2]).first()).toEqual({ n: 1 })
    const star = db.prepare('select * from cpu order by time limit 1')
    expect(Object.keys((await star.query().first())!)).toEqual(['time', 'tag.host', 'value'])
    await db.ingest([{ series: 'cpu', ts: day, fields: { load: 2 }, tags: { host: 'a', rack: 'r' } }])
    expect(Object.keys((await star.query().first())!)).toEqual(['time', 'tag.host', 'tag.rack', 'load', 'value'])
    expect(await above.query([1]).first()).toEqual({ n: 2 })
  })
  test('signals and timeouts end it with their code', async () => {
    const db = await inMemory(rows(200_000))
    const heavy =
      'select percentile(value, 0.5) as p, count(distinct value) as d from cpu group by time_bucket(1ms, time)'
    expect(await codeOf(db.query(heavy, [], { signal: AbortSignal.abort() }).all())).toBe('cancelled')
    const abort = new AbortController()
    const reading = (async () => {
      for await (const _ of db.query('select value from cpu', [], { signal: abort.signal })) abort.abort()
    })()
    expect(await codeOf(reading)).toBe('cancelled')
    const reason = new SydraError('shutting_down', 'mine')
    expect(await codeOf(db.query(heavy, [], { signal: AbortSignal.abort(reason) }).all())).toBe('shutting_down')
    expect(await codeOf(db.query(heavy, [], { timeoutMs: 1 }).all())).toBe('query_timeout')
    expect(db.stats().queries).toMatchObject({ running: 0, cancelled: 2 })
  })
  test('any name is a column’s name', async () => {
    const db = await inMemory([
      JSON.parse('{"series":"odd","fields":{"__proto__":1,"constructor":2},"tags":{"toString":"x"}}'),
    ])
    const row = await db.query('select "__proto__", constructor, tag.toString as "a b" from odd').first()
    expect(Object.entries(row!)).toEqual([
      ['__proto__', 1],
      ['constructor', 2],
      ['a b', 'x'],
    ])
  })
})

describe('series, statistics, closing', () => {
  test('series by metric and by tags', async () => {
    const db = await inMemory([...rows(1), ...rows(1, 'cpu', 'b'), ...rows(1, 'disk')])
    await db.ingest([{ series: 'disk', value: 1, tags: { host: 'a', dc: 'x' } }])
    expect([...db.series()].map(({ printed }) => printed).toSorted()).toEqual([
      'cpu{host="a"}',
      'cpu{host="b"}',
      'disk{dc="x",host="a"}',
      'disk{host="a"}',
    ])
    expect([...db.series('cpu')]).toHaveLength(2)
    expect([...db.series('none')]).toEqual([])
    const found = (tags: Record<string, string>, op: 'and' | 'or') =>
      [...db.findSeries(tags, op)].map(({ printed }) => printed).toSorted()
    expect(found({ host: 'a', dc: 'x' }, 'and')).toEqual(['disk{dc="x",host="a"}'])
    expect(found({ host: 'b', dc: 'x' }, 'or')).toEqual(['cpu{host="b"}', 'disk{dc="x",host="a"}'])
    expect(found({ host: 'z' }, 'or')).toEqual([])
    const [one] = db.findSeries({ dc: 'x' }, 'and')
    expect(one).toMatchObject({
      metric: 'disk',
      id: expect.stringMatching(/^\d+$/),
      tags: [
        ['dc', 'x'],
        ['host', 'a'],
      ],
    })
    expect(await db.query(`select count(*) as n from by_id('${one!.id}')`).first()).toEqual({ n: 1 })
  })
  test('flush moves rows to segments, and answers stay', async () => {
    const db = await inMemory(rows(1000))
    expect(db.stats()).toMatchObject({ metrics: 1, series: 1, segments: { rows: 0 }, memtable: { rows: 1000 } })
    const before = await db.query('select * from cpu').all()
    await db.flush()
    await db.flush()
    expect(db.stats()).toMatchObject({ flushes: 1, segments: { rows: 1000 }, memtable: { rows: 0 } })
    expect((await db.query('select * from cpu').all()).rows).toEqual(before.rows)
  })
  test('after close everything says so; closing twice is one close', async () => {
    const db = await open(':memory:')
    await db.ingest(rows(1))
    const stream = db.ingestStream()
    const result = db.query('select value from cpu')
    const closing = db.close()
    expect(db.close()).toBe(closing)
    // a stream that was open counts what it stored
    await stream.write(new TextEncoder().encode('{"series":"cpu","value":1,"tags":{"host":"a"}}\n'))
    expect(await stream.end()).toMatchObject({ ingested: 0, failure: { code: 'shutting_down' } })
    await closing
    expect(await codeOf(db.ingest(rows(1)))).toBe('shutting_down')
    expect(() => db.ingestStream()).toThrow(SydraError)
    expect(await codeOf(result.all())).toBe('shutting_down')
    expect(await codeOf(db.query('select value from cpu').first())).toBe('shutting_down')
    expect(await codeOf(db.flush())).toBe('shutting_down')
    expect(db.stats().series).toBe(1)
  })
  test('closing ends a query that is being read', async () => {
    const db = await open(':memory:')
    await db.ingest(rows(50_000))
    const reading = (async () => {
      for await (const _ of db.query('select value from cpu')) void db.close()
    })()
    expect(await codeOf(reading)).toBe('shutting_down')
    await db.close()
  })
})
