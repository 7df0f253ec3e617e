/** A real file system without room: what fails is told, what was acknowledged stays, and room is all it takes to go on. */
import { execFileSync } from 'node:child_process'
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmdirSync, statfsSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest'
import { open } from '../../src/index.ts'
import type { Database } from '../../src/types.ts'

let mounted: string | undefined
let whyNot = ''
beforeAll(() => {
  const directory = mkdtempSync(join(tmpdir(), 'sydradb-full-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', directory], { stdio: 'pipe' })
    mounted = directory
  } catch (error) {
    rmdirSync(directory)
    whyNot = String(error).split('\n')[0]!
  }
})
afterAll(() => {
  if (mounted === undefined) return
  execFileSync('umount', [mounted])
  rmdirSync(mounted)
})

const fileSystem = (context: TestContext): string => {
  if (mounted === undefined) context.skip(`no tmpfs can be mounted here: ${whyNot}`)
  return mounted!
}

/** Takes room away from everyone else. */
class Ballast {
  readonly #directory: string
  readonly #file: number
  constructor(directory: string) {
    this.#directory = directory
    this.#file = openSync(join(directory, `ballast-${performance.now()}`), 'w')
  }
  /** Leaves so many bytes. */
  leave(bytes: number): void {
    const { bavail, bsize } = statfsSync(this.#directory)
    const zeros = new Uint8Array(bsize)
    for (let blocks = bavail - Math.ceil(bytes / bsize); blocks > 0; blocks--) writeSync(this.#file, zeros)
  }
  free(): void {
    ftruncateSync(this.#file, 0)
  }
  close(): void {
    this.free()
    closeSync(this.#file)
  }
}

/** A group of rows that do not compress; its number is in every row. */
const group = (number: number) =>
  Array.from({ length: 400 }, (_, row) => ({
    series: 'm',
    ts: 1767225600000000 + number * 1e6 + row,
    fields: { number, noise: Math.random(), text: `${number}-${row}-`.padEnd(200, 'x') },
  }))

async function ingest(db: Database, number: number): Promise<string> {
  const { failure, ingested } = await db.ingest(group(number), { precision: 'us' })
  expect(ingested).toBe(failure === undefined ? 400 : 0)
  return failure?.code ?? 'stored'
}

async function groups(db: Database): Promise<Map<number, number>> {
  const { rows } = await db
    .query<{ number: number; n: number }>('select number, count(*) as n from m group by number')
    .all()
  return new Map(rows.map(({ number, n }) => [number, n]))
}

describe('a full disk', () => {
  test('refuses exactly the groups that do not fit, and takes the next when there is room', async context => {
    const directory = fileSystem(context)
    const dataDir = join(directory, 'wal-full')
    const ballast = new Ballast(directory)
    let db = await open({ dataDir, memtableMaxBytes: '256MiB', memLimitBytes: '1GiB' })
    try {
      const stored: number[] = []
      const refused: number[] = []
      for (let number = 0; refused.length < 5; number++) {
        const outcome = await ingest(db, number)
        if (outcome === 'stored') stored.push(number)
        else {
          expect(outcome).toBe('disk_full')
          refused.push(number)
          // half a group of room each time: a frame written in part must leave nothing
          ballast.leave(40_000)
        }
      }
      expect(stored.length).toBeGreaterThan(20)
      expect(db.stats().readOnly).toBe(false)
      expect(await groups(db)).toEqual(new Map(stored.map(number => [number, 400])))

      ballast.leave(0)
      expect(await ingest(db, 10_000)).toBe('disk_full')
      await db.close()
      ballast.free()
      db = await open({ dataDir, memtableMaxBytes: '256MiB', memLimitBytes: '1GiB' })
      expect(await groups(db), 'after a restart').toEqual(new Map(stored.map(number => [number, 400])))
      ballast.leave(200_000)
      for (let number = 20_000; (await ingest(db, number)) === 'stored'; number++) stored.push(number)
      // the segments of what is there need room as well
      execFileSync('mount', ['-o', 'remount,size=96m', directory])
      for (let number = 30_000; number < 30_005; number++) {
        expect(await ingest(db, number), 'once there is room').toBe('stored')
        stored.push(number)
      }
      await db.flush()
      await db.close()
      db = await open({ dataDir })
      expect(await groups(db)).toEqual(new Map(stored.map(number => [number, 400])))
    } finally {
      ballast.close()
      await db.close()
    }
  }, 60_000)

  test('keeps a flush waiting, without the database turning read-only', async context => {
    const directory = fileSystem(context)
    const dataDir = join(directory, 'flush-full')
    const ballast = new Ballast(directory)
    const db = await open({ dataDir, memtableMaxBytes: '256MiB', memLimitBytes: '1GiB' })
    try {
      for (let number = 0; number < 10; number++) expect(await ingest(db, number)).toBe('stored')
      ballast.leave(4096)
      await expect(db.flush()).rejects.toMatchObject({ code: 'disk_full' })
      await expect(db.flush(), 'tried again').rejects.toMatchObject({ code: 'disk_full' })
      expect(db.stats().readOnly).toBe(false)
      expect((await groups(db)).size).toBe(10)
      ballast.leave(0)
      ballast.free()
      while (db.stats().flushes === 0) await pause(20)
      expect(db.stats().memtable.frozen).toBe(0)
      expect((await groups(db)).size).toBe(10)
      expect(await ingest(db, 10)).toBe('stored')
    } finally {
      ballast.close()
      await db.close()
    }
  }, 60_000)
})
