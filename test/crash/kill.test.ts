/**
 * Real servers killed at random moments under load, flushing, merging, taking snapshots and letting old rows go all along, and
 * restarted on the same directories: what they acknowledged is there, once.
 * SYDRADB_KILL_SEED repeats a run, as far as the machine lets it; SYDRADB_KILLS says how often it is killed.
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { open } from '../../src/index.ts'
import { SeededRandom } from '../simulated/random.ts'
import { Caretaker, expiredMetric } from './caretaker.ts'
import { type ServerProcess, startServer } from './server-process.ts'
import { metrics, rowOf, Writer } from './writers.ts'

const kills = Number(process.env['SYDRADB_KILLS'] ?? 4)
const seed = Number(process.env['SYDRADB_KILL_SEED'] ?? Date.now() % 1e6)
/** Directories, each with its servers: while one waits for a merge the others work. */
const lives = 2
/** A server works until so many more rows are acknowledged, at most, or so long. */
const loadRowsMax = 3000
const loadMsMax = 10_000
/** How long is waited for a merge. */
const mergeMsMax = 2000

let root: string
const servers = new Set<ServerProcess>()
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'sydradb-kill-'))
})
afterAll(async () => {
  for (const server of servers) await server.kill()
  await rm(root, { recursive: true, force: true })
})

test(`${kills} kills under load lose nothing that was acknowledged (seed ${seed})`, { timeout: 600_000 }, async () => {
  const begun = await Promise.all(
    Array.from({ length: lives }, (_, n) => live(join(root, String(n)), seed + n, Math.ceil((kills - n) / lives))),
  )
  if (kills >= 4) expect(Math.max(...begun)).toBeGreaterThan(0)
})

/** Kills servers of one directory, then looks at what is there. Resolves with the number of merges that were begun. */
async function live(dataDir: string, seed: number, kills: number): Promise<number> {
  const random = new SeededRandom(seed)
  const writers = [0, 1, 2, 3, 4].map(id => new Writer(id, new SeededRandom(seed * 10 + id), id < 2))
  const caretaker = new Caretaker(new SeededRandom(seed + 1))
  const acknowledged = () => writers.reduce((sum, writer) => sum + writer.acknowledged.size, 0)

  // merges are slow enough to be killed in the middle
  const options = [
    '--memtable-max-bytes',
    '64KiB',
    '--wal-keep-bytes',
    '0',
    '--compaction-bytes-per-second-max',
    '4MiB',
    '--retention',
    'old=1',
  ]
  /** Merges. */
  let begun = 0
  let done = 0
  for (let kill = 0; kill < kills; kill++) {
    const server = await startServer(dataDir, options)
    servers.add(server)
    const { address, log } = server
    const writing = [...writers, caretaker].map(client => client.run(address))
    const merging = compactAgain(address, random.below(60))
    const before = acknowledged()
    const until = performance.now() + loadMsMax
    for (const rows = random.below(loadRowsMax); acknowledged() < before + rows && performance.now() < until; ) {
      await pause(1 + random.below(5))
    }
    // one time in the middle of a merge, more or less, one time soon after it took effect, one time after a snapshot
    const merge = ['compaction-started', 'compacted', 'snapshot'][kill % 3]
    if (merge !== undefined) {
      const end = performance.now() + mergeMsMax
      while (timesIn(log(), merge) === 0 && performance.now() < end) await pause(5)
      await pause(random.below(merge === 'compacted' ? 30 : 400))
    }
    await server.kill()
    servers.delete(server)
    await Promise.all(writing)
    await merging
    begun += timesIn(log(), 'compaction-started')
    done += timesIn(log(), 'compacted')
    expect(log()).not.toMatch(
      /wal-corruption|segment-quarantined|segment-damaged|flush-failed|compaction-failed|read-only|"level":[56]0/,
    )
  }

  const db = await open({ dataDir, retention: { old: 1 } })
  try {
    const found = new Map(writers.map(({ id }) => [String(id), new Set<number>()]))
    for (const metric of metrics) {
      for await (const { time, ...row } of db.query(`select * from ${metric}`)) {
        const writer = row['tag.writer'] as string
        const number = row['number'] as number
        const { series, ts, tags, fields } = rowOf(Number(writer), number)
        const expected = { 'tag.writer': tags.writer, 'tag.part': tags.part, ...fields }
        const there = Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null))
        expect([metric, time, there]).toEqual([series, ts, expected])
        expect(found.get(writer)!.has(number), `row ${writer}/${number} once`).toBe(false)
        found.get(writer)!.add(number)
      }
    }
    for (const { id, acknowledged: promised, sent } of writers) {
      const there = found.get(String(id))!
      expect([...promised].filter(number => !there.has(number))).toEqual([])
      expect(Math.max(-1, ...there)).toBeLessThan(sent)
    }
    expect(acknowledged()).toBeGreaterThan(kills * 20)
    const segments = await readdir(join(dataDir, 'segments'), { recursive: true })
    expect(segments.filter(name => name.endsWith('.seg')).length).toBe(db.stats().segments.count)
    // On a busy machine few rows are written between two kills: none may have reached a segment.
    if (acknowledged() > 20_000) expect(db.stats().segments.count).toBeGreaterThan(0)
    const expired = await db.query(`select count(*) as n from ${expiredMetric}`).first()
    expect(expired).toEqual({ n: 0 })
    const names = new Set(db.snapshots().flatMap(snapshot => snapshot.names))
    expect(caretaker.taken.filter(name => !names.has(name))).toEqual([])
    const { damaged } = await db.verify().all()
    expect(damaged.flatMap(({ problems }) => problems)).toEqual([])
    console.log(
      `seed ${seed}: ${acknowledged()} rows acknowledged, ${db.stats().segments.count} segments, ${done} of ${begun} merges done, ${caretaker.taken.length} snapshots`,
    )
    return begun
  } finally {
    await db.close()
  }
}

/** Asks for merges until the server is gone. */
async function compactAgain(address: string, pauseMs: number): Promise<void> {
  try {
    for (;;) {
      await pause(pauseMs)
      await (await fetch(`${address}/api/v1/compact`, { method: 'POST' })).text()
    }
  } catch {
    // the server is gone
  }
}

const timesIn = (log: string, kind: string): number => log.split(`"kind":"${kind}"`).length - 1
