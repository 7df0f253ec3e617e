/** Segments become fewer in the background or on request; answers stay, and failures leave everything as it was. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { SettingsInput } from '../../src/lib/settings.ts'
import type { Database, EngineEvent } from '../../src/types.ts'
import { SimulatedMachine } from '../simulated/machine.ts'
import { ingest, kinds, openOn, range, rows, segmentPaths, settled, turn, values } from './support.ts'

describe('compaction', () => {
  let machine: SimulatedMachine
  let db: Database
  let events: readonly EngineEvent[]
  beforeEach(() => {
    machine = new SimulatedMachine()
    machine.nowUs += 3600e6
  })
  const openWith = async (settings: SettingsInput = {}): Promise<void> => {
    const opened = await openOn(machine, { flushIntervalMs: 0, ...settings })
    db = opened.db
    events = opened.events
  }
  const flushed = async (from: number, to: number): Promise<void> => {
    await ingest(db, rows(from, to))
    await settled(machine, db.flush())
  }
  /** Ten segments, of which two hold the same times. */
  const tenSegments = async (): Promise<void> => {
    for (let i = 0; i < 9; i++) await flushed(i * 100, i * 100 + 100)
    await ingest(
      db,
      rows(0, 50).map(row => ({ ...row, value: 5000 + Number(row.value) })),
    )
    await settled(machine, db.flush())
  }
  const answers = async (): Promise<unknown> => (await db.query('select * from cpu').all()).rows
  const ofKind = <K extends EngineEvent['kind']>(kind: K) =>
    events.filter((event): event is Extract<EngineEvent, { kind: K }> => event.kind === kind)
  /** Every file is of a segment that there is. */
  const expectNoLeftOvers = (): void => expect(segmentPaths(machine)).toHaveLength(db.stats().segments.count)

  test('the background merges what flushes leave, and says so', async () => {
    await openWith()
    await tenSegments()
    const before = await answers()
    expect(db.stats().segments.count).toBe(10)
    await machine.advance(3 * 3600e3)
    expect(db.stats().segments.count).toBeLessThan(10)
    expect(await answers()).toEqual(before)
    expect(db.stats().segments.rows).toBe(900)
    expectNoLeftOvers()

    const [first] = ofKind('compaction-started')
    const [done] = ofKind('compacted')
    expect(first).toMatchObject({ reason: done!.reason, bytes: expect.any(Number) })
    expect(done!.inputs).toEqual(first!.inputs)
    expect(done!).toMatchObject({ rowsRead: expect.any(Number), segments: expect.any(Array) })
    const { compaction } = db.stats()
    expect(compaction).toMatchObject({ running: false, failed: 0, skipped: 0, merges: ofKind('compacted').length })
    expect(compaction.writeAmplification).toBeGreaterThan(1)
    await settled(machine, db.close())
    await openWith()
    expect(await answers()).toEqual(before)
    await settled(machine, db.close())
  })

  test('on request it runs to the end, flushes first, and has nothing to do the second time', async () => {
    await openWith({ compaction: { enabled: false } })
    await tenSegments()
    await ingest(db, rows(2000, 2010))
    await machine.advance(3 * 3600e3)
    expect(db.stats().segments.count).toBe(10)
    const before = await answers()
    const progress: number[] = []
    const reports = await settled(
      machine,
      Promise.all([db.compact({ onProgress: ({ bytesTotal }) => progress.push(bytesTotal) }), db.compact()]),
    )
    expect(reports[0]).toMatchObject({ failed: 0, rowsWritten: expect.any(Number), elapsedMs: expect.any(Number) })
    expect(reports[0].merges).toBeGreaterThan(0)
    expect(reports[1]).toMatchObject({ merges: reports[0].merges })
    expect(progress.length).toBeGreaterThan(0)
    expect(db.stats().memtable.rows).toBe(0)
    expect(db.stats().segments).toMatchObject({ rows: 910 })
    expect(await answers()).toEqual(before)
    expect(await settled(machine, db.compact())).toMatchObject({ merges: 0, bytesWritten: 0 })
    expectNoLeftOvers()
    await settled(machine, db.close())
    await expect(db.compact()).rejects.toMatchObject({ code: 'shutting_down' })
  })

  test('deletes are applied, and let go', async () => {
    await openWith({ compaction: { enabled: false } })
    await tenSegments()
    const [from, to] = [new Date('2026-01-01T00:01:00Z'), new Date('2026-01-01T00:12:00Z')]
    await settled(machine, db.query('delete from cpu where time >= ? and time < ?', [from, to]).all())
    const before = await answers()
    await settled(machine, db.compact())
    expect(await answers()).toEqual(before)
    expect(db.stats()).toMatchObject({ tombstones: 0, segments: { rows: 240 } })
    await ingest(db, rows(100, 110))
    expect(await values(db)).toEqual(expect.arrayContaining(range(100, 110)))
    await settled(machine, db.close())
  })

  test('a damaged input is told, left alone and not tried again; the others are merged', async () => {
    await openWith({ compaction: { enabled: false } })
    await flushed(0, 100)
    await flushed(86_400 * 9, 86_400 * 9 + 100)
    await flushed(86_400 * 9 + 100, 86_400 * 9 + 200)
    const [path] = segmentPaths(machine)
    const damaged = segmentPaths(machine).find(each => each.includes('0000000001'))!
    expect(path).toBeDefined()
    machine.disk.damage(damaged, machine.disk.contents(damaged).length >> 1)
    const report = await settled(machine, db.compact())
    expect(report).toMatchObject({ failed: 1 })
    expect(report.merges).toBeGreaterThan(0)
    expect(ofKind('segment-damaged')).toMatchObject([{ path: damaged.slice('data/'.length) }])
    expect(ofKind('compaction-failed')).toMatchObject([{ message: expect.stringContaining('0000000001') }])
    expect(db.stats().compaction).toMatchObject({ failed: 1, skipped: 1 })
    expect(await settled(machine, db.compact())).toMatchObject({ merges: 0, failed: 0 })
    expect(segmentPaths(machine)).toContain(damaged)
    expectNoLeftOvers()
    await settled(machine, db.close())
  })

  test('a full disk is waited for; nothing of the failed merge stays', async () => {
    await openWith()
    await tenSegments()
    const mend = machine.disk.fail({
      call: 'write',
      code: 'ENOSPC',
      times: Number.POSITIVE_INFINITY,
      path: path => path.includes('segments/'),
    })
    await machine.advance(3 * 3600e3)
    expect(ofKind('compaction-failed').length).toBeGreaterThan(2)
    expect(db.stats()).toMatchObject({ segments: { count: 10 }, compaction: { skipped: 0, merges: 0 } })
    expectNoLeftOvers()
    await expect(settled(machine, db.compact())).rejects.toMatchObject({ code: 'disk_full' })
    mend()
    for (let second = 0; second < 120; second++) await machine.advance(1000)
    expect(db.stats().segments.count).toBeLessThan(10)
    expectNoLeftOvers()
    await settled(machine, db.close())
  })

  test('a merge whose change cannot be written is tried again, and then left alone', async () => {
    await openWith()
    await tenSegments()
    const mend = machine.disk.fail({
      call: 'write',
      times: Number.POSITIVE_INFINITY,
      path: path => path.includes('MANIFEST'),
    })
    await machine.advance(6 * 3600e3)
    expect(ofKind('compaction-failed').length).toBeGreaterThanOrEqual(3)
    expect(db.stats().compaction.skipped).toBeGreaterThan(1)
    expect(db.stats().segments.count).toBe(10)
    expectNoLeftOvers()
    mend()
    await settled(machine, db.close())
  })

  test('closing stops the merge under way and leaves nothing of it', async () => {
    await openWith({ compaction: { bytesPerSecondMax: 1 } })
    await tenSegments()
    const before = await answers()
    const compacting = db.compact()
    const rejected = expect(compacting).rejects.toMatchObject({ code: 'shutting_down' })
    for (let i = 0; i < 20; i++) await turn()
    expect(db.stats().compaction.running).toBe(true)
    await settled(machine, db.close())
    await rejected
    expect(kinds(events)).not.toContain('compacted')
    expectNoLeftOvers()
    await openWith({ compaction: { enabled: false } })
    expect(await answers()).toEqual(before)
    expectNoLeftOvers()
    await settled(machine, db.close())
  })

  test('a caller that gives up calls the merge off, if nobody else waits', async () => {
    await openWith({ compaction: { enabled: false, bytesPerSecondMax: 1 } })
    await tenSegments()
    const [one, two] = [new AbortController(), new AbortController()]
    const calls = [one, two].map(({ signal }) => db.compact({ signal }))
    const ends = calls.map(call => expect(call).rejects.toMatchObject({ code: 'cancelled' }))
    for (let i = 0; i < 20; i++) await turn()
    one.abort()
    await ends[0]
    for (let i = 0; i < 20; i++) await turn()
    expect(db.stats().compaction.running).toBe(true)
    two.abort()
    await ends[1]
    for (let i = 0; i < 20; i++) await turn()
    expect(db.stats().compaction).toMatchObject({ running: false, merges: 0, failed: 0 })
    expect(ofKind('compaction-abandoned')).toHaveLength(1)
    expectNoLeftOvers()
    await expect(db.compact({ signal: one.signal })).rejects.toMatchObject({ code: 'cancelled' })
    await settled(machine, db.close())
  })

  test('a callback that throws ends its own call, and nothing else', async () => {
    await openWith({ compaction: { enabled: false } })
    await tenSegments()
    const onProgress = (): void => {
      throw new Error('not mine')
    }
    const [throwing, other] = [db.compact({ onProgress }), db.compact()]
    const failed = expect(throwing).rejects.toThrow('not mine')
    expect((await settled(machine, other)).merges).toBeGreaterThan(0)
    await failed
    await settled(machine, db.close())
  })

  test('a merge whose inputs expire meanwhile is called off', async () => {
    await openWith({ retentionDays: 1, compaction: { bytesPerSecondMax: 1 } })
    await tenSegments()
    const compacting = db.compact()
    for (let i = 0; i < 20; i++) await turn()
    machine.nowUs += 2 * 86_400e6
    await machine.advance(60_000)
    expect(ofKind('expired')).toMatchObject([{ segments: { length: 10 } }])
    const report = await settled(machine, compacting)
    expect(report).toMatchObject({ merges: 0, failed: 0 })
    expect(ofKind('compaction-abandoned')).toHaveLength(1)
    expect(db.stats()).toMatchObject({ segments: { count: 0 }, versions: { filesWaiting: 0 } })
    expect(segmentPaths(machine)).toEqual([])
    await settled(machine, db.close())
  })

  test('a read-only database is left as it is', async () => {
    await openWith()
    await tenSegments()
    machine.disk.fail({ call: 'dataSync', path: path => path.includes('wal/') })
    await expect(ingest(db, rows(3000, 3001))).rejects.toBeDefined()
    expect(db.stats().readOnly).toBe(true)
    await machine.advance(3 * 3600e3)
    expect(kinds(events)).not.toContain('compaction-started')
    await expect(settled(machine, db.compact())).rejects.toMatchObject({ code: 'read_only' })
    await settled(machine, db.close())
  })
})
