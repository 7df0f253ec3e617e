/** Opening a directory that is damaged, half-written, missing parts or someone else's. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { open } from '../../src/index.ts'
import { SimulatedMachine } from '../simulated/machine.ts'
import { ingest, kinds, openOn, range, rows, segmentPaths, settled, turn, values, walFrames } from './support.ts'

/** Two segments (rows 0-9, 10-19) and what the WAL has (20-29, a commit each). */
async function usedMachine(seed = 1): Promise<SimulatedMachine> {
  const machine = new SimulatedMachine(seed)
  const { db } = await openOn(machine)
  await ingest(db, rows(0, 10))
  await db.flush()
  await ingest(db, rows(10, 20))
  await db.flush()
  for (let row = 20; row < 30; row++) await ingest(db, rows(row, row + 1))
  machine.kill()
  return machine
}

/** Two segments and nothing in the WAL. */
async function flushedMachine(): Promise<SimulatedMachine> {
  const machine = new SimulatedMachine()
  const { db } = await openOn(machine)
  await ingest(db, rows(0, 10))
  await db.flush()
  await ingest(db, rows(10, 20, 'b'))
  await db.close()
  return machine
}

describe('a damaged segment', () => {
  test('whose header is bad is set aside, the rest is there', async () => {
    const machine = await usedMachine()
    const [first] = segmentPaths(machine)
    machine.disk.damage(first!, 20)
    const { db, events } = await openOn(machine)
    const told = events.filter(({ kind }) => kind === 'segment-quarantined')
    expect(told).toEqual([
      expect.objectContaining({
        path: first!.slice('data/'.length),
        message: expect.stringContaining('damaged at byte'),
      }),
    ])
    expect(db.stats().segments).toMatchObject({ count: 1, quarantined: 1 })
    expect(await values(db)).toEqual(range(10, 30))
    await ingest(db, rows(30, 31))
    await db.flush()
    await db.close()
    expect(segmentPaths(machine)).toContain(first)
    machine.disk.damage(first!, 20)
    const again = await openOn(machine)
    expect(await values(again.db), 'mended, it is back').toEqual(range(0, 31))
    await again.db.close()
  })

  test('whose rows are bad fails the queries that need them, with file and offset', async () => {
    const machine = await usedMachine()
    const [first] = segmentPaths(machine)
    machine.disk.damage(first!, 120)
    const { db } = await openOn(machine)
    await expect(values(db)).rejects.toMatchObject({
      code: 'corrupt_segment',
      message: expect.stringMatching(new RegExp(`${first!.slice('data/'.length)} is damaged at byte \\d+`)),
    })
    const later = await db.query('select value from cpu where time >= ?', [rows(10, 11)[0]!.ts as number]).all()
    expect(later.rows.length).toBe(20)
    await db.close()
  })

  test('that is missing is set aside too', async () => {
    const machine = await usedMachine()
    machine.ports.files.remove(segmentPaths(machine)[1]!)
    const { db, events } = await openOn(machine)
    expect(kinds(events)).toContain('segment-quarantined')
    expect(await values(db)).toEqual([...range(0, 10), ...range(20, 30)])
    await db.close()
  })

  test('is not one that cannot be opened for another reason', async () => {
    const machine = await usedMachine()
    machine.disk.fail({ call: 'open', code: 'EMFILE', path: path => path.includes('.seg') })
    await expect(openOn(machine)).rejects.toMatchObject({ code: 'io_error' })
    const { db } = await openOn(machine)
    expect(await values(db)).toEqual(range(0, 30))
    await db.close()
  })
})

