/** Snapshots of an open database, through its public face, on the simulated machine. */
import { describe, expect, test } from 'vitest'
import type { Database, RowObject } from '../../src/types.ts'
import { SimulatedMachine } from '../simulated/machine.ts'
import { ingest, openOn, range, rows, segmentPaths, settled, startUs, values } from './support.ts'

async function opened(seed = 1) {
  const machine = new SimulatedMachine(seed)
  const { db, events } = await openOn(machine)
  return { machine, db, events, at: <T>(promise: Promise<T>) => settled(machine, promise) }
}

const objects = (machine: SimulatedMachine, directory = 'data') =>
  machine.disk.paths().filter(path => new RegExp(`^${directory}/objects/[0-9a-f]{2}/`).test(path))

const all = async (db: Database, text: string): Promise<unknown[]> => (await db.query(text).all()).rows

/** Some moments of all, and the last of them: opening a database takes a while. SYDRADB_CRASH_RUNS looks at every one. */
const isSampled = (index: number, count: number): boolean =>
  process.env['SYDRADB_CRASH_RUNS'] !== undefined || index % Math.ceil(count / 6) === 0 || index >= count - 3

async function differences(db: Database, before: string, after?: string) {
  const found = []
  for await (const { series, only, added, removed, changed } of db.diff(before, after))
    found.push([series, only, added, removed, changed])
  return found
}

