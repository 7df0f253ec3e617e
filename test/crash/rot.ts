/**
 * A bit that turns over in a closed file, while nobody looks. Never a wrong row, and what is damaged is told of: an event, or an
 * error of the query that meets it. What is not damaged stays as it is.
 *
 *   file       what may be lost
 *   segment    rows of its metrics within its times; of those, older values may show
 *   WAL        what was written since the last flush
 *   manifest   deletes: rows they concern may be back
 *   catalog    nothing: it is made anew from segments and WAL
 *   objects    what the segments lose that share them; snapshots
 *   refs       snapshots
 */
import assert from 'node:assert/strict'
import { repairDirectory } from '../../src/engine/recovery/repair.ts'
import { verifyDirectory } from '../../src/engine/recovery/verify.ts'
import { SydraError } from '../../src/lib/errors.ts'
import { nodeChecksums } from '../../src/lib/node/ports.ts'
import { parseSettings } from '../../src/lib/settings.ts'
import { decodeManifest } from '../../src/storage/manifest/log.ts'
import type { SegmentMeta } from '../../src/storage/types.ts'
import type { Database } from '../../src/types.ts'
import { concerns, type Model, markMetric, type Rows, type StoredRow } from './model.ts'
import { dataDir, type Plan, type Step } from './plan.ts'
import { readMetric } from './questions.ts'
import { metrics } from './rows.ts'
import { count, type Tally } from './tally.ts'
import type { World } from './world.ts'

type Rot = Extract<Step, { kind: 'rot' }>

export interface RotContext {
  readonly world: World
  readonly model: Model
  readonly settings: Plan['settings']
  readonly tally: Tally
  /** Writes rows, and waits until they are acknowledged. */
  readonly write: (rows: Rot['last'][number]) => Promise<void>
}

/** The database is open, and nobody uses it. */
export async function rot(context: RotContext, step: Rot): Promise<void> {
  const { world, model, tally } = context
  const before = model.expected(world.machine.nowUs)
  if (step.file === 'wal/') {
    await world.insist(() => world.db!.flush())
    for (const rows of step.last) await context.write(rows)
    world.crash('rot', false, 0)
  } else await world.close()
  const { disk } = world.machine
  const paths = disk.paths().filter(path => path.startsWith(`${dataDir}/${step.file}`))
  const path = paths[step.pick % paths.length]
  if (path === undefined) return
  const content = disk.contents(path)
  const length = content.findLastIndex(byte => byte !== 0) + 1
  if (length === 0) return
  const concerned = segmentsWith(context, content)
  disk.damage(path, step.at % length, byte => byte ^ (1 << step.bit))
  count(tally, `rot in ${step.file}`)

  const mayDiffer = differences(context, step.file, concerned, before)
  const isTold = await judge(context, mayDiffer, false)
  await world.close()
  const settings = parseSettings(context.settings)
  await world.settled(() => repairDirectory(settings, world.machine.ports, () => count(tally, 'repair')))
  await judge(context, mayDiffer, isTold)
  assert.ok(!world.isAlarmed, `alarm after repair: ${JSON.stringify(world.events)}`)
  await world.close()
  const damaged: unknown[] = []
  const verify = async (): Promise<void> => {
    for await (const file of verifyDirectory(world.machine.ports, dataDir))
      if (file.problems.some(({ severity }) => severity === 'damage')) damaged.push(file)
  }
  await world.settled(verify)
  assert.deepEqual(damaged, [], 'damage after repair')
  assert.deepEqual(world.machine.disk.openHandles(), [])
}

/** Segments with these bytes: a snapshot shares them. */
function segmentsWith({ world }: RotContext, content: Uint8Array): SegmentMeta[] {
  const { disk } = world.machine
  const path = `${dataDir}/MANIFEST`
  const { state } = decodeManifest(disk.contents(path), path, nodeChecksums)
  return state.segments.filter(meta => Buffer.compare(disk.contents(`${dataDir}/${meta.path}`), content) === 0)
}

/** Which rows need not be as they were, once the damage has been told. */
function differences(
  { model }: RotContext,
  file: string,
  concerned: SegmentMeta[],
  before: Rows,
): (row: StoredRow) => boolean {
  if (file === 'MANIFEST') {
    const { deletions } = model.history()
    return row => deletions.some(deletion => concerns(deletion, row))
  }
  if (file === 'wal/') {
    const flushed = new Set(before.values())
    const stays = new Set([...flushed].map(row => `${row.series}@${row.timeUs}`))
    const written = model.lastKeys(4)
    return row => !stays.has(`${row.series}@${row.timeUs}`) || written.has(`${row.series}@${row.timeUs}`)
  }
  return ({ timeUs }) => concerned.some(({ minTimeUs, maxTimeUs }) => timeUs >= minTimeUs && timeUs <= maxTimeUs)
}

/** Opens the database and holds what it shows against the model; says whether it told of damage. */
async function judge(
  { world, model }: RotContext,
  mayDiffer: (row: StoredRow) => boolean,
  isTold: boolean,
): Promise<boolean> {
  const db = await world.open()
  const found: Rows = new Map()
  const unreadable = new Set<string>()
  for (const metric of [markMetric, ...metrics]) if (!(await reads(db, metric, found, world))) unreadable.add(metric)
  const nowUs = world.machine.nowUs
  const expected = model.expected(nowUs)
  const { values } = model.history()
  const isLoud =
    isTold ||
    unreadable.size > 0 ||
    world.events.some(({ kind }) => /corruption|truncated|quarantined|damaged|rebuilt/.test(kind))
  const check = (key: string, row: StoredRow): string | undefined => {
    if (unreadable.has(row.metric)) return undefined
    const there = found.get(key)
    const wanted = expected.get(key)
    const isSame =
      there && wanted && JSON.stringify([...there.fields].sort()) === JSON.stringify([...wanted.fields].sort())
    if (isSame) return undefined
    if (!mayDiffer(row)) return `row ${key} is ${there ? 'other than it was' : 'lost'}, and was not damaged`
    if (!isLoud) return `row ${key} is not as it was, and nothing was told`
    const known = values.get(key)
    if (there && [...there.fields].some(([name, value]) => !known?.get(name)?.has(value))) return `row ${key} is wrong`
    return undefined
  }
  for (const [key, row] of new Map([...expected, ...found])) {
    const problem = check(key, row)
    if (problem !== undefined)
      throw new Error(`${problem} (events: ${JSON.stringify(world.events.map(({ kind }) => kind))})`)
  }
  return isLoud
}

async function reads(db: Database, metric: string, found: Rows, world: World): Promise<boolean> {
  try {
    const rows: Rows = new Map()
    await world.settled(() => readMetric(db, metric, rows))
    for (const [key, row] of rows) found.set(key, row)
    return true
  } catch (error) {
    if (error instanceof SydraError && error.code === 'unknown_metric') return true
    if (error instanceof SydraError && /^corrupt_/.test(error.code)) return false
    throw error
  }
}