describe('the write-ahead log', () => {
  test('damaged in the middle loses exactly the frame that is damaged, and says so once', async () => {
    const machine = await usedMachine()
    const frames = walFrames(machine)
    expect(frames.length).toBe(12)
    machine.disk.damage('data/wal/current.wal', frames[5]! + 40)
    const { db, events } = await openOn(machine)
    expect(events.filter(({ kind }) => kind === 'wal-corruption')).toEqual([
      { kind: 'wal-corruption', path: 'data/wal/current.wal', offset: frames[5], lostFrom: 6, lostTo: 6 },
    ])
    expect(await values(db)).toEqual(range(0, 30).filter(value => value !== 23))
    await ingest(db, rows(30, 31))
    machine.crash()
    const again = await openOn(machine)
    expect(kinds(again.events)).not.toContain('wal-corruption')
    expect(await values(again.db)).toEqual(range(0, 31).filter(value => value !== 23))
    await again.db.close()
  })

  test('rows whose series a damaged frame announced are lost with it, and never become those of another', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine)
    await ingest(db, rows(0, 1, 'a'))
    await ingest(db, rows(1, 2, 'b'))
    await ingest(db, rows(2, 3, 'b'))
    await ingest(db, rows(3, 4, 'a'))
    await ingest(db, rows(4, 5, 'a'))
    machine.kill()
    machine.disk.damage('data/wal/current.wal', walFrames(machine)[1]! + 40)

    const { db: opened, events } = await openOn(machine)
    const lost = events.flatMap(event => (event.kind === 'wal-corruption' ? [[event.lostFrom, event.lostTo]] : []))
    expect(lost).toEqual([
      [2, 2],
      [3, 3],
    ])
    expect(await values(opened)).toEqual([0, 3, 4])
    await ingest(opened, rows(5, 6, 'c'))
    // The catalog log has the new series before a crash keeps the manifest from being told of the flush.
    machine.disk.fail({ call: 'write', times: Infinity, path: path => path.includes('MANIFEST') })
    await expect(opened.flush()).rejects.toMatchObject({ code: 'read_only' })
    machine.kill()

    const again = await openOn(machine)
    const { rows: found } = await again.db.query('select series, value from cpu order by value').all()
    expect(found).toEqual([
      { series: 'cpu{host="a"}', value: 0 },
      { series: 'cpu{host="a"}', value: 3 },
      { series: 'cpu{host="a"}', value: 4 },
      { series: 'cpu{host="c"}', value: 5 },
    ])
    await again.db.close()
  })

  test('cut anywhere in its last frame keeps all before it', async () => {
    const original = await usedMachine()
    const frames = walFrames(original)
    const last = frames.at(-1)!
    for (let cut = last; cut < last + 48; cut += 5) {
      const machine = await usedMachine()
      const file = machine.ports.files.open('data/wal/current.wal', 'open')
      file.truncate(cut)
      file.close()
      const { db, events } = await openOn(machine)
      expect(kinds(events)).not.toContain('wal-corruption')
      expect(kinds(events).includes('wal-truncated')).toBe(cut > last)
      expect(await values(db)).toEqual(range(0, 29))
      await db.close()
    }
  })

  test('is synced within the interval, rows that came during a sync too', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine, { fsync: 'interval', fsyncIntervalMs: 100 })
    await ingest(db, rows(0, 1))
    machine.disk.holdSyncs()
    await machine.advance(100)
    expect(machine.disk.heldSyncs).toBe(1)
    await ingest(db, rows(1, 2))
    machine.disk.releaseSyncs()
    await machine.advance(200)
    machine.crash()
    const { db: again } = await openOn(machine)
    expect(await values(again)).toEqual([0, 1])
    await again.close()
  })
})

describe('the manifest', () => {
  const losses: readonly [string, (machine: SimulatedMachine) => void][] = [
    ['missing', machine => machine.ports.files.remove('data/MANIFEST')],
    ['damaged', machine => machine.disk.damage('data/MANIFEST', 30)],
    ['empty', machine => machine.ports.files.open('data/MANIFEST', 'open').truncate(0)],
  ]
  test.each(losses)('%s is rebuilt from the segments', async (_, lose) => {
    const machine = await usedMachine()
    lose(machine)
    const { db, events } = await openOn(machine)
    expect(await values(db)).toEqual(range(0, 30))
    expect((await db.query('select count(*) as n from cpu').first())?.['n']).toBe(30)
    expect(kinds(events)).not.toContain('wal-corruption')
    await ingest(db, rows(30, 31))
    await db.close()
    const again = await openOn(machine)
    expect(await values(again.db)).toEqual(range(0, 31))
    await again.db.close()
  })

  test('lost together with a segment: that segment is set aside, not deleted', async () => {
    const machine = await usedMachine()
    const [first] = segmentPaths(machine)
    machine.disk.damage(first!, 20)
    machine.disk.damage('data/MANIFEST', 30)
    const { db, events } = await openOn(machine)
    expect(kinds(events)).toContain('segment-quarantined')
    expect(db.stats().segments.quarantined).toBe(1)
    await db.close()
    expect(segmentPaths(machine)).toContain(first)
  })
})