describe('snapshot', () => {
  test('is listed with what it has, newest first', async () => {
    const { machine, db, at, events } = await opened()
    await at(ingest(db, rows(0, 10)))
    const first = await at(db.snapshot('monday', { message: 'all is well' }))
    expect(first).toMatchObject({ names: ['monday'], isHead: true, message: 'all is well', rows: 10, segments: 1 })
    expect(first.addedObjects).toBeGreaterThan(4)
    machine.nowUs += 1e6
    await at(ingest(db, rows(10, 20)))
    const second = await at(db.snapshot())
    expect(second.names).toEqual(['2026-01-01T00-00-01.000Z'.replace('01.000', second.names[0]!.slice(17, 23))])
    expect(second).toMatchObject({ rows: 20, segments: 2, parent: first.id })
    expect(db.snapshots().map(({ id, isHead }) => [id, isHead])).toEqual([
      [second.id, true],
      [first.id, false],
    ])
    expect(events.filter(({ kind }) => kind === 'snapshot')).toHaveLength(2)
    await at(db.close())
  })

  test('costs what is new: segments are links, and those of before are not touched', async () => {
    const { machine, db, at } = await opened()
    for (let n = 0; n < 20; n++) {
      await at(ingest(db, rows(n * 10, n * 10 + 10)))
      await at(db.flush())
    }
    await at(db.snapshot('a'))
    const before = objects(machine).length
    await at(ingest(db, rows(200, 210)))
    let [reads, links] = [0, 0]
    machine.disk.onCall = (call, path) => {
      if (call === 'link') links++
      if (call === 'open' && path.includes('.seg') && !path.endsWith('.tmp')) reads++
    }
    const { addedObjects } = await at(db.snapshot('b'))
    machine.disk.onCall = () => {}
    expect(links).toBe(1)
    expect(reads).toBeLessThan(3)
    // segment, manifest, tree of the window, of the windows, of all, commit; the catalog is as it was
    expect(addedObjects).toBe(6)
    expect(objects(machine).length).toBe(before + addedObjects)
    await at(db.close())
    // Nor after opening it again: HEAD says what is there.
    const again = await openOn(machine)
    links = 0
    machine.disk.onCall = call => {
      if (call === 'link') links++
    }
    await at(again.db.snapshot('c'))
    expect(links).toBe(0)
    await at(again.db.close())
  })

  test('holds what was committed before the call while ingest goes on', async () => {
    const { db, at } = await opened()
    await at(ingest(db, rows(0, 100)))
    const taking = db.snapshot('s')
    for (let n = 0; n < 10; n++) await at(ingest(db, rows(100 + n * 10, 110 + n * 10)))
    await at(taking)
    await at(ingest(db, rows(200, 210)))
    const found = (await all(db, "select value from cpu as of 's'")) as { value: number }[]
    expect(found.slice(0, 100).map(({ value }) => value)).toEqual(range(0, 100))
    expect(found.length).toBeLessThanOrEqual(200)
    expect(await values(db)).toEqual(range(0, 210))
    await at(db.close())
  })

  test('a segment that has the name of another one, after the manifest was rebuilt, is read anew', async () => {
    const { machine, db, at } = await opened()
    await at(ingest(db, rows(0, 10)))
    await at(db.snapshot('s'))
    const paths = segmentPaths(machine)
    await at(db.query("delete from cpu where time >= '2026-01-01' and time < '2026-01-02'").all())
    await at(db.compact())
    await at(db.close())
    // All but the first line, so that nothing says which names were given.
    const manifest = machine.disk.contents('data/MANIFEST')
    for (let i = manifest.indexOf(10) + 5; i < manifest.length; i += 20) machine.disk.damage('data/MANIFEST', i)
    const again = await openOn(machine)
    const next = rows(0, 10).map((row, i) => ({ ...row, value: i + 1 }))
    await at(ingest(again.db, next))
    await at(again.db.snapshot('t'))
    expect(segmentPaths(machine)).toEqual(paths)
    const found = (await all(again.db, "select value from cpu as of 't'")) as { value: number }[]
    expect(found.map(({ value }) => value)).toEqual(range(1, 11))
    await at(again.db.close())
  })

  test('copies where there are no links', async () => {
    const { machine, db, at } = await opened()
    machine.disk.fail({ call: 'link', times: Number.POSITIVE_INFINITY, code: 'EPERM' })
    await at(ingest(db, rows(0, 10)))
    await at(db.snapshot('s'))
    await at(ingest(db, rows(10, 20)))
    await at(db.restore('s'))
    expect(await values(db)).toEqual(range(0, 10))
    await at(db.close())
  })

  test('names are checked, and each is given once', async () => {
    const { db, at } = await opened()
    await at(db.snapshot('s'))
    await expect(at(db.snapshot('s'))).rejects.toMatchObject({ code: 'already_exists' })
    for (const name of ['', '.x', '-x', 'a/b', '..', 'HEAD', 'head', 'x'.repeat(101), 'a'.repeat(64), 'x.tmp', 'a b'])
      await expect(at(db.snapshot(name)), name).rejects.toMatchObject({ code: 'bad_request' })
    await expect(at(db.restore('t'))).rejects.toMatchObject({ code: 'not_found' })
    await expect(at(db.restore('../data'))).rejects.toMatchObject({ code: 'not_found' })
    await at(db.snapshot('wednesday'))
    await expect(at(db.restore('wednsday'))).rejects.toMatchObject({ hint: 'did you mean "wednesday"?' })
    await at(db.close())
  })

  test('a failing disk leaves the database as it was, and the next try succeeds', async () => {
    for (const call of ['write', 'dataSync', 'rename', 'link', 'syncDirectory'] as const) {
      const { machine, db, at } = await opened(7)
      await at(ingest(db, rows(0, 10)))
      await at(db.flush())
      const heal = machine.disk.fail({ call, path: path => /objects|refs/.test(path), code: 'EIO' })
      await expect(at(db.snapshot('s')), call).rejects.toMatchObject({ code: 'io_error' })
      heal()
      await at(db.snapshot('t'))
      expect(machine.disk.paths().filter(path => path.startsWith('data/objects/tmp/'))).toEqual([])
      await at(ingest(db, rows(10, 20)))
      await at(db.restore('t'))
      expect(await values(db), call).toEqual(range(0, 10))
      await at(db.close())
    }
  })
})

