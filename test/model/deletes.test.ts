/** Deletes among inserts, flushes, restarts and readers, against a naive model; then the cases one by one. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Committed, Database, RowObject } from '../../src/types.ts'
import { ingest, openOn, settled, startUs, turn } from '../database/support.ts'
import { SimulatedMachine } from '../simulated/machine.ts'

const metrics = ['m', 'n'] as const
const hosts = ['a', 'b', 'c'] as const
const secondsMax = 40

interface Cell {
  readonly metric: string
  readonly host: string
  readonly second: number
  readonly fields: Readonly<Record<string, number>>
}
interface Range {
  readonly metric: string
  readonly from: number
  readonly to: number
  readonly host: string | undefined
}
type Step =
  | { readonly kind: 'ingest' | 'insert'; readonly cells: readonly Cell[] }
  | { readonly kind: 'delete'; readonly range: Range }
  | { readonly kind: 'flush' | 'begin flush' | 'restart' | 'close' | 'query' }

const second = fc.integer({ min: 0, max: secondsMax })
const cell = fc.record({
  metric: fc.constantFrom(...metrics),
  host: fc.constantFrom(...hosts),
  second,
  fields: fc.dictionary(fc.constantFrom('f', 'g'), fc.integer({ min: 0, max: 9 }), { minKeys: 1 }),
})
const range = fc
  .record({
    metric: fc.constantFrom(...metrics),
    ends: fc.tuple(second, second),
    host: fc.option(fc.constantFrom(...hosts), { nil: undefined }),
  })
  .map(({ metric, ends: [a, b], host }): Range => ({ metric, from: Math.min(a, b), to: Math.max(a, b), host }))
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('ingest'), cells: fc.array(cell, { minLength: 1, maxLength: 25 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('insert'), cells: fc.array(cell, { minLength: 1, maxLength: 3 }) }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('delete'), range }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom('flush', 'begin flush', 'restart', 'close', 'query') }) },
) as fc.Arbitrary<Step>

const timeOf = (seconds: number): number => startUs + seconds * 1e6
const rowOf = ({ metric, host, second: at, fields }: Cell): RowObject => ({
  series: metric,
  ts: timeOf(at),
  tags: { host },
  fields,
})
const deleteText = ({ metric, from, to, host }: Range): string =>
  `delete from ${metric} where time >= ${timeOf(from)} and time < ${timeOf(to)}${host === undefined ? '' : ` and tag.host = '${host}'`}`

/** Metric, host and second -> fields. */
type Model = Map<string, Record<string, number>>
const keyOf = (metric: string, host: string, at: number): string => `${metric} ${host} ${at}`

function write(model: Model, cells: readonly Cell[]): void {
  for (const { metric, host, second: at, fields } of cells) {
    const key = keyOf(metric, host, at)
    model.set(key, { ...model.get(key), ...fields })
  }
}

function remove(model: Model, { metric, from, to, host }: Range): void {
  for (const one of host === undefined ? hosts : [host])
    for (let at = from; at < to; at++) model.delete(keyOf(metric, one, at))
}

async function insertText(db: Database, { metric, host, second: at, fields }: Cell): Promise<void> {
  const names = Object.keys(fields)
  const values = names.map(name => fields[name])
  const text = `insert into ${metric} (host='${host}') fields (${names.join(', ')}) values (${timeOf(at)}, ${values.join(', ')})`
  expect(await db.query(text).all()).toMatchObject({ rows: [{ rows: 1 }] })
}

async function found(db: Database, metric: string): Promise<Model> {
  const model: Model = new Map()
  const { rows } = await db.query<Record<string, number | string | null>>(`select * from ${metric}`).all()
  for (const { time, 'tag.host': host, ...fields } of rows) {
    const key = keyOf(metric, String(host), ((time as number) - startUs) / 1e6)
    expect(model.has(key), `${key} comes once`).toBe(false)
    model.set(key, Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null)) as never)
  }
  return model
}

