/** Live queries that are written into metrics. */
import { concat, map, NEVER, of, Subject, take } from 'rxjs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { into } from '../../src/engine/live/into.ts'
import { pendingRowsMax } from '../../src/engine/live/into-changes.ts'
import type { IntoDatabase } from '../../src/engine/live/into-metric.ts'
import {
  type Database,
  type IntoOptions,
  type LiveColumn,
  type LiveEvent,
  type Materialized,
  open,
  type RowObject,
} from '../../src/index.ts'
import { SeededRandom } from '../simulated/random.ts'
import { turn } from './support.ts'

const startUs = Date.UTC(2026, 0, 1) * 1000
const row = (second: number, value: number | null, host = 'a', more: Record<string, number> = {}): RowObject => ({
  series: 'cpu',
  ts: startUs + second * 1e6,
  fields: { value, ...more },
  tags: { host },
})
const perMinute = `select time_bucket(1m, time) as t, tag.host, avg(value) as avg, max(temp) as temp, count(*) as n
  from cpu group by t, tag.host`
const asWritten = 'select time as t, tag.host, avg, temp, n from cpu_1m order by t, tag.host'

async function inMemory(...first: RowObject[]): Promise<Database> {
  const db = await open(':memory:')
  onTestFinished(() => db.close())
  await db.ingest([row(0, 1, 'a', { temp: 20 }), ...first], { precision: 'us' })
  return db
}
const ingest = (db: Database, ...rows: RowObject[]) => db.ingest(rows, { precision: 'us' })
const rowsOf = async (db: Database, text: string) => (await db.query(text).all()).rows

function materialize(db: Database, text: string, options?: IntoOptions) {
  const told: Materialized[] = []
  const outcome: { error?: unknown; isComplete: boolean } = { isComplete: false }
  const subscription = db
    .live(text)
    .pipe(db.into('cpu_1m', options))
    .subscribe({
      next: one => told.push(one),
      error: (error: unknown) => {
        outcome.error = error
      },
      complete: () => {
        outcome.isComplete = true
      },
    })
  onTestFinished(() => subscription.unsubscribe())
  /** Resolves once everything up to the commit is written. */
  const reached = async (lsn: number): Promise<void> => {
    while ((told.at(-1)?.lsn ?? 0) < lsn && outcome.error === undefined) await turn()
  }
  return { told, outcome, subscription, reached }
}
const failureOf = async (db: Database, text: string): Promise<unknown> => {
  const { outcome } = materialize(db, text)
  while (outcome.error === undefined) await turn()
  return outcome.error
}