describe('restore', () => {
  test('makes the database what it was: rows, deletes and all', async () => {
    const { machine, db, at, events } = await opened()
    await at(ingest(db, rows(0, 30)))
    await at(db.query("delete from cpu where time >= '2026-01-01T00:00:20Z' and time < '2026-01-01T00:00:30Z'").all())
    await at(db.snapshot('s'))
    await at(ingest(db, rows(20, 50)))
    await at(db.query("delete from cpu where time >= '2026-01-01' and time < '2026-01-01T00:00:05Z'").all())
    await at(ingest(db, rows(0, 5, 'new')))
    const dry = await at(db.restore('s', { dryRun: true }))
    expect(dry.snapshot.names).toEqual(['s'])
    expect((await values(db)).length).toBe(50)
    await at(db.restore('s'))
    expect(await values(db)).toEqual(range(0, 20))
    expect(events.at(-1)).toMatchObject({ kind: 'restored', dryRun: false })
    // And it goes on from there, also after a restart.
    await at(ingest(db, rows(20, 25)))
    await at(db.snapshot('after'))
    await at(db.close())
    const again = await openOn(machine)
    expect(await values(again.db)).toEqual(range(0, 25))
    expect(again.db.snapshots().map(({ names }) => names)).toEqual([['after'], ['s']])
    await at(again.db.close())
    expect(segmentPaths(machine).length).toBeLessThanOrEqual(3)
  })

  test('writers wait, and none of them is lost or doubled', async () => {
    const { db, at } = await opened(3)
    await at(ingest(db, rows(0, 10)))
    await at(db.snapshot('s'))
    const restoring = db.restore('s')
    const written: Promise<void>[] = []
    for (let n = 0; n < 20; n++) {
      written.push(ingest(db, rows(100 + n, 101 + n)))
      await new Promise(resolve => setImmediate(resolve))
    }
    await at(restoring)
    const before = await values(db)
    await at(Promise.all(written).then(() => {}))
    const after = await values(db)
    expect(before.slice(0, 10)).toEqual(range(0, 10))
    // What was committed before the edit is replaced, what comes after stays: a run without a gap.
    const kept = after.slice(10)
    expect(kept).toEqual(range(120 - kept.length, 120))
    await at(db.close())
  })

  test('readers of before keep what they read', async () => {
    const { db, at } = await opened()
    await at(db.snapshot('empty'))
    await at(ingest(db, rows(0, 3000)))
    await at(db.flush())
    const reading = db.query<{ value: number }>('select value from cpu')[Symbol.asyncIterator]()
    expect((await reading.next()).value?.value).toBe(0)
    await at(db.restore('empty'))
    let count = 1
    while (!(await reading.next()).done) count++
    expect(count).toBe(3000)
    expect(await values(db)).toEqual([])
    await at(db.close())
  })

  test('a damaged object is found before anything changes', async () => {
    const { machine, db, at } = await opened()
    await at(ingest(db, rows(0, 100)))
    await at(db.flush())
    const commit = (await at(db.snapshot('s'))).id
    await at(ingest(db, rows(100, 110)))
    for (const path of objects(machine)) {
      machine.disk.damage(path, 20)
      await expect(at(db.restore('s')), path).rejects.toMatchObject({ code: expect.stringMatching(/^corrupt_/) })
      machine.disk.damage(path, 20)
    }
    expect(commit).toHaveLength(64)
    await at(db.restore('s'))
    await at(db.close())
  })

  test('one that may be done or not lets nobody write on: what came later would be judged by it', async () => {
    const { machine, db, at, events } = await opened()
    await at(db.snapshot('empty'))
    await at(ingest(db, rows(0, 10)))
    await at(db.flush())
    machine.disk.fail({ call: 'dataSync', path: path => path.includes('MANIFEST') })
    await expect(at(db.restore('empty'))).rejects.toMatchObject({
      code: 'io_error',
      hint: expect.stringContaining('open'),
    })
    await expect(at(ingest(db, rows(10, 20)))).rejects.toMatchObject({ code: 'read_only' })
    expect(db.stats().readOnly).toBe(true)
    expect(events.map(({ kind }) => kind)).toContain('read-only')
    expect(await values(db)).toEqual(range(0, 10))
    await at(db.close())
    const again = await openOn(machine)
    expect(await values(again.db)).toEqual([])
    await at(again.db.close())
  })

  test('a power loss at any call: before or after, never between', { timeout: 60_000 }, async () => {
    const machine = new SimulatedMachine(11)
    const { db } = await openOn(machine)
    await settled(machine, ingest(db, rows(0, 10)))
    await settled(machine, db.snapshot('s'))
    await settled(machine, ingest(db, rows(10, 20)))
    await settled(machine, db.flush())
    await settled(machine, ingest(db, rows(20, 30)))
    const disks: SimulatedMachine['disk'][] = []
    machine.disk.onCall = () => disks.push(machine.disk.afterCrash(disks.length))
    await settled(machine, db.restore('s'))
    machine.disk.onCall = () => {}
    disks.push(machine.disk.afterCrash(99))
    await settled(machine, db.close())
    const seen = new Set<string>()
    for (const [index, disk] of disks.entries()) {
      if (!isSampled(index, disks.length)) continue
      const after = new SimulatedMachine(index, disk)
      after.kill()
      const { db: again } = await openOn(after)
      const found = await values(again)
      seen.add(found.length === 10 ? 'after' : 'before')
      if (found.length !== 10) expect(found, `call ${index}`).toEqual(range(0, 30))
      await settled(after, again.close())
      const left = segmentPaths(after)
      expect(left.length, left.join()).toBeLessThanOrEqual(4)
    }
    expect([...seen].sort()).toEqual(['after', 'before'])
  })
})