const sorted = (model: Model): unknown[] =>
  [...model].map(([key, fields]) => [key, Object.entries(fields).sort()]).sort((a, b) => (a[0]! < b[0]! ? -1 : 1))

const timesOf = (model: Model, metric: string, host: string): number[] =>
  [...model.keys()]
    .filter(key => key.startsWith(`${metric} ${host} `))
    .map(key => Number(key.split(' ')[2]))
    .sort((a, b) => a - b)

/** The last value of f, of a host that has any. */
function lastOf(model: Model, metric: string, host: string): { h: string; x: number }[] {
  const values = timesOf(model, metric, host).flatMap(at => model.get(keyOf(metric, host, at))!['f'] ?? [])
  return values.slice(-1).map(x => ({ h: host, x }))
}

/** Rows, counts, aggregates, single series, ranges of time and both orders must agree with the model. */
async function check(db: Database, model: Model): Promise<void> {
  const known = new Set([...db.series()].map(info => info.metric))
  for (const metric of metrics) {
    if (!known.has(metric)) continue
    const own: Model = new Map([...model].filter(([key]) => key.startsWith(`${metric} `)))
    expect(sorted(await found(db, metric))).toEqual(sorted(own))
    expect(await db.query(`select count(*) as n from ${metric}`).first()).toEqual({ n: own.size })
    const names = new Set([...own.values()].flatMap(Object.keys))
    for (const name of names) {
      const values = [...own.values()].flatMap(fields => fields[name] ?? [])
      expect(
        await db.query(`select sum(${name}) as s, max(${name}) as x, count(${name}) as n from ${metric}`).first(),
      ).toEqual({
        s: values.reduce((sum, value) => sum + value, 0),
        x: Math.max(...values),
        n: values.length,
      })
    }
    const lasts = await db.query(`select tag.host as h, last(f) as x from ${metric} group by tag.host`).all()
    expect(lasts.rows.filter(({ x }) => x !== null)).toEqual(hosts.flatMap(host => lastOf(own, metric, host)))
    const newest = `select tag.host as h, time from ${metric} order by time desc limit 1 per tag.host`
    const times = (await db.query<{ h: string; time: number }>(newest).all()).rows
    for (const host of hosts) {
      const at = timesOf(own, metric, host).at(-1)
      expect(times.find(({ h }) => h === host)?.time).toBe(at === undefined ? undefined : timeOf(at))
    }
    const ofHost = [...own.keys()].filter(key => key.startsWith(`${metric} b `))
    expect(await db.query(`select count(*) as n from ${metric} where tag.host = 'b'`).first()).toEqual({
      n: ofHost.length,
    })
    const seconds = [...own.keys()].map(key => Number(key.split(' ')[2]))
    const middle = secondsMax / 2
    const late = `select time from ${metric} where time >= ${timeOf(middle)} order by time desc limit 5`
    const expected = seconds
      .filter(at => at >= middle)
      .sort((a, b) => b - a)
      .slice(0, 5)
      .map(timeOf)
    expect((await db.query<{ time: number }>(late).all()).rows.map(({ time }) => time)).toEqual(expected)
  }
}

const runs = Number(process.env['SYDRADB_MODEL_RUNS'] ?? 10)

