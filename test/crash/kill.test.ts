/**
 * A real server killed at random moments under load, and restarted on the same directory: what it acknowledged is there.
 * SYDRADB_KILL_SEED repeats a run, as far as the machine lets it; SYDRADB_KILLS says how often it is killed.
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { open } from '../../src/index.ts'
import { SeededRandom } from '../simulated/random.ts'
import { type ServerProcess, startServer } from './server-process.ts'
import { metrics, rowOf, Writer } from './writers.ts'

const kills = Number(process.env['SYDRADB_KILLS'] ?? 20)
const seed = Number(process.env['SYDRADB_KILL_SEED'] ?? Date.now() % 1e6)
/** A server works until so many more rows are acknowledged, at most, or so long. */
const loadRowsMax = 3000
const loadMsMax = 1200

let dataDir: string
let server: ServerProcess | undefined
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'sydradb-kill-'))
})
afterAll(async () => {
  await server?.kill()
  await rm(dataDir, { recursive: true, force: true })
})

test(`${kills} kills under load lose nothing that was acknowledged (seed ${seed})`, { timeout: 300_000 }, async () => {
  const random = new SeededRandom(seed)
  const writers = [0, 1, 2, 3, 4].map(id => new Writer(id, new SeededRandom(seed * 10 + id), id < 2))
  const acknowledged = () => writers.reduce((sum, writer) => sum + writer.acknowledged.size, 0)

  for (let kill = 0; kill < kills; kill++) {
    server = await startServer(dataDir, ['--memtable-max-bytes', '64KiB', '--wal-keep-bytes', '0'])
    const { address, log } = server
    const writing = writers.map(writer => writer.run(address))
    const before = acknowledged()
    const until = performance.now() + loadMsMax
    for (const rows = random.below(loadRowsMax); acknowledged() < before + rows && performance.now() < until; ) {
      await pause(1 + random.below(5))
    }
    await server.kill()
    await Promise.all(writing)
    expect(log()).not.toMatch(/wal-corruption|segment-quarantined|flush-failed|read-only|"level":[56]0/)
  }

  const db = await open(dataDir)
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
    if (kills >= 20) expect(db.stats().segments.count).toBeGreaterThan(0)
    console.log(`seed ${seed}: ${acknowledged()} rows acknowledged, ${db.stats().segments.count} segments`)
  } finally {
    await db.close()
  }
})
