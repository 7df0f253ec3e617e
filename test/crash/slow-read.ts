/**
 * A reader that takes its time: it began before a step, and reads on after others, from the version that it holds.
 *
 *   a query          its rows, as many as there were
 *   a verification   segment after segment of its version, whatever has taken their places
 */
import assert from 'node:assert/strict'
import type { Database } from '../../src/types.ts'
import { type Model, markMetric } from './model.ts'
import type { World } from './world.ts'

export interface SlowRead {
  readonly process: number
  /** Reads to the end, and looks at what came. */
  readonly finish: () => Promise<void>
}

/** Of a metric, or for `mark` a verification. Nothing is being written. */
export async function beginSlowRead(
  world: World,
  model: Model,
  db: Database,
  metric: string,
): Promise<SlowRead | undefined> {
  const { process } = world
  const finish = metric === markMetric ? await verifySlowly(world, db) : await querySlowly(world, model, db, metric)
  return finish && { process, finish }
}

async function querySlowly(
  world: World,
  model: Model,
  db: Database,
  metric: string,
): Promise<SlowRead['finish'] | undefined> {
  const all = model.expected(world.machine.nowUs)
  const expected = [...all.values()].filter(row => row.metric === metric).length
  const rows = db.query(`select series, time from ${metric}`)[Symbol.asyncIterator]()
  const first = await world.attempt(() => rows.next(), /^unknown_metric$/)
  if (first === undefined || first.done) return undefined
  return async () => {
    let seen = 1
    for (let next = await rows.next(); !next.done; next = await rows.next()) seen++
    assert.equal(seen, expected, 'rows of a slow reader')
  }
}

async function verifySlowly(world: World, db: Database): Promise<SlowRead['finish'] | undefined> {
  const files = db.verify()[Symbol.asyncIterator]()
  const first = await world.attempt(() => files.next())
  if (first === undefined) return undefined
  return async () => {
    for (let next = await files.next(); !next.done; next = await files.next()) {
      const { path, problems } = next.value
      const damage = problems.filter(({ severity }) => severity === 'damage')
      if (world.mishaps === 0) assert.deepEqual(damage, [], `${path} of a slow reader`)
    }
  }
}