describe('random steps', () => {
  test('leave what the model says', { timeout: 60_000 + runs * 4000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 30 }), async steps => {
        const machine = new SimulatedMachine()
        // only the process dies, so that nothing is lost while syncs are held
        const reopened = async () => (await openOn(machine, { fsync: 'none' })).db
        let db = await reopened()
        const model: Model = new Map()
        // the metrics are there from the beginning
        await ingest(
          db,
          metrics.map(metric => rowOf({ metric, host: 'a', second: 0, fields: { f: 1 } })),
        )
        write(
          model,
          metrics.map(metric => ({ metric, host: 'a', second: 0, fields: { f: 1 } })),
        )
        for (const each of steps) {
          if (each.kind === 'ingest') await ingest(db, each.cells.map(rowOf))
          else if (each.kind === 'insert') for (const one of each.cells) await insertText(db, one)
          if ('cells' in each) write(model, each.cells)
          else if (each.kind === 'delete') {
            await db.query(deleteText(each.range)).all()
            remove(model, each.range)
          } else if (each.kind === 'query') await check(db, model)
          else if (each.kind === 'begin flush') {
            machine.disk.holdSyncs()
            // what becomes of it is seen in the rows: a restart may come first
            db.flush().catch(() => {})
            await turn()
          } else {
            machine.disk.releaseSyncs()
            if (each.kind === 'flush') await settled(machine, db.flush())
            else {
              if (each.kind === 'close') await settled(machine, db.close())
              else machine.kill()
              db = await reopened()
            }
          }
        }
        await check(db, model)
        machine.disk.releaseSyncs()
        await settled(machine, db.flush())
        await check(db, model)
        machine.kill()
        db = await reopened()
        await check(db, model)
        await settled(machine, db.close())
      }),
      { numRuns: runs },
    )
  })
})

const rowsPerSeries = 12_000
function* series(host: string): Generator<RowObject> {
  for (let at = 0; at < rowsPerSeries; at++) yield rowOf({ metric: 'm', host, second: at, fields: { f: 1 } })
}
const everything: Range = { metric: 'm', from: 0, to: rowsPerSeries, host: undefined }
const count = async (db: Database) => (await db.query('select count(*) as n from m').first())?.['n']

describe.each(['memtable', 'flushed', 'half flushed'] as const)('%s', layout => {
  async function database() {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine)
    await db.ingest(series('a'), { precision: 'us' })
    if (layout === 'half flushed') await db.flush()
    await db.ingest(series('b'), { precision: 'us' })
    if (layout === 'flushed') await db.flush()
    return { db, machine }
  }

  test('a reader that began before a delete sees the rows, whatever happens then', async () => {
    const { db } = await database()
    for (const query of ['select time, f from m', 'select time, f from m order by time desc']) {
      await db.ingest(series('a'), { precision: 'us' })
      await db.ingest(series('b'), { precision: 'us' })
      let rows = 0
      for await (const _ of db.query(query)) {
        if (rows++ !== 0) continue
        await db.query(deleteText(everything)).all()
        expect(await count(db)).toBe(0)
        await db.flush()
        await db.ingest(series('c'), { precision: 'us' })
      }
      expect(rows).toBe(2 * rowsPerSeries)
      expect(await count(db)).toBe(rowsPerSeries)
      await db.query(deleteText(everything)).all()
    }
    await db.close()
  })

  test('a range of one series goes, its neighbours and the other stay; statistics do not tell of it', async () => {
    const { db } = await database()
    expect(await db.query(deleteText({ metric: 'm', from: 100, to: 11_000, host: 'a' })).all()).toMatchObject({
      rows: [{ series: 1 }],
    })
    for (let again = 0; again < 2; again++) {
      expect(await count(db)).toBe(rowsPerSeries + 1100)
      const { rows } = await db.query('select tag.host, count(*) as n, sum(f) as s from m group by tag.host').all()
      expect(rows).toEqual([
        { 'tag.host': 'a', n: 1100, s: 1100 },
        { 'tag.host': 'b', n: rowsPerSeries, s: rowsPerSeries },
      ])
      await db.flush()
    }
    await db.close()
  })

  test('rows that come later at deleted places stand, without the older values', async () => {
    const { db, machine } = await database()
    await db.query(deleteText(everything)).all()
    await ingest(db, [{ series: 'm', ts: timeOf(7), tags: { host: 'a' }, fields: { g: 5 } }])
    const expected = [{ time: timeOf(7), f: null, g: 5 }]
    expect((await db.query('select time, f, g from m').all()).rows).toEqual(expected)
    await db.flush()
    expect((await db.query('select time, f, g from m').all()).rows).toEqual(expected)
    machine.kill()
    const again = await openOn(machine)
    expect((await again.db.query('select time, f, g from m').all()).rows).toEqual(expected)
    await again.db.close()
  })
})