describe('a power loss while a snapshot is taken', () => {
  test('loses no snapshot that was there, nor one that was told', { timeout: 60_000 }, async () => {
    const machine = new SimulatedMachine(5)
    const { db } = await openOn(machine)
    await settled(machine, ingest(db, rows(0, 10)))
    await settled(machine, db.snapshot('first'))
    await settled(machine, ingest(db, rows(10, 20)))
    const disks: SimulatedMachine['disk'][] = []
    machine.disk.onCall = () => disks.push(machine.disk.afterCrash(disks.length))
    await settled(machine, db.snapshot('second'))
    machine.disk.onCall = () => {}
    disks.push(machine.disk.afterCrash(99))
    for (const [index, disk] of disks.entries()) {
      if (!isSampled(index, disks.length)) continue
      const after = new SimulatedMachine(index, disk)
      after.kill()
      const { db: again } = await openOn(after)
      const names = again.snapshots().flatMap(each => each.names)
      expect(names, `call ${index}`).toContain('first')
      if (index === disks.length - 1) expect(names).toContain('second')
      for (const name of names) await settled(after, again.restore(name, { dryRun: true }))
      await settled(after, again.snapshot('third'))
      await settled(after, again.gc())
      await settled(after, again.close())
    }
    await settled(machine, db.close())
  })
})

describe('diff', () => {
  const gauge = (second: number, value: number, host = 'a'): RowObject => ({
    series: 'cpu',
    ts: startUs + second * 1e6,
    value,
    tags: { host },
  })

  test('counts rows added, removed and changed by series', async () => {
    const { db, at } = await opened()
    await at(ingest(db, [...rows(0, 10), ...rows(0, 10, 'b'), ...rows(0, 5, 'gone')]))
    await at(db.snapshot('before'))
    expect(await differences(db, 'before')).toEqual([])
    await at(ingest(db, [gauge(3, 33), gauge(4, 4), gauge(100, 1), ...rows(0, 7, 'new')]))
    await at(db.query("delete from cpu where tag.host = 'gone' and time >= '2026-01-01' and time < '2026-01-02'").all())
    await at(
      db.query("delete from cpu where tag.host = 'b' and time >= '2026-01-01' and time < '2026-01-01T00:00:02Z'").all(),
    )
    await at(db.snapshot('after'))
    const expected = [
      ['cpu{host="a"}', undefined, 1, 0, 1],
      ['cpu{host="b"}', undefined, 0, 2, 0],
      ['cpu{host="gone"}', 'before', 0, 5, 0],
      ['cpu{host="new"}', 'after', 7, 0, 0],
    ]
    expect(await differences(db, 'before', 'after')).toEqual(expected)
    const back = expected.map(([series, only, added, removed, changed]) => [
      series,
      only === 'before' ? 'after' : only === 'after' ? 'before' : undefined,
      removed,
      added,
      changed,
    ])
    expect(await differences(db, 'after', 'before')).toEqual(back)
    await at(db.close())
  })

  test('segments that both have are not read', async () => {
    const { machine, db, at } = await opened()
    await at(ingest(db, rows(0, 50_000)))
    await at(db.snapshot('before'))
    await at(ingest(db, rows(100_000, 100_010)))
    await at(db.snapshot('after'))
    await at(db.close())
    const again = await openOn(machine)
    let reads = 0
    machine.disk.onCall = call => {
      if (call === 'read') reads++
    }
    expect(await differences(again.db, 'before', 'after')).toEqual([['cpu{host="a"}', undefined, 10, 0, 0]])
    expect(reads).toBeLessThan(60)
    await at(again.db.close())
  })
})

