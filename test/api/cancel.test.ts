/** Every call that can take long ends with its signal: `cancelled`, with the signal's reason as the cause. */
import { from } from 'rxjs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { collectIn, restoreDirectory } from '../../src/engine/snapshots/directories.ts'
import {
  type Batch,
  type Database,
  open,
  type QueryResult,
  repair,
  type SeriesDifference,
  SydraError,
  verify,
} from '../../src/index.ts'
import { ingest, openOn, range, rows, segmentPaths, settled, turn, values } from '../database/support.ts'
import { SimulatedMachine } from '../simulated/machine.ts'

const reason = new Error('enough')
const isCancelled = { name: 'SydraError', code: 'cancelled', cause: reason }
const aborted = { signal: AbortSignal.abort(reason) }

async function opened(settings = {}) {
  const machine = new SimulatedMachine()
  const { db } = await openOn(machine, settings)
  return { machine, db }
}
async function inMemory(): Promise<Database> {
  const db = await open(':memory:')
  onTestFinished(() => db.close())
  return db
}
const turns = async (count = 5): Promise<void> => {
  for (let i = 0; i < count; i++) await turn()
}

/** Rejects as it should while the device does not answer. */
async function endsAtOnce(call: (stop: { readonly signal: AbortSignal }) => Promise<unknown>): Promise<void> {
  const abort = new AbortController()
  const outcome = call(abort)
  outcome.catch(() => {})
  await turns()
  abort.abort(reason)
  await expect(outcome).rejects.toMatchObject(isCancelled)
}

test('an aborted signal ends a call before it begins; a reason of our own is thrown itself', async () => {
  const { machine, db } = await opened()
  await settled(machine, ingest(db, rows(0, 3)))
  await settled(machine, db.snapshot('three'))
  const calls: Record<string, () => Promise<unknown>> = {
    ingest: () => db.ingest(rows(3, 4), aborted),
    query: () => db.query('select value from cpu', [], aborted).all(),
    insert: () => db.query('insert into cpu values (2026-01-02, 9)', [], aborted).all(),
    prepared: () => db.prepare('select value from cpu').query([], aborted).first(),
    flush: () => db.flush(aborted),
    compact: () => db.compact(aborted),
    snapshot: () => db.snapshot('none', aborted),
    restore: () => db.restore('three', aborted),
    removeSnapshot: () => db.removeSnapshot('three', aborted),
    gc: () => db.gc(aborted),
    diff: () => db.diff('three', 'HEAD', aborted)[Symbol.asyncIterator]().next(),
    verify: () => db.verify(aborted).all(),
    open: () => open({ dataDir: 'other' }, { ...machine.ports, ...aborted }),
  }
  for (const [name, call] of Object.entries(calls))
    await expect(settled(machine, call()), name).rejects.toMatchObject(isCancelled)
  const own = new SydraError('shutting_down', 'mine')
  await expect(db.flush({ signal: AbortSignal.abort(own) })).rejects.toBe(own)

  expect(await values(db)).toEqual(range(0, 3))
  expect(db.snapshots().map(({ names }) => names)).toEqual([['three']])
  await settled(machine, db.close())
  const closed: Record<string, () => Promise<unknown>> = {
    verify: () => verify('data', { ...machine.ports, ...aborted }).all(),
    repair: () => repair('data', () => {}, { ...machine.ports, ...aborted }),
    restoreDirectory: () => restoreDirectory(machine.ports, 'data', 'new', aborted),
    collectGarbage: () => collectIn(machine.ports, 'data', [], aborted),
  }
  for (const [name, call] of Object.entries(closed))
    await expect(settled(machine, call()), name).rejects.toMatchObject(isCancelled)
})

describe('opening', () => {
  test('ends between two commits of the log, lets go of the directory, and may be done again', async () => {
    const { machine, db } = await opened()
    for (let i = 0; i < 50; i++) await settled(machine, ingest(db, rows(i, i + 1)))
    const ports = machine.crash()
    let nowMs = 0
    // each commit takes longer than a turn
    const clock = { ...ports.clock, monotonicMs: () => (nowMs += 10) }
    const abort = new AbortController()
    const opening = open({ dataDir: 'data' }, { ...ports, clock, signal: abort.signal })
    opening.catch(() => {})
    await turns(20)
    abort.abort(reason)
    await expect(opening).rejects.toMatchObject(isCancelled)
    expect(machine.disk.paths()).not.toContain('data/LOCK')
    const { db: again } = await openOn(machine)
    expect(await values(again)).toEqual(range(0, 50))
    await settled(machine, again.close())
  })
})