test('a delete of every row of a memtable leaves no segment, and no tombstone once it is flushed', async () => {
  const machine = new SimulatedMachine()
  const { db } = await openOn(machine)
  await db.ingest(series('a'), { precision: 'us' })
  await db.query(deleteText(everything)).all()
  await db.flush()
  expect(db.stats().segments).toMatchObject({ count: 0, rows: 0 })
  const manifest = new TextDecoder().decode(machine.disk.contents('data/MANIFEST'))
  expect(manifest).not.toContain('addTombstones":[{')
  await db.close()
})

test('a delete without rows is flushed too, and lets the log go', async () => {
  const machine = new SimulatedMachine()
  const { db } = await openOn(machine, { walKeepBytes: 0 })
  await db.ingest(series('a'), { precision: 'us' })
  await db.flush()
  await db.query(deleteText(everything)).all()
  await db.flush()
  const manifest = new TextDecoder().decode(machine.disk.contents('data/MANIFEST'))
  expect(manifest).toContain('"addTombstones":[{"lsn":')
  machine.crash()
  machine.ports.files.remove('data/wal/current.wal')
  const again = await openOn(machine)
  expect(await count(again.db)).toBe(0)
  await again.db.close()
})

describe('a delete', () => {
  test('is a commit of its own, told with what it concerns', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine)
    const commits: Committed[] = []
    db.committed$.subscribe(commit => commits.push(commit))
    await ingest(db, [rowOf({ metric: 'm', host: 'a', second: 0, fields: { f: 1 } })])
    await ingest(db, [rowOf({ metric: 'm', host: 'b', second: 0, fields: { f: 1 } })])
    await db.query(deleteText({ ...everything, host: 'b' })).all()
    await db.query(deleteText(everything)).all()
    expect(commits.map(({ kind, lsn, rows }) => [kind, lsn, rows])).toEqual([
      ['rows', 1, 1],
      ['rows', 2, 1],
      ['delete', 3, 0],
      ['delete', 4, 0],
    ])
    const told = { metric: 'm', fromUs: timeOf(0), toUs: timeOf(rowsPerSeries) }
    expect(commits[2]?.deleted).toEqual({ ...told, series: Uint32Array.of(1) })
    expect(commits[3]?.deleted).toEqual({ ...told, series: undefined })
    await db.close()
  })

  test('of nothing is no commit', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine)
    await ingest(db, [rowOf({ metric: 'm', host: 'a', second: 0, fields: { f: 1 } })])
    const nothing = await db.query(deleteText({ ...everything, host: 'zzz' })).all()
    expect(nothing.rows).toEqual([{ series: 0 }])
    expect(db.stats().lsn).toBe(1)
    await db.close()
  })

  test('takes its place among rows that are being written', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine)
    const at = (second: number) => rowOf({ metric: 'm', host: 'a', second, fields: { f: second } })
    await ingest(db, [at(0)])
    machine.disk.holdSyncs()
    const work = [ingest(db, [at(1)]), ingest(db, [at(2)])]
    await machine.advance(1)
    work.push(
      db
        .query(deleteText(everything))
        .all()
        .then(() => {}),
    )
    await machine.advance(1)
    work.push(ingest(db, [at(3)]))
    await machine.advance(1)
    expect(await count(db)).toBe(1)
    machine.disk.releaseSyncs()
    await settled(machine, Promise.all(work))
    expect((await db.query('select f from m').all()).rows).toEqual([{ f: 3 }])
    machine.crash()
    const again = await openOn(machine)
    expect((await again.db.query('select f from m').all()).rows).toEqual([{ f: 3 }])
    await again.db.close()
  })

  test('concerns rows whose flush is under way', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine, { fsync: 'none' })
    const at = (second: number, f: number) => rowOf({ metric: 'm', host: 'a', second, fields: { f } })
    const found = async () => (await db.query('select f from m').all()).rows
    await ingest(db, [at(0, 1), at(1, 2)])
    machine.disk.holdSyncs()
    const flushed = db.flush()
    await turn()
    await db.query(deleteText({ ...everything, to: 1 })).all()
    expect(await found()).toEqual([{ f: 2 }])
    await ingest(db, [at(0, 3)])
    expect(await found()).toEqual([{ f: 3 }, { f: 2 }])
    machine.disk.releaseSyncs()
    await settled(machine, flushed)
    expect(await found()).toEqual([{ f: 3 }, { f: 2 }])
    await settled(machine, db.close())
  })

  test('that cannot be written deletes nothing', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine)
    await ingest(db, [rowOf({ metric: 'm', host: 'a', second: 0, fields: { f: 1 } })])
    machine.disk.fail({ call: 'write', code: 'ENOSPC', path: path => path.includes('wal') })
    await expect(db.query(deleteText(everything)).all()).rejects.toMatchObject({ code: 'disk_full' })
    expect(await count(db)).toBe(1)
    await db.query(deleteText(everything)).all()
    expect(await count(db)).toBe(0)
    await db.close()
    await expect(db.query(deleteText(everything)).all()).rejects.toMatchObject({ code: 'shutting_down' })
  })

  test('is refused while the database is read-only', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine)
    await ingest(db, [rowOf({ metric: 'm', host: 'a', second: 0, fields: { f: 1 } })])
    machine.disk.fail({ call: 'dataSync', path: path => path.includes('wal') })
    await expect(db.query(deleteText(everything)).all()).rejects.toMatchObject({ code: 'io_error' })
    await expect(db.query(deleteText(everything)).all()).rejects.toMatchObject({ code: 'read_only' })
    await expect(db.query(`insert into m (host='a') fields (f) values (${startUs}, 1)`).all()).rejects.toMatchObject({
      code: 'read_only',
    })
    expect(await count(db)).toBe(1)
    await db.close()
  })
})