describe('a continuous aggregate', () => {
  test('has the rows of the query: what was there, what comes, what changes', async () => {
    const db = await inMemory(row(61, 5, 'b'))
    const { told, reached } = materialize(db, perMinute)
    await reached(1)
    expect(told[0]).toMatchObject({ lsn: 1, rows: 2, deleted: 0 })
    expect(told[0]!.writtenLsn).toBe(db.stats().lsn)
    expect(await rowsOf(db, asWritten)).toEqual(await rowsOf(db, perMinute))
    await ingest(db, row(30, 4), row(10, 3), row(200, 7, 'c'), row(61, 6, 'b'))
    await reached(3)
    expect(await rowsOf(db, asWritten)).toEqual(await rowsOf(db, perMinute))
    const [series] = db.series('cpu_1m')
    expect(series!.printed).toBe('cpu_1m{host="a"}')
  })

  test('goes on from an id, also in another run, and a whole result again changes nothing', async () => {
    const db = await inMemory()
    const first = materialize(db, perMinute)
    await first.reached(1)
    const { id } = first.told.at(-1)!
    first.subscription.unsubscribe()
    await ingest(db, row(1, 5), row(70, 2))
    const resumed: Materialized[] = []
    await new Promise<void>(resolve =>
      db
        .live(perMinute, [], { resumeFrom: id })
        .pipe(db.into('cpu_1m'), take(1))
        .subscribe({ next: one => resumed.push(one), complete: resolve }),
    )
    expect(resumed[0]).toMatchObject({ rows: 2 })
    expect(await rowsOf(db, asWritten)).toEqual(await rowsOf(db, perMinute))
    const written = await rowsOf(db, asWritten)
    await materialize(db, perMinute).reached(2)
    expect(await rowsOf(db, asWritten)).toEqual(written)
  })

  test('keeps rows that leave the result, unless it is told to delete them', async () => {
    const db = await inMemory(row(61, 5, 'a'), row(62, 5, 'b'), row(120, 1))
    const keeping = materialize(db, perMinute)
    await keeping.reached(1)
    await db.query("delete from cpu where time >= ? and time < ? and tag.host = 'a'", [startUs, startUs + 120e6]).all()
    await keeping.reached(db.stats().lsn)
    expect(await rowsOf(db, 'select count(*) as n from cpu_1m')).toEqual([{ n: 4 }])
    keeping.subscription.unsubscribe()
    // the result as a whole: what is not in it goes
    const deleting = materialize(db, perMinute, { removed: 'delete' })
    while (deleting.told.length === 0) await turn()
    expect(deleting.told[0]).toMatchObject({ rows: 2, deleted: 2 })
    expect(await rowsOf(db, asWritten)).toEqual(await rowsOf(db, perMinute))
    // and as it changes
    await db.query('delete from cpu where time >= ? and time < ?', [startUs, startUs + 100e6]).all()
    while (deleting.told.reduce((sum, { deleted }) => sum + deleted, 0) < 3) await turn()
    expect(await rowsOf(db, asWritten)).toEqual(await rowsOf(db, perMinute))
  })

  test('that deletes has no value where the result has none any more', async () => {
    const db = await inMemory(row(40, 3))
    const gone = async (run: { told: Materialized[] }): Promise<void> => {
      while (run.told.reduce((sum, { deleted }) => sum + deleted, 0) < 1) await turn()
      expect(await rowsOf(db, asWritten)).toEqual(await rowsOf(db, perMinute))
    }
    const first = materialize(db, perMinute, { removed: 'delete' })
    await first.reached(1)
    expect(await rowsOf(db, asWritten)).toMatchObject([{ temp: 20 }])
    await db.query('delete from cpu where time >= ? and time < ?', [startUs, startUs + 1e6]).all()
    await gone(first)
    await ingest(db, row(5, 1, 'a', { temp: 30 }))
    await first.reached(db.stats().lsn)
    first.subscription.unsubscribe()
    // also when it was not there to see it
    await db.query('delete from cpu where time >= ? and time < ?', [startUs, startUs + 10e6]).all()
    await gone(materialize(db, perMinute, { removed: 'delete' }))
  })

  test('that deletes is the result, whatever was committed, in any order', async () => {
    const seed = Number(process.env['SYDRADB_SEED'] ?? 20_261_121)
    const random = new SeededRandom(seed)
    const hosts = ['a', 'b', 'c']
    const below = (bound: number): number => random.below(bound)
    const db = await inMemory()
    const commit = async (): Promise<void> => {
      const host = hosts[below(3)]!
      const from = startUs + below(10) * 30e6
      if (below(4) === 0)
        await db.query('delete from cpu where time >= ? and time < ? and tag.host = ?', [from, from + 30e6, host]).all()
      else {
        const rows = Array.from({ length: 1 + below(4) }, () =>
          row(below(300), below(2) === 0 ? null : below(100), hosts[below(3)]!, { temp: below(50) }),
        )
        // some without `temp`: when the others of their group go, it is null there
        await ingest(db, ...rows, row(below(300), 1, hosts[below(3)]!))
      }
      if (below(6) === 0) await db.flush()
    }
    for (let i = 0; i < 10; i++) await commit()
    for (let round = 0; round < 4; round++) {
      const run = materialize(db, perMinute, { removed: 'delete' })
      for (let i = 0; i < 15; i++) await commit()
      const marker = db.stats().lsn
      await ingest(db, row(1000 + round, 1))
      // what the aggregate writes has LSNs, too: it tells of its own commit at last
      await run.reached(marker + 1)
      expect(run.outcome.error, `seed ${seed}, round ${round}`).toBeUndefined()
      expect(await rowsOf(db, asWritten), `seed ${seed}, round ${round}`).toEqual(await rowsOf(db, perMinute))
      run.subscription.unsubscribe()
      // unseen
      for (let i = 0; i < 5; i++) await commit()
    }
  })

  test('of raw rows has a series for each of theirs', async () => {
    const db = await inMemory()
    const { reached } = materialize(db, 'select time, value from cpu where value > 10')
    await reached(1)
    await ingest(db, row(5, 50), row(5, 60, 'b'), row(6, 1))
    await reached(2)
    expect(await rowsOf(db, 'select time, value from cpu_1m order by value')).toEqual([
      { time: startUs + 5e6, value: 50 },
      { time: startUs + 5e6, value: 60 },
    ])
    expect([...db.series('cpu_1m')].map(({ printed }) => printed)).toEqual([
      expect.stringMatching(/^cpu_1m\{series_id="\d+"\}$/),
      expect.stringMatching(/^cpu_1m\{series_id="\d+"\}$/),
    ])
  })

  test('into another database is a copy, of rows and of tags', async () => {
    const [db, copy] = [await inMemory(row(5, 1, 'b')), await inMemory()]
    await copy.query('delete from cpu where time >= ? and time < ?', [startUs, startUs + 1e6]).all()
    const everything = 'select * from cpu'
    const subscription = db.live(everything, [], { history: 'all' }).pipe(copy.into('cpu')).subscribe()
    await ingest(db, row(6, 2, 'c'), row(5, 3, 'b'))
    const all = await rowsOf(db, everything)
    while (JSON.stringify(await rowsOf(copy, everything)) !== JSON.stringify(all)) await turn()
    const printed = (of: Database): string[] => [...of.series('cpu')].map(series => series.printed)
    expect(printed(copy)).toEqual(printed(db))
    subscription.unsubscribe()
  })
})