describe('gc', () => {
  test('removes what no name needs, and nothing else', async () => {
    const { machine, db, at } = await opened()
    await at(ingest(db, rows(0, 10)))
    await at(db.snapshot('a'))
    expect(await at(db.gc())).toMatchObject({ removed: 0 })
    await at(ingest(db, rows(10, 20)))
    await at(db.snapshot('b'))
    const kept = objects(machine).length
    await at(db.removeSnapshot('a'))
    await expect(at(db.removeSnapshot('a'))).rejects.toMatchObject({ code: 'not_found' })
    const { removed } = await at(db.gc())
    expect(removed).toBeGreaterThan(0)
    expect(objects(machine).length).toBe(kept - removed)
    await at(db.restore('b', { dryRun: true }))
    expect(db.snapshots().map(({ names }) => names)).toEqual([['b']])
    await at(db.removeSnapshot('b'))
    await at(db.gc())
    expect(objects(machine)).toEqual([])
    expect(await values(db)).toEqual(range(0, 20))
    // What was known to be there is not any more.
    await at(db.snapshot('c'))
    await at(db.restore('c', { dryRun: true }))
    await at(db.close())
  })
})

describe('as of', () => {
  test('a snapshot that is being read outlives its name and gc', async () => {
    const { machine, db, at } = await opened()
    await at(ingest(db, rows(0, 3000)))
    await at(db.snapshot('s'))
    await at(db.query("delete from cpu where time >= '2026-01-01' and time < '2026-01-02'").all())
    await at(db.snapshot('t'))
    const reading = db.query<{ value: number }>("select value from cpu as of 's'")[Symbol.asyncIterator]()
    expect((await reading.next()).value?.value).toBe(0)
    await at(db.removeSnapshot('s'))
    await at(db.gc())
    let count = 1
    while (!(await reading.next()).done) count++
    expect(count).toBe(3000)
    const before = objects(machine).length
    const { removed } = await at(db.gc())
    expect(removed).toBeGreaterThan(0)
    expect(objects(machine).length).toBe(before - removed)
    const { code } = await db
      .query("select value from cpu as of 's'")
      .all()
      .catch(error => error)
    expect(code).toBe('not_found')
    await at(db.close())
  })

  test('more snapshots than stay open, each with what it had', async () => {
    const { db, at } = await opened()
    for (let n = 0; n < 12; n++) {
      await at(ingest(db, rows(n, n + 1)))
      await at(db.snapshot(`s${n}`))
    }
    for (const n of [0, 5, 11, 3, 0, 7, 1, 2, 4, 6, 8, 9, 10, 0])
      expect(await all(db, `select count(*) n from cpu as of 's${n}'`)).toEqual([{ n: n + 1 }])
    await at(db.close())
  })

  test('more snapshots are read at once than stay open without a reader', async () => {
    const { db, at } = await opened()
    const count = 10
    for (let n = 0; n < count; n++) {
      await at(ingest(db, rows(n * 2000, n * 2000 + 2000)))
      await at(db.snapshot(`s${n}`))
    }
    const readers = range(0, count).map(n => db.query(`select value from cpu as of 's${n}'`)[Symbol.asyncIterator]())
    for (const reader of readers) expect((await reader.next()).done).toBe(false)
    expect(await differences(db, 's0', 's1')).toEqual([['cpu{host="a"}', undefined, 2000, 0, 0]])
    for (let n = 0; n < count; n++) await at(db.removeSnapshot(`s${n}`))
    await at(db.gc())
    for (const [n, reader] of readers.entries()) {
      let found = 1
      while (!(await reader.next()).done) found++
      expect(found).toBe((n + 1) * 2000)
    }
    await at(db.close())
  })

  test('a catalog that lost series which snapshots alone have gives their numbers to no others', async () => {
    const { machine, db, at } = await opened()
    await at(ingest(db, rows(0, 10)))
    await at(db.flush())
    await at(ingest(db, rows(0, 10, 'gone')))
    await at(db.snapshot('s'))
    const times = "time >= '2026-01-01' and time < '2026-01-02'"
    await at(db.query(`delete from cpu where tag.host = 'gone' and ${times}`).all())
    await at(db.compact())
    await at(db.close())
    machine.ports.files.remove('data/wal/current.wal')
    const log = machine.disk.contents('data/catalog.log')
    machine.disk.damage('data/catalog.log', log.length - 3)
    const again = await openOn(machine)
    expect(again.events.map(({ kind }) => kind)).toContain('rebuilt')
    await at(ingest(again.db, rows(0, 5, 'fresh')))
    const hosts = "select tag.host as host, count(*) as n from cpu as of 's' group by tag.host"
    expect(await all(again.db, hosts)).toEqual([
      { host: 'a', n: 10 },
      { host: 'gone', n: 10 },
    ])
    await at(again.db.restore('s'))
    expect(await all(again.db, hosts.replace(" as of 's'", ''))).toEqual([
      { host: 'a', n: 10 },
      { host: 'gone', n: 10 },
    ])
    await at(again.db.close())
  })

  test('the same text means what the name means when it runs', async () => {
    const { db, at } = await opened()
    await at(ingest(db, rows(0, 1)))
    await at(db.snapshot('s'))
    const text = "select count(*) n from cpu as of 's'"
    expect(await all(db, text)).toEqual([{ n: 1 }])
    await at(ingest(db, rows(1, 3)))
    await at(db.removeSnapshot('s'))
    await at(db.snapshot('s'))
    expect(await all(db, text)).toEqual([{ n: 3 }])
    await at(db.close())
  })
})