describe('while the device does not answer', () => {
  test('a flush, and a compaction that waits for one, are given up; they go on by themselves', async () => {
    const { machine, db } = await opened()
    await settled(machine, ingest(db, rows(0, 10)))
    machine.disk.holdSyncs()
    await endsAtOnce(stop => db.flush(stop))
    await endsAtOnce(stop => db.compact(stop))
    machine.disk.releaseSyncs()
    await settled(machine, db.flush())
    expect(segmentPaths(machine)).toHaveLength(1)
    expect(await values(db)).toEqual(range(0, 10))
    await settled(machine, db.close())
  })

  test('whoever waits behind a snapshot need not wait for it', async () => {
    const { machine, db } = await opened()
    await settled(machine, ingest(db, rows(0, 10)))
    await settled(machine, db.snapshot('before'))
    await settled(machine, ingest(db, rows(10, 20)))
    machine.disk.holdSyncs()
    const first = db.snapshot('first')
    await turns()
    await endsAtOnce(stop => db.snapshot('second', stop))
    await endsAtOnce(stop => db.gc(stop))
    await endsAtOnce(stop => db.removeSnapshot('before', stop))
    await endsAtOnce(stop => db.restore('before', stop))
    const last = db.snapshot('last')
    machine.disk.releaseSyncs()
    await settled(machine, first)
    await settled(machine, last)
    const names = db.snapshots().flatMap(snapshot => snapshot.names)
    expect(names.sort()).toEqual(['before', 'first', 'last'])
    await settled(machine, db.close())
  })

  test('a snapshot and a restore that wait for a flush leave all as it was', async () => {
    const { machine, db } = await opened()
    await settled(machine, ingest(db, rows(0, 10)))
    await settled(machine, db.snapshot('ten'))
    await settled(machine, ingest(db, rows(10, 20)))
    machine.disk.holdSyncs()
    await endsAtOnce(stop => db.snapshot('twenty', stop))
    machine.disk.releaseSyncs()
    await settled(machine, ingest(db, rows(20, 30)))
    machine.disk.holdSyncs()
    await endsAtOnce(stop => db.snapshot('thirty', stop))
    machine.disk.releaseSyncs()
    expect(db.snapshots().flatMap(({ names }) => names)).toEqual(['ten'])
    expect(await values(db)).toEqual(range(0, 30))
    // writers are let go
    await settled(machine, ingest(db, rows(30, 31)))
    await settled(machine, db.close())
  })

  test('an insert that waits for room is not made; one that has begun is', async () => {
    const { machine, db } = await opened({ ingest: { inFlightMaxBytes: 2 ** 20 } })
    await settled(machine, ingest(db, rows(0, 1)))
    machine.disk.holdSyncs()
    const insert = (value: number) => (stop: { readonly signal: AbortSignal }) =>
      db.query('insert into cpu (host = ?) values (2026-02-01, ?)', ['b', value], stop).all()
    await endsAtOnce(insert(100))
    const stream = db.ingestStream()
    const line = new TextEncoder().encode('{"series":"other","value":1}\n')
    // all that the first insert left
    const chunk = new Uint8Array(2 ** 20 - db.stats().ingest.inFlightBytes).fill(10)
    chunk.set(line)
    expect(stream.write(chunk)).toBeUndefined()
    await turns()
    expect(db.stats().ingest.inFlightBytes).toBe(2 ** 20)
    await endsAtOnce(insert(200))
    const remove = (stop: { readonly signal: AbortSignal }) =>
      db.query('delete from cpu where time >= 2020-01-01 and time < 2030-01-01', [], stop).all()
    await endsAtOnce(remove)
    expect(db.stats().ingest.waiting).toBe(0)
    machine.disk.releaseSyncs()
    expect(await settled(machine, stream.end())).toMatchObject({ ingested: 1 })
    expect(await values(db)).toEqual([0, 100])
    expect(db.stats().ingest.inFlightBytes).toBe(0)
    await settled(machine, db.close())
  })
})