describe('the catalog', () => {
  const losses: readonly [string, (machine: SimulatedMachine) => void][] = [
    ['damaged', machine => machine.disk.damage('data/catalog.log', 30)],
    ['missing', machine => machine.ports.files.remove('data/catalog.log')],
  ]
  test.each(losses)('%s is rebuilt from the segments when no row in the WAL needs it', async (_, lose) => {
    const machine = await flushedMachine()
    lose(machine)
    const { db } = await openOn(machine)
    expect(await values(db)).toEqual(range(0, 20))
    expect([...db.series()].map(({ printed }) => printed).sort()).toEqual(['cpu{host="a"}', 'cpu{host="b"}'])
    await ingest(db, rows(20, 30, 'b'))
    await db.close()
    const again = await openOn(machine)
    expect(await values(again.db)).toEqual(range(0, 30))
    expect(again.db.stats().series).toBe(2)
    await again.db.close()
  })

  test.each(losses)('%s while rows in the WAL need it is put together from the records in the WAL', async (_, lose) => {
    const machine = await usedMachine()
    lose(machine)
    const { db, events } = await openOn(machine)
    expect(await values(db)).toEqual(range(0, 30))
    expect(kinds(events)).toEqual(['rebuilt', 'recovered'])
    await ingest(db, rows(30, 31, 'b'))
    await db.close()
    const again = await openOn(machine)
    expect(await values(again.db)).toEqual(range(0, 31))
    expect(kinds(again.events)).toEqual(['recovered'])
    expect(again.db.stats().series).toBe(2)
    await again.db.close()
  })

  test('and the frame that announced its series damaged at once: what is in segments stays, the rest is set aside', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine)
    await ingest(db, rows(0, 10))
    await db.flush()
    await ingest(db, rows(10, 11, 'b'))
    await ingest(db, rows(11, 12, 'a'))
    await ingest(db, rows(12, 13, 'b'))
    machine.kill()
    machine.disk.damage('data/wal/current.wal', walFrames(machine)[0]! + 40)
    machine.ports.files.remove('data/catalog.log')
    const again = await openOn(machine)
    expect(await values(again.db)).toEqual(range(0, 10))
    expect(kinds(again.events)).toContain('wal-corruption')
    expect(machine.disk.paths()).toContain('data/wal/current.wal.damaged')
    expect(again.db.stats().setAside).toBe(1)
    await ingest(again.db, rows(13, 14, 'c'))
    await again.db.close()
    const { db: third } = await openOn(machine)
    expect(await values(third)).toEqual([...range(0, 10), 13])
    await third.close()
  })

  test('whose end was cut is no torn tail: the manifest knows how much there was', async () => {
    const machine = await usedMachine()
    const log = machine.ports.files.open('data/catalog.log', 'open')
    log.truncate(36)
    log.close()
    const { db, events } = await openOn(machine)
    expect(kinds(events)).toEqual(['rebuilt', 'recovered'])
    expect(await values(db)).toEqual(range(0, 30))
    await db.close()
  })

  test('is rebuilt whole, whenever the rebuilding is interrupted', async () => {
    for (let call = 1, interrupted = true; interrupted; call += 17) {
      const machine = await flushedMachine()
      machine.disk.damage('data/catalog.log', 30)
      const { disk } = machine
      interrupted = false
      const until = disk.calls + call
      const crashed = new Promise<void>(resolve => {
        disk.onCall = () => {
          if (disk.calls !== until) return
          interrupted = true
          machine.crash(call)
          resolve()
        }
      })
      const opening = open({ dataDir: 'data' }, machine.ports)
      const opened = await settled(machine, Promise.race([opening.catch(() => crashed), crashed]))
      disk.onCall = () => {}
      if (opened !== undefined) await opened.close()
      const { db } = await openOn(machine)
      expect(await values(db), `interrupted at call ${call}`).toEqual(range(0, 20))
      await db.close()
    }
  })

  test('and a segment damaged at once: the other is there', async () => {
    const machine = await flushedMachine()
    machine.disk.damage('data/catalog.log', 30)
    machine.disk.damage(segmentPaths(machine)[0]!, 20)
    const { db } = await openOn(machine)
    expect(await values(db)).toEqual(range(10, 20))
    await db.close()
  })
})

