/** The parts of the live engine that decide by themselves: cursors, coalescing, the frontier, the backlog, frames of a log. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Backlog, type Holder, type WaitingCommit } from '../../src/engine/live/backlog.ts'
import { ChangeRing, changeOf } from '../../src/engine/live/change-ring.ts'
import { coalesced } from '../../src/engine/live/coalesce.ts'
import { Frontier } from '../../src/engine/live/frontier.ts'
import { eventId, type Position, positionOf } from '../../src/engine/live/ids.ts'
import { difference } from '../../src/operators/live/difference.ts'
import type { LiveColumns, LiveDelta, LiveRow } from '../../src/operators/live/types.ts'
import type { CatalogReader } from '../../src/storage/catalog/types.ts'
import type { MetricInfo, MetricRows, Piece, Version } from '../../src/storage/types.ts'
import { framesBetween } from '../../src/storage/wal/frames-between.ts'
import { openWal, walDefaults } from '../../src/storage/wal/wal.ts'
import { SimulatedMachine } from '../simulated/machine.ts'

const integer = (name: string) => ({ name, type: 'integer', nullable: true }) as const
const keyed: LiveColumns = { schema: [integer('k'), integer('v')], keys: [0], selected: 2 }
const counted: LiveColumns = { schema: [integer('k'), integer('v')], keys: [0, 1], selected: 2 }

describe('coalescing', () => {
  const states = (isKeyed: boolean) =>
    fc.array(
      fc.uniqueArray(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 2 })), {
        selector: ([key]) => (isKeyed ? key : {}),
        maxLength: 8,
      }),
      { minLength: 2, maxLength: 8 },
    )
  test.each([
    ['keyed', keyed],
    ['counted', counted],
  ] as const)('many changes are one, %s', (name, columns) => {
    fc.assert(
      fc.property(states(name === 'keyed'), all => {
        const deltas = all.slice(1).map((after, i) => difference(all[i]!, after, columns))
        const one = coalesced(deltas, columns)
        const direct = difference(all[0]!, all.at(-1)!, columns)
        expect(applied(all[0]!, one, columns)).toEqual(applied(all[0]!, direct, columns))
        const keys = [...one.added, ...one.changed, ...one.removed].map(row => row[0])
        if (name === 'keyed') expect(new Set(keys).size).toBe(keys.length)
      }),
    )
  })
})

function applied(rows: readonly LiveRow[], { added, changed, removed }: LiveDelta, { keys }: LiveColumns): string[] {
  const keyOf = (row: LiveRow): string => JSON.stringify(keys.map(key => row[key]))
  const left = rows.map(row => ({ key: keyOf(row), row }))
  for (const row of [...removed, ...changed]) {
    const index = left.findIndex(({ key }) => key === keyOf(row))
    expect(index).toBeGreaterThanOrEqual(0)
    left.splice(index, 1)
  }
  return [...left.map(({ row }) => row), ...changed, ...added].map(row => JSON.stringify(row)).sort()
}

describe('recent changes', () => {
  const position = (lsn: number, tick = 0): Position => ({ lsn, tick })
  const delta = (rows: number): LiveDelta => ({
    added: Array.from({ length: rows }, () => [1]),
    changed: [],
    removed: [],
  })
  const ring = (rowsMax = 100) => new ChangeRing({ rowsMax, heldRowsMax: 10 }, position(10))
  const push = (to: ChangeRing, from: number, until: number, rows = 1) =>
    to.push(changeOf(position(from), position(until), delta(rows), 1))

  test('the cursor of who knows the result at a position', () => {
    const changes = ring()
    push(changes, 12, 13)
    push(changes, 15, 18)
    const cursors = [9, 10, 12, 13, 14, 15, 16, 17, 18, 20, 21].map(lsn =>
      changes.cursorOf(position(lsn), position(20)),
    )
    const none = undefined
    expect(cursors).toEqual([none, 0, 0, 1, 1, 1, none, none, 2, 2, none])
    expect(changes.cursorOf(position(13, 5), position(20))).toBeUndefined()
    expect(changes.since(0)).toHaveLength(2)
  })

  test('the oldest go first, and who stands before them is lost', () => {
    const changes = ring(5)
    for (let lsn = 10; lsn < 20; lsn++) push(changes, lsn, lsn + 1, 2)
    changes.trim(Number.POSITIVE_INFINITY)
    expect([changes.first, changes.end]).toEqual([8, 10])
    expect([changes.has(7), changes.has(8), changes.has(10)]).toEqual([false, true, true])
    expect(changes.cursorOf(position(17), position(20))).toBeUndefined()
    expect(changes.cursorOf(position(18), position(20))).toBe(8)
    changes.trim(0)
    expect([changes.first, changes.bytes]).toEqual([10, 0])
  })

  test('a hold keeps what a snapshot will need, within limits', () => {
    const changes = ring(0)
    const letGo = changes.hold(changes.end)
    for (let lsn = 10; lsn < 14; lsn++) {
      push(changes, lsn, lsn + 1, 2)
      changes.trim(0)
    }
    expect(changes.has(0)).toBe(true)
    for (let lsn = 14; lsn < 20; lsn++) {
      push(changes, lsn, lsn + 1, 2)
      changes.trim(0)
    }
    expect(changes.has(0)).toBe(false)
    expect(changes.since(changes.first)).toHaveLength(5)
    letGo()
    changes.trim(0)
    expect(changes.first).toBe(changes.end)
  })

  test('after a restart every cursor is lost, also one at the end', () => {
    const changes = ring()
    push(changes, 10, 11)
    const { end } = changes
    changes.restart(position(11))
    expect([changes.has(end), changes.has(changes.end)]).toEqual([false, true])
    expect(changes.cursorOf(position(11), position(11))).toBe(changes.end)
  })
})

test('ids say where one is, and of what', () => {
  const position = { lsn: 2 ** 40, tick: 1_767_225_600_000 }
  const id = eventId('0a1b', position)
  expect(positionOf(id, '0a1b')).toEqual(position)
  for (const bad of [
    '',
    'x',
    id.slice(1),
    `${id}.1`,
    '0a1b.1',
    '0a1b.-1.0',
    '0a1b.1e3.0',
    '0a1b.9999999999999999.0',
    'ffff.1.0',
  ])
    expect(positionOf(bad, '0a1b')).toBeUndefined()
})

describe('the frontier', () => {
  const metric: MetricInfo = { id: 0, name: 'cpu', fields: [] }
  const catalogOf = (seriesCount: number) =>
    ({
      seriesCount,
      seriesOf: () => Uint32Array.from({ length: seriesCount }, (_, i) => i),
    }) as unknown as CatalogReader
  const versionOf = (pieces: Partial<Piece>[]) => ({ pieces: () => pieces }) as unknown as Version
  const rowsOf = (...rows: [series: number, timeUs: number][]): MetricRows => ({
    metric,
    length: rows.length,
    series: Uint32Array.from(rows, ([series]) => series),
    timeUs: Float64Array.from(rows, ([, timeUs]) => timeUs),
    fields: [],
  })

  test('rows are late that are not later than all of their series', () => {
    const frontier = new Frontier(catalogOf(3))
    const ranges = {
      series: Uint32Array.of(0, 1),
      minTimeUs: Float64Array.of(0, 0),
      maxTimeUs: Float64Array.of(10, 20),
    }
    frontier.follow(
      metric,
      versionOf([
        { maxTimeUs: 20, series: undefined, seriesRanges: () => ranges },
        { maxTimeUs: 15, series: 0 },
      ]),
    )
    expect(frontier.newestUs(0)).toBe(20)
    expect(frontier.advance(rowsOf([0, 16], [1, 21], [2, 1], [0, 17]))).toBeUndefined()
    expect(frontier.advance(rowsOf([0, 18], [0, 18], [1, 20], [2, 2]))).toEqual(Uint8Array.of(0, 1, 1, 0))
    expect(frontier.newestUs(0)).toBe(21)
  })

  test('of many pieces the oldest stand as one, and a piece that knows no series is of all', () => {
    const frontier = new Frontier(catalogOf(2))
    const pieces = Array.from({ length: 1000 }, (_, i) => ({ maxTimeUs: i, series: 0 }))
    frontier.follow(metric, versionOf(pieces))
    expect(frontier.advance(rowsOf([1, 700], [1, 744], [1, 800], [0, 999], [0, 1000]))).toEqual(
      Uint8Array.of(1, 0, 0, 1, 0),
    )
    frontier.follow(metric, versionOf([{ maxTimeUs: 50, series: undefined }]))
    expect(frontier.advance(rowsOf([0, 50], [1, 51]))).toEqual(Uint8Array.of(1, 0))
  })
})

describe('the backlog', () => {
  const commit = (lsn: number, letGo = () => {}) => ({ lsn, rows: [], deletes: [], bytes: 10, letGo })
  class Query implements Holder {
    readonly held: WaitingCommit[] = []
    isFalling = false
    falls = 0
    readonly backlog: Backlog
    constructor(backlog: Backlog) {
      this.backlog = backlog
    }
    get oldestLsn(): number | undefined {
      return this.held[0]?.lsn
    }
    take(waiting: WaitingCommit): void {
      waiting.holders++
      this.held.push(waiting)
    }
    fallBehind(): void {
      this.falls++
      this.backlog.release(this.held.splice(0))
    }
  }

  test('rows are let go of with the last that holds them, once', () => {
    const backlog = new Backlog(100)
    const [a, b] = [new Query(backlog), new Query(backlog)]
    let gone = 0
    const waiting = backlog.add(commit(1, () => gone++))
    for (const query of [a, b]) query.take(waiting)
    backlog.release([waiting])
    a.fallBehind()
    expect([gone, backlog.bytes]).toEqual([0, 10])
    b.fallBehind()
    expect([gone, backlog.bytes]).toEqual([1, 0])
    backlog.release([backlog.add(commit(2, () => gone++))])
    expect(gone).toBe(2)
  })

  test('beyond the limit those let go who are furthest behind, but for the newest commit', () => {
    const backlog = new Backlog(25)
    const [slow, fast] = [new Query(backlog), new Query(backlog)]
    for (let lsn = 1; lsn <= 3; lsn++) {
      const waiting = backlog.add(commit(lsn))
      slow.take(waiting)
      if (lsn === 3) fast.take(waiting)
      backlog.release([waiting])
      backlog.limit([slow, fast])
    }
    expect([slow.falls, fast.falls, backlog.bytes]).toEqual([1, 0, 10])
    const large = backlog.add({ ...commit(4), bytes: 1000 })
    slow.take(large)
    backlog.release([large])
    backlog.limit([slow])
    expect(slow.falls).toBe(1)
  })
})

describe('frames between two LSNs', () => {
  async function logOf(frames: number) {
    const machine = new SimulatedMachine()
    const settings = { ...walDefaults, fileBytesMax: 2000, preallocateBytes: 4096 }
    const wal = await openWal(machine.ports, 'wal', 0, settings, () => {}).start()
    for (let lsn = 1; lsn <= frames; lsn++) wal.append(1, [new Uint8Array(300).fill(lsn)])
    await wal.sync()
    return {
      machine,
      wal,
      lsns: (after: number, to: number) => [...framesBetween(machine.ports, 'wal', after, to)].map(({ lsn }) => lsn),
    }
  }

  test('are read while the log is open, across its files', async () => {
    const { wal, lsns } = await logOf(20)
    expect(wal.files).toBeGreaterThan(2)
    expect(lsns(0, 20)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
    expect(lsns(7, 13)).toEqual([8, 9, 10, 11, 12, 13])
    expect([lsns(20, 20), lsns(25, 20)]).toEqual([[], []])
    await wal.close()
  })

  test('end where one is missing or damaged', async () => {
    const { machine, wal, lsns } = await logOf(20)
    wal.releaseUpTo(20, { bytesMax: 0, msMax: 0 })
    const [first] = [...framesBetween(machine.ports, 'wal', 0, 20)]
    expect(first).toBeUndefined()
    expect(lsns(19, 20)).toEqual([20])
    await wal.close()
  })
})