describe('reading', () => {
  const readers: Record<string, (result: QueryResult, abort: () => void) => Promise<unknown>> = {
    'row by row': async (result, abort) => {
      for await (const _ of result) abort()
    },
    'all at once': (result, abort) => {
      setImmediate(abort)
      return result.all()
    },
    'in batches': async (result, abort) => {
      for await (const _ of result.batches() as AsyncIterable<Batch>) abort()
    },
    'as an Observable': (result, abort) =>
      new Promise((resolve, error) => {
        from(result).subscribe({ next: abort, error, complete: () => resolve(undefined) })
      }),
  }

  test.each(Object.entries(readers))('%s ends with the signal, and lets go of what it read', async (_, read) => {
    const db = await inMemory()
    await db.ingest(rows(0, 30_000))
    const abort = new AbortController()
    // more work than fits into a turn
    const text = 'select a.time, a.value, b.value as other from cpu a join cpu b on time within 1m'
    await expect(read(db.query(text, [], abort), () => abort.abort(reason))).rejects.toMatchObject(isCancelled)
    await turns()
    expect(db.stats()).toMatchObject({ queries: { running: 0, cancelled: 1 }, versions: { pins: 0 } })
  })

  test('as text ends it with the error, which is its failure', async () => {
    const db = await inMemory()
    await db.ingest(rows(0, 30_000))
    const abort = new AbortController()
    const result = db.query('select time, value from cpu', [], abort)
    let last = ''
    for await (const chunk of result.text({ format: 'ndjson', chunkBytes: 1024 })) {
      last = new TextDecoder().decode(chunk)
      abort.abort(reason)
    }
    expect(result.failure).toMatchObject(isCancelled)
    expect(last).toContain('"code":"cancelled"')
    expect(db.stats().queries).toMatchObject({ running: 0, cancelled: 1 })
  })

  test('the difference of two snapshots ends with the signal', async () => {
    const { machine, db } = await opened()
    for (const [name, host] of [
      ['one', 'a'],
      ['two', 'b'],
      ['three', 'c'],
    ] as const) {
      await settled(machine, ingest(db, rows(0, 5, host)))
      await settled(machine, db.snapshot(name))
    }
    const abort = new AbortController()
    const found: SeriesDifference[] = []
    const reading = async (): Promise<void> => {
      for await (const difference of db.diff('one', 'three', abort)) {
        found.push(difference)
        abort.abort(reason)
      }
    }
    await expect(settled(machine, reading())).rejects.toMatchObject(isCancelled)
    expect(found.length).toBeLessThan(3)
    expect(db.stats().versions.pins).toBe(0)
    await settled(machine, db.close())
  })
})

describe('an ingest stream', () => {
  const line = (n: number): Uint8Array => new TextEncoder().encode(`{"series":"cpu","ts":${n},"value":${n}}\n`)

  test('takes nothing more, stores what it took, and says why', async () => {
    const db = await inMemory()
    const abort = new AbortController()
    const stream = db.ingestStream(abort)
    await stream.write(line(1))
    expect(stream.stopped).toBe(false)
    abort.abort(reason)
    expect(stream.stopped).toBe(true)
    expect(stream.write(line(2))).toBeUndefined()
    const report = await stream.end()
    expect(report).toMatchObject({ ingested: 1, rejected: 0 })
    expect(report.failure).toMatchObject(isCancelled)
    expect(await values(db)).toEqual([1])
  })

  test('that has ended is not cancelled any more, whatever waits', async () => {
    const { machine, db } = await opened()
    const abort = new AbortController()
    const stream = db.ingestStream(abort)
    machine.disk.holdSyncs()
    await stream.write(line(1))
    const ending = stream.end()
    abort.abort(reason)
    machine.disk.releaseSyncs()
    expect(await settled(machine, ending)).toMatchObject({ ingested: 1, failure: undefined })
    await settled(machine, db.close())
  })
})