describe('a file that a newer version wrote', () => {
  /** Writes the version and the header's checksum behind `crcAt`. */
  function raiseVersion(machine: SimulatedMachine, path: string, at: number, crcAt: number): void {
    const bytes = machine.disk.contents(path).slice()
    const view = new DataView(bytes.buffer)
    view.setUint32(at, 9, true)
    view.setUint32(crcAt, machine.ports.checksums.crc32(bytes.subarray(0, crcAt)), true)
    machine.ports.files.open(path, 'open').write(bytes, 0)
  }

  test('is refused: the catalog is not rebuilt, the manifest neither', async () => {
    const machine = await flushedMachine()
    const paths = machine.disk.paths()
    const log = machine.disk.contents('data/catalog.log').slice()
    raiseVersion(machine, 'data/catalog.log', 8, 32)
    const refused = {
      code: 'unsupported_version',
      message: expect.stringContaining('was written by a newer version'),
      hint: expect.stringContaining('with the version that wrote it'),
    }
    await expect(openOn(machine)).rejects.toMatchObject(refused)
    expect(machine.disk.paths()).toEqual(paths)
    machine.ports.files.open('data/catalog.log', 'open').write(log, 0)

    const text = new TextDecoder().decode(machine.disk.contents('data/MANIFEST'))
    const [first, ...others] = text.split('\n')
    const rest = first!.slice(first!.indexOf('"n"')).replace('"version":1', '"version":2')
    const crc = machine.ports.checksums.crc32(new TextEncoder().encode(rest)).toString(16).padStart(8, '0')
    const newer = [`{"crc":"${crc}",${rest}`, ...others].join('\n')
    machine.ports.files.open('data/MANIFEST', 'open').write(new TextEncoder().encode(newer), 0)
    await expect(openOn(machine)).rejects.toMatchObject(refused)
    expect(machine.disk.paths()).toEqual(paths)
  })
})

test('every damaged file is kept: the second rebuilding takes another name', async () => {
  const machine = await flushedMachine()
  const damaged: Uint8Array[] = []
  for (let again = 0; again < 3; again++) {
    machine.disk.damage('data/MANIFEST', 20 + again)
    damaged.push(machine.disk.contents('data/MANIFEST').slice())
    const { db } = await openOn(machine)
    expect(await values(db)).toEqual(range(0, 20))
    await db.close()
  }
  for (const [i, name] of ['damaged', 'damaged.2', 'damaged.3'].entries())
    expect(machine.disk.contents(`data/MANIFEST.${name}`)).toEqual(damaged[i])
})

test('series that have been there for a second outlive the WAL frame that announced them', async () => {
  const machine = new SimulatedMachine()
  const { db } = await openOn(machine)
  await ingest(db, rows(0, 1, 'a'))
  await ingest(db, rows(1, 2, 'b'))
  await ingest(db, rows(2, 3, 'b'))
  await machine.advance(2000)
  await ingest(db, rows(3, 4, 'b'))
  machine.crash()
  machine.disk.damage('data/wal/current.wal', walFrames(machine)[1]! + 40)
  const again = await openOn(machine)
  expect(await values(again.db)).toEqual([0, 2, 3])
  await again.db.close()
})

describe('files of a flush that did not finish', () => {
  test('are removed, and its rows are there once', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine)
    await ingest(db, rows(0, 10))
    machine.disk.fail({ call: 'write', times: Infinity, code: 'EIO', path: path => path.includes('MANIFEST') })
    await expect(db.flush()).rejects.toMatchObject({ code: 'read_only' })
    expect(segmentPaths(machine).length).toBe(1)
    machine.kill()
    const half = machine.ports.files.open(`${segmentPaths(machine)[0]}.tmp`, 'create')
    half.write(new Uint8Array(100), 0)
    half.close()
    const again = await openOn(machine)
    expect(segmentPaths(machine)).toEqual([])
    expect(await values(again.db)).toEqual(range(0, 10))
    await again.db.close()
    expect(segmentPaths(machine).length).toBe(1)
  })

  test('are no more written once closing has ended', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine)
    await ingest(db, rows(0, 10))
    machine.disk.holdSyncs()
    const flushed = db.flush().catch((error: unknown) => error)
    await turn()
    // A write that cannot be taken back poisons the log, which makes the database read-only while the flush is under way.
    machine.disk.fail({ call: 'write', path: path => path.includes('wal') })
    machine.disk.fail({ call: 'truncate', path: path => path.includes('wal') })
    await expect(ingest(db, rows(10, 11))).rejects.toMatchObject({ code: 'io_error' })
    await expect(ingest(db, rows(10, 11))).rejects.toMatchObject({ code: 'read_only' })
    let closed = false
    const closing = db.close().then(() => {
      closed = true
    })
    for (let turns = 0; turns < 10; turns++) await turn()
    expect(closed).toBe(false)
    machine.disk.releaseSyncs()
    await settled(machine, closing)
    expect(await flushed).toMatchObject({ code: 'read_only' })
    const { calls } = machine.disk
    for (let turns = 0; turns < 10; turns++) await turn()
    expect(machine.disk.calls).toBe(calls)
    const again = await openOn(machine)
    expect(await values(again.db)).toEqual(range(0, 10))
    await again.db.close()
  })
})