describe('an insert', () => {
  const one = async (db: Database, text: string) => (await db.query(text).all()).rows

  test('makes what is new, merges with what is there, and is durable', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine)
    const t = startUs
    expect(
      await one(
        db,
        `insert into m (host='a') fields (f, n, b, s) values (${t}, 1.5, 7::integer, true, 'x'), (${t + 1}, 2, null, null, 'y')`,
      ),
    ).toEqual([{ rows: 2 }])
    expect(await one(db, `insert into m (host='a') values (${t}, 3)`)).toEqual([{ rows: 1 }])
    machine.crash()
    const again = await openOn(machine)
    expect(await one(again.db, 'select f, n, b, s, value from m')).toEqual([
      { f: 1.5, n: 7, b: true, s: 'x', value: 3 },
      { f: 2, n: null, b: null, s: 'y', value: null },
    ])
    await expect(one(again.db, `insert into m (host='a') fields (n) values (${t}, 1.5)`)).rejects.toMatchObject({
      code: 'type_mismatch',
      message: 'field "n" of metric "m" is of type integer, the value is of type float',
    })
    expect(await one(again.db, `insert into m (host='a') fields (f) values (${t}, 4::integer)`)).toEqual([{ rows: 1 }])
    await again.db.close()
  })

  test('that is refused stores none of its rows and adds no field', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine)
    await one(db, `insert into m values (${startUs}, 1)`)
    for (const [text, code] of [
      [`insert into m fields (value, fresh) values (${startUs + 1}, 1, 1), (${startUs + 2}, 'x', 1)`, 'type_mismatch'],
      [`insert into m fields (fresh) values (${startUs + 1}, 1), (${startUs + 2}, null)`, 'invalid_row'],
    ] as const)
      await expect(one(db, text)).rejects.toMatchObject({ code })
    expect(await one(db, 'select * from m')).toEqual([{ time: startUs, value: 1 }])
    await db.close()
  })

  test('beyond max_series is refused', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine, { maxSeries: 1 })
    await one(db, `insert into m (host='a') values (${startUs}, 1)`)
    await expect(one(db, `insert into m (host='b') values (${startUs}, 1)`)).rejects.toMatchObject({
      code: 'too_many_series',
    })
    await db.close()
  })
})