describe('a query that cannot be written', () => {
  test.each([
    ['has no time', 'select tag.host, avg(value) as v from cpu group by tag.host', /no time/],
    ['has no values', 'select time_bucket(1m, time) as t, tag.host from cpu group by t, tag.host', /no values/],
    [
      'has a name twice',
      'select time_bucket(1m, time) as t, tag.host, avg(value) as host from cpu group by 1, 2',
      /"host"/,
    ],
  ])('because it %s', async (_, text, message) => {
    const db = await inMemory()
    expect(await failureOf(db, text)).toMatchObject({ code: 'bad_request', message: expect.stringMatching(message) })
    expect(db.stats().live.subscriptions).toBe(0)
  })

  test('ends with the error of its rows, or its own', async () => {
    const db = await inMemory()
    await ingest(db, { series: 'cpu_1m', ts: startUs, fields: { avg: 'text' } })
    expect(await failureOf(db, perMinute)).toMatchObject({ code: 'type_mismatch' })
    expect(await failureOf(db, 'select nothing from cpu')).toMatchObject({ code: 'unknown_field' })
  })
})

describe('an Observable that pushes', () => {
  const columns: readonly LiveColumn[] = [
    { name: 't', type: 'timestamp', nullable: false, key: true, hidden: false },
    { name: 'n', type: 'float', nullable: false, key: false, hidden: false },
  ]
  type Row = Record<string, number | Date | null>
  const snapshot = (...rows: Row[]): LiveEvent<Row> => {
    const told = {
      kind: 'snapshot',
      id: 'x.1.0',
      lsn: 1,
      columns,
      strategy: 'groups',
      rows,
      reason: undefined,
    } as const
    return told
  }
  const delta = (lsn: number, change: { added?: Row[]; changed?: Row[]; removed?: Row[] }): LiveEvent<Row> => ({
    ...{ kind: 'delta', id: `x.${lsn}.0`, lsn, added: [], changed: [], removed: [] },
    ...change,
  })
  /** Keeps what is written; each write waits for `go`. */
  function slowDatabase() {
    const writes: RowObject[][] = []
    const waiting: (() => void)[] = []
    const ingest = async (rows: Iterable<RowObject>) => {
      writes.push([...rows])
      await new Promise<void>(resolve => waiting.push(resolve))
      return { ingested: writes.at(-1)!.length, rejected: 0, errors: [], bytes: 0, failure: undefined }
    }
    return { db: { ingest, query: () => NEVER } as unknown as IntoDatabase, writes, go: () => waiting.shift()?.() }
  }
  const subscribe = (db: IntoDatabase, events: Subject<LiveEvent<Row>>) => {
    const told: Materialized[] = []
    const outcome: { error?: unknown; isComplete?: boolean } = {}
    const subscription = events.pipe(into(db, 'm')).subscribe({
      next: one => told.push(one),
      error: (error: unknown) => Object.assign(outcome, { error }),
      complete: () => Object.assign(outcome, { isComplete: true }),
    })
    return { told, outcome, subscription }
  }

  test('has one write under way; what comes meanwhile is one by key, then comes the end', async () => {
    const { db, writes, go } = slowDatabase()
    const events = new Subject<LiveEvent<Row>>()
    const { told, outcome } = subscribe(db, events)
    events.next(snapshot({ t: 0, n: 1 }))
    await turn()
    for (let lsn = 2; lsn < 100; lsn++) events.next(delta(lsn, { changed: [{ t: 0, n: lsn }] }))
    events.next(delta(100, { added: [{ t: new Date(1), n: 5 }] }))
    events.complete()
    await turn()
    expect(writes).toHaveLength(1)
    expect(told).toEqual([])
    go()
    await turn()
    expect(told.map(({ id }) => id)).toEqual(['x.1.0'])
    expect(writes[1]!.map(({ ts, fields }) => [ts, fields!['n']])).toEqual([
      [1000, 5],
      [0, 99],
    ])
    expect(outcome.isComplete).toBeUndefined()
    go()
    await turn()
    expect(told.map(({ id, rows }) => [id, rows])).toEqual([
      ['x.1.0', 1],
      ['x.100.0', 2],
    ])
    expect(outcome).toEqual({ isComplete: true })
  })

  test('that pushes too much ends with `overloaded`, after what can still be written', async () => {
    const { db, writes, go } = slowDatabase()
    const events = new Subject<LiveEvent<Row>>()
    const { outcome } = subscribe(db, events)
    events.next(snapshot({ t: 99, n: 0 }))
    await turn()
    // many changes of few rows are few
    for (let i = 0; i < 3; i++)
      events.next(delta(i + 2, { changed: Array.from({ length: pendingRowsMax }, (_, t) => ({ t: t % 10, n: i })) }))
    expect(events.observed).toBe(true)
    const added = Array.from({ length: 2 * pendingRowsMax }, (_, t) => ({ t: 100 + t, n: 1 }))
    events.next(delta(9, { added }))
    while (outcome.error === undefined) {
      go()
      await turn()
    }
    expect(outcome.error).toMatchObject({ code: 'overloaded' })
    expect(writes[1]!.length).toBe(added.length + 10)
    expect(events.observed).toBe(false)
  })

  test('may have other operators before; what it needs is the snapshot', async () => {
    const db = await inMemory()
    const written = db.live(perMinute).pipe(
      map(event => event),
      db.into('cpu_1m'),
      take(1),
    )
    await new Promise<void>((resolve, reject) => written.subscribe({ complete: resolve, error: reject }))
    expect(await rowsOf(db, asWritten)).toEqual(await rowsOf(db, perMinute))
    const without = concat(of(delta(5, { added: [{ t: 0, n: 1 }] })), NEVER).pipe(db.into('m'))
    await expect(new Promise((_, reject) => without.subscribe({ error: reject }))).rejects.toMatchObject({
      code: 'bad_request',
    })
  })

  test('unsubscribed, asks for nothing more', async () => {
    const { db, writes, go } = slowDatabase()
    const events = new Subject<LiveEvent<Row>>()
    const { told, subscription } = subscribe(db, events)
    events.next(snapshot({ t: 0, n: 1 }))
    await turn()
    events.next(delta(2, { changed: [{ t: 0, n: 2 }] }))
    subscription.unsubscribe()
    expect(events.observed).toBe(false)
    go()
    await turn()
    expect(writes).toHaveLength(1)
    expect(told).toEqual([])
  })
})