describe('a failed fdatasync', () => {
  test('refuses the rows and all that follow, readers go on, reopening recovers', async () => {
    const machine = await usedMachine()
    const { db, events } = await openOn(machine)
    machine.disk.fail({ call: 'dataSync', path: path => path.includes('wal') })
    await expect(ingest(db, rows(30, 31))).rejects.toMatchObject({ code: 'io_error' })
    await expect(ingest(db, rows(31, 32))).rejects.toMatchObject({ code: 'read_only' })
    expect(kinds(events)).toContain('read-only')
    expect(db.stats().readOnly).toBe(true)
    expect(await values(db)).toEqual(range(0, 30))
    await db.close()
    const again = await openOn(machine)
    expect((await values(again.db)).filter(value => value < 30)).toEqual(range(0, 30))
    expect(await values(again.db)).not.toContain(31)
    await ingest(again.db, rows(32, 33))
    await again.db.close()
  })

  test('when closing rejects the closing, and lets the directory go all the same', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine, { fsync: 'none' })
    await ingest(db, rows(0, 10))
    machine.disk.fail({ call: 'dataSync', path: path => path.includes('wal') })
    machine.disk.fail({ call: 'write', path: path => path.includes('.seg') })
    await expect(settled(machine, db.close())).rejects.toMatchObject({ code: 'io_error' })
    const again = await openOn(machine)
    expect(await values(again.db)).toEqual(range(0, 10))
    await again.db.close()
  })
})

describe('the directory', () => {
  test('in use by another process is refused, naming it', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'sydradb-recovery-'))
    const index = new URL('../../src/index.ts', import.meta.url).href
    const script = `const { open } = await import(${JSON.stringify(index)}); await open(${JSON.stringify(dataDir)}); console.log('open'); setInterval(() => {}, 1000)`
    const holder = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exited = once(holder, 'exit')
    try {
      await Promise.race([once(holder.stdout, 'data'), exited])
      await expect(open(dataDir)).rejects.toMatchObject({
        code: 'directory_in_use',
        message: expect.stringContaining(`process ${holder.pid}`),
      })
      holder.kill('SIGKILL')
      await exited
      const db = await open(dataDir)
      await expect(open(dataDir), 'twice in one process').rejects.toMatchObject({ code: 'directory_in_use' })
      await db.close()
    } finally {
      holder.kill('SIGKILL')
      await rm(dataDir, { recursive: true, force: true })
    }
  })

  test('on a read-only file system is refused with the reason', async () => {
    const machine = await usedMachine()
    for (const call of ['open', 'write', 'rename', 'remove', 'makeDirectory'] as const) {
      machine.disk.fail({ call, times: Infinity, code: 'EROFS' })
    }
    await expect(openOn(machine)).rejects.toMatchObject({
      code: 'io_error',
      message: expect.stringContaining('EROFS'),
    })
  })

  test('that cannot be made is refused with the reason', async () => {
    const machine = new SimulatedMachine()
    machine.disk.fail({ call: 'makeDirectory', code: 'EACCES' })
    await expect(openOn(machine)).rejects.toMatchObject({
      code: 'io_error',
      message: expect.stringContaining('EACCES'),
    })
  })

  test('of one database has nothing to do with that of another', async () => {
    const machine = new SimulatedMachine()
    const { db: one } = await openOn(machine, { dataDir: 'one' })
    const { db: other } = await openOn(machine, { dataDir: 'other' })
    await Promise.all([ingest(one, rows(0, 5)), ingest(other, rows(5, 9, 'b'))])
    await one.flush()
    expect([await values(one), await values(other)]).toEqual([range(0, 5), range(5, 9)])
    await one.close()
    await ingest(other, rows(9, 10, 'b'))
    expect(await values(other)).toEqual(range(5, 10))
    await other.close()
  })

  test(':memory: is none, and every such database is another', async () => {
    const one = await open(':memory:')
    const other = await open(':memory:')
    await ingest(one, rows(0, 5))
    await one.flush()
    await ingest(one, rows(5, 6))
    expect(await values(one)).toEqual(range(0, 6))
    expect(other.stats().metrics).toBe(0)
    await one.close()
    await other.close()
    const again = await open(':memory:')
    expect(again.stats().metrics).toBe(0)
    await again.close()
  })
})
