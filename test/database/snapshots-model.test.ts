/** Random work between snapshots against a naive model: the present, every past, and what differs between any two. */
import { expect, test } from 'vitest'
import type { Database } from '../../src/types.ts'
import { SimulatedMachine } from '../simulated/machine.ts'
import { SeededRandom } from '../simulated/random.ts'
import { ingest, openOn, settled, startUs } from './support.ts'

const firstSeed = Number(process.env['SYDRADB_SNAPSHOT_SEED'] ?? 1)
const seeds = process.env['SYDRADB_SNAPSHOT_SEED'] === undefined ? Number(process.env['SYDRADB_SNAPSHOT_RUNS'] ?? 4) : 1
const steps = 30
const hosts = ['a', 'b', 'c', 'd']

/** `host second` -> value. */
type Rows = Map<string, number>

const isoOf = (second: number): string => new Date(startUs / 1000 + second * 1000).toISOString()

async function rowsOf(db: Database, asOf = ''): Promise<Rows> {
  const { rows } = await db
    .query<{ time: number; h: string; value: number }>(`select time, tag.host h, value from cpu${asOf}`)
    .all()
  return new Map(rows.map(({ time, h, value }) => [`${h} ${(time - startUs) / 1e6}`, value]))
}

const sorted = (rows: Rows) => [...rows].sort(([a], [b]) => (a < b ? -1 : 1))

function difference(before: Rows, after: Rows): [string, number, number, number][] {
  return hosts
    .map((host): [string, number, number, number] => {
      const of = (rows: Rows) => [...rows].filter(([key]) => key.startsWith(`${host} `))
      const added = of(after).filter(([key]) => !before.has(key)).length
      const removed = of(before).filter(([key]) => !after.has(key)).length
      const changed = of(after).filter(([key, value]) => before.has(key) && before.get(key) !== value).length
      return [`cpu{host="${host}"}`, added, removed, changed]
    })
    .filter(([, added, removed, changed]) => added + removed + changed > 0)
}

async function run(seed: number): Promise<void> {
  const random = new SeededRandom(seed)
  const machine = new SimulatedMachine(seed)
  const settings = { compaction: { enabled: false } }
  let { db } = await openOn(machine, settings)
  const at = <T>(promise: Promise<T>): Promise<T> => settled(machine, promise)
  let present: Rows = new Map()
  const pasts = new Map<string, Rows>()
  const anyPast = (): string => [...pasts.keys()][random.below(pasts.size)]!
  let value = 0

  const write = async (): Promise<void> => {
    const from = random.below(200)
    const host = hosts[random.below(hosts.length)]!
    const batch = Array.from({ length: 1 + random.below(40) }, (_, i) => ({ second: from + i, value: value++ }))
    await at(
      ingest(
        db,
        batch.map(row => ({ series: 'cpu', ts: startUs + row.second * 1e6, value: row.value, tags: { host } })),
      ),
    )
    for (const row of batch) present.set(`${host} ${row.second}`, row.value)
  }
  const remove = async (): Promise<void> => {
    const from = random.below(200)
    const to = from + 1 + random.below(50)
    const host = random.chance(0.5) ? hosts[random.below(hosts.length)]! : undefined
    const of = host === undefined ? '' : ` and tag.host = '${host}'`
    await at(db.query(`delete from cpu where time >= '${isoOf(from)}' and time < '${isoOf(to)}'${of}`).all())
    for (const key of present.keys()) {
      const [keyHost, second] = key.split(' ')
      if (Number(second) >= from && Number(second) < to && (host ?? keyHost) === keyHost) present.delete(key)
    }
  }
  const actions: readonly (readonly [weight: number, act: () => Promise<unknown>])[] = [
    [8, write],
    [3, remove],
    [2, () => at(db.flush())],
    [2, () => at(db.compact())],
    [
      4,
      async () => {
        const name = `s${value++}`
        // A merge that ends meanwhile changes nothing of it.
        await at(Promise.all([db.snapshot(name), random.chance(0.3) ? db.compact() : undefined]))
        pasts.set(name, new Map(present))
      },
    ],
    [
      2,
      async () => {
        if (pasts.size === 0) return
        const name = anyPast()
        // Nor does one that finds its inputs replaced.
        await at(Promise.all([db.restore(name), random.chance(0.3) ? db.compact() : undefined]))
        present = new Map(pasts.get(name))
      },
    ],
    [
      1,
      async () => {
        if (pasts.size < 2) return
        const name = anyPast()
        await at(db.removeSnapshot(name))
        pasts.delete(name)
        await at(db.gc())
      },
    ],
    [
      1,
      async () => {
        await at(db.close())
        ;({ db } = await openOn(machine, settings))
      },
    ],
  ]
  const total = actions.reduce((sum, [weight]) => sum + weight, 0)
  await write()
  for (let step = 0; step < steps; step++) {
    let pick = random.below(total)
    const [, act] = actions.find(([weight]) => (pick -= weight) < 0)!
    await act()
    expect(sorted(await rowsOf(db)), `step ${step}`).toEqual(sorted(present))
    if (pasts.size === 0) continue
    const [a, b] = [anyPast(), anyPast()]
    expect(sorted(await rowsOf(db, ` as of '${a}'`)), `step ${step}, ${a}`).toEqual(sorted(pasts.get(a)!))
    const found = []
    for await (const { series, added, removed, changed } of db.diff(a, b)) found.push([series, added, removed, changed])
    expect(found, `step ${step}, ${a} to ${b}`).toEqual(difference(pasts.get(a)!, pasts.get(b)!))
  }
  await at(db.close())
}

test.each(Array.from({ length: seeds }, (_, i) => firstSeed + i))(
  'seed %i (again with SYDRADB_SNAPSHOT_SEED)',
  { timeout: 60_000 },
  run,
)
