/** What the database tells: `committed$`, `events$`; and Observables as sources. */
import { concat, from, Observable, range, map as rxMap, Subject, take, throwError } from 'rxjs'
import { expect, onTestFinished, test } from 'vitest'
import { type Committed, type Database, type EngineEvent, open, type RowObject } from '../../src/index.ts'

const row = (value: number, series = 'cpu'): RowObject => ({ series, ts: 1_700_000_000 + value, value })
async function inMemory(): Promise<Database> {
  const db = await open(':memory:')
  onTestFinished(() => db.close())
  return db
}

test('each commit is published once, in LSN order, visible already, before its writer is told', async () => {
  const db = await inMemory()
  const order: string[] = []
  const commits: Committed[] = []
  db.committed$.subscribe(commit => {
    commits.push(commit)
    order.push(`published ${commit.lsn}`)
    expect(db.stats().lsn).toBeGreaterThanOrEqual(commit.lsn)
  })
  const write = async (value: number) => {
    await db.ingest([row(value), row(value, 'disk')], { onCommit: ({ lsn }) => order.push(`told ${lsn}`) })
  }
  await write(1)
  await Promise.all([write(2), write(3), write(4)])
  const lsns = commits.map(({ lsn }) => lsn)
  expect(lsns).toEqual([...new Set(lsns)].toSorted((a, b) => a - b))
  expect(commits.reduce((sum, { rows }) => sum + rows, 0)).toBe(8)
  for (const { rows, batches } of commits) expect(batches.reduce((sum, batch) => sum + batch.rowCount, 0)).toBe(rows)
  for (const lsn of lsns) expect(order.indexOf(`published ${lsn}`)).toBeLessThan(order.indexOf(`told ${lsn}`))
  expect(db.stats().commits).toBe(commits.length)
})

test('a commit can be queried from its subscriber', async () => {
  const db = await inMemory()
  const counts: Promise<unknown>[] = []
  db.committed$.subscribe(() => counts.push(db.query('select count(*) as n from cpu').first()))
  await db.ingest([row(1)])
  await db.ingest([row(2)])
  expect(await Promise.all(counts)).toEqual([{ n: 1 }, { n: 2 }])
})

test('what a subscriber was given stays as it was, whoever came or went since', async () => {
  const db = await inMemory()
  const kept: Committed[] = []
  const write = (value: number) => db.ingest([row(value)])
  const values = () =>
    kept.map(({ batches }) => batches.flatMap(({ metrics }) => metrics.map(({ fields }) => fields[0]!.values[0])))
  for (let value = 0; value < 10; value++) await write(value)
  const subscription = db.committed$.subscribe(commit => {
    kept.push(commit)
    if (kept.length === 3) subscription.unsubscribe()
  })
  for (let value = 10; value < 30; value++) await write(value)
  db.committed$.pipe(take(2)).subscribe(commit => kept.push(commit))
  for (let value = 30; value < 50; value++) await write(value)
  expect(values()).toEqual([[10], [11], [12], [30], [31]])
})

test('events tell of recovery and flushes, also to who comes late; both streams complete on close', async () => {
  const db = await open(':memory:')
  await db.ingest([row(1)])
  await db.flush()
  const events: EngineEvent[] = []
  const completed: string[] = []
  db.events$.subscribe({ next: event => events.push(event), complete: () => completed.push('events') })
  db.committed$.subscribe({ complete: () => completed.push('committed') })
  expect(events.map(({ kind }) => kind)).toEqual(['recovered', 'flushed'])
  expect(events[1]).toMatchObject({ rows: 1, segments: [expect.objectContaining({ rows: 1 })] })
  await db.close()
  expect(completed.toSorted()).toEqual(['committed', 'events'])
})

test('an Observable that fails rejects with its error; what it gave is stored', async () => {
  const db = await inMemory()
  const error = new Error('unplugged')
  await expect(
    db.ingest(
      concat(
        from([row(1), row(2)]),
        throwError(() => error),
      ),
    ),
  ).rejects.toBe(error)
  expect(await db.query('select count(*) as n from cpu').first()).toEqual({ n: 2 })
})

test('an abort unsubscribes; what it gave is stored', async () => {
  const db = await inMemory()
  const source = new Subject<RowObject>()
  const abort = new AbortController()
  const running = db.ingest(source, { signal: abort.signal })
  source.next(row(1))
  abort.abort('enough')
  await expect(running).rejects.toMatchObject({ code: 'cancelled', cause: 'enough' })
  expect(source.observed).toBe(false)
  expect(await db.query('select count(*) as n from cpu').first()).toEqual({ n: 1 })
})

test('one that ends by a bad row is unsubscribed', async () => {
  const db = await inMemory()
  const source = new Subject<RowObject>()
  const running = db.ingest(source, { onError: 'abort' })
  source.next(row(1))
  source.next({ series: '', value: 2 })
  await new Promise(resolve => setImmediate(resolve))
  source.next(row(3))
  expect(await running).toMatchObject({ ingested: 1, rejected: 1 })
  expect(source.observed).toBe(false)
})

test('one that is too fast, and pushes all before `subscribe` returns, is told `overloaded`', async () => {
  const db = await open({ dataDir: ':memory:', ingest: { inFlightMaxBytes: '1MiB' } })
  onTestFinished(() => db.close())
  let pushed = 0
  const endless = new Observable<RowObject>(subscriber => {
    for (pushed = 0; pushed < 3e6 && !subscriber.closed; pushed++) subscriber.next(row(pushed))
    subscriber.complete()
  })
  await expect(db.ingest(endless)).rejects.toMatchObject({ code: 'overloaded' })
  expect(pushed).toBeLessThan(2e6)
  // what it gave until then is stored
  expect(await db.query('select count(*) as n from cpu').first()).toEqual({ n: pushed })
  expect(db.stats().ingest.inFlightBytes).toBe(0)
})

test('a fast one of bounded length is stored whole', async () => {
  const db = await inMemory()
  const source = range(0, 300_000).pipe(rxMap(value => row(value)))
  expect(await db.ingest(source)).toMatchObject({ ingested: 300_000 })
})