describe('a copy in another directory', () => {
  test('is whole, and the next copies only what is new', async () => {
    const { machine, db, at } = await opened()
    machine.disk.files.makeDirectory('backup')
    await at(ingest(db, rows(0, 10)))
    const first = await at(db.snapshot('one', { to: 'backup' }))
    expect(first.addedObjects).toBe(objects(machine, 'backup').length)
    expect(db.snapshots()).toEqual([])
    expect(objects(machine)).toEqual([])
    await at(ingest(db, rows(10, 20)))
    let links = 0
    machine.disk.onCall = call => {
      if (call === 'link') links++
    }
    const second = await at(db.snapshot('two', { to: 'backup' }))
    machine.disk.onCall = () => {}
    expect(links).toBe(1)
    expect(second).toMatchObject({ names: ['two'], isHead: true, parent: first.id })
    expect(second.addedObjects).toBeLessThan(first.addedObjects)
    expect(objects(machine, 'backup').length).toBe(first.addedObjects + second.addedObjects)
    await expect(at(db.snapshot('two', { to: 'backup' }))).rejects.toMatchObject({ code: 'already_exists' })
    await expect(at(db.snapshot('x', { to: './data/' }))).rejects.toMatchObject({ code: 'bad_request' })
    // Inodes are not shared: what happens to one happens to one.
    machine.disk.damage(segmentPaths(machine)[0]!, 100)
    expect(machine.disk.contents(objects(machine, 'backup')[0]!).length).toBeGreaterThan(0)
    await at(db.close())
  })
})
