/** The memory account of a whole database: who gives way, and that writers always get on. */
import { describe, expect, test } from 'vitest'
import type { Batch } from '../../src/columnar/batch.ts'
import { open } from '../../src/index.ts'
import { memoryFiles } from '../../src/lib/memory-files.ts'
import type { SettingsInput } from '../../src/lib/settings.ts'
import type { Database, RowObject } from '../../src/types.ts'
import { turn } from './support.ts'

const MiB = 2 ** 20
const limits = {
  memLimitBytes: 16 * MiB,
  memtableMaxBytes: 2 * MiB,
  ingest: { inFlightMaxBytes: MiB },
  fsync: 'none',
  compaction: { enabled: false },
} satisfies SettingsInput

const opened = (settings: SettingsInput): Promise<Database> =>
  open({ dataDir: 'data', ...limits, ...settings }, { files: memoryFiles() })

/** `count` rows that all have this value, and `wide` other fields. */
function rows(from: number, count: number, value: number, wide = 0): RowObject[] {
  const others = Object.fromEntries(Array.from({ length: wide }, (_, i) => [`f${i}`, i]))
  return Array.from({ length: count }, (_, i) => ({ series: 'm', ts: from + i, fields: { value, ...others } }))
}

interface Reader {
  readonly value: number
  readonly batches: AsyncIterator<Batch>
}

/** The values that it still gives, and how it ended. */
async function rest({ batches }: Reader): Promise<{ values: number[]; code: string | undefined }> {
  const values = new Set<number>()
  try {
    for (let next = await batches.next(); !next.done; next = await batches.next())
      for (const value of next.value.columns[0]!.values as Float64Array) values.add(value)
    return { values: [...values], code: undefined }
  } catch (error) {
    return { values: [...values], code: (error as { code: string }).code }
  }
}

describe('memory of a database', () => {
  test('slow readers keep their snapshots until the limit, then the oldest are told to go', async () => {
    const db = await opened({})
    const readers: Reader[] = []
    const count = 12_000
    const write = (value: number) => db.ingest(rows(value * count, count, value, 8), { precision: 'us' })
    for (let value = 0; value < 16; value++) {
      await write(value)
      await turn()
      const query = db.query('select value from m where time >= ?', [new Date((value * count) / 1000)])
      const batches = query.batches()[Symbol.asyncIterator]()
      expect((await batches.next()).done).toBe(false)
      readers.push({ value, batches })
      await db.flush()
    }
    await write(16)
    await db.flush()
    const { limitBytes, parts, readersExpired } = db.stats().memory
    expect(parts.pinned.bytes).toBeGreaterThan(limitBytes / 3)
    expect(parts.pinned.bytes).toBeLessThan(limitBytes)
    expect(readersExpired).toBeGreaterThan(0)
    for (const [i, reader] of readers.entries()) {
      if (i < readersExpired) expect(await rest(reader)).toEqual({ values: [], code: 'snapshot_expired' })
      else expect(await rest(reader)).toEqual({ values: [reader.value], code: undefined })
    }
    expect(db.stats().memory.parts).toMatchObject({ pinned: { bytes: 0 }, queries: { bytes: 0 } })
    expect(db.stats().versions.pins).toBe(0)
    const all = await db.query('select count(value) n from m').all()
    expect(all.rows).toEqual([{ n: 17 * count }])
    await db.close()
  })

  const sorted = 'select value, time from m order by value desc, time'
  /** Sorts that have given their first batch, until they hold all that queries may without spilling. */
  async function pausedSorts(db: Database): Promise<Reader[]> {
    const readers: Reader[] = []
    const isFull = (): boolean => {
      const { bytes, maxBytes } = db.stats().memory.parts.queries
      return bytes > 0.8 * maxBytes!
    }
    while (!isFull()) {
      expect(readers.length).toBeLessThan(100)
      const batches = db.query(sorted).batches()[Symbol.asyncIterator]()
      await batches.next()
      readers.push({ value: 0, batches })
    }
    return readers
  }

  test('where queries hold the rest, the memtable is flushed early, sorts spill, and writers get on', async () => {
    const db = await opened({ query: { memoryMaxBytes: 8 * MiB } })
    const count = 60_000
    await db.ingest(rows(0, count, 1), { precision: 'us' })
    await db.flush()
    const readers = await pausedSorts(db)
    const { flushes } = db.stats()
    for (let i = 0; i < 40; i++) await db.ingest(rows(count + i * 5000, 5000, 2), { precision: 'us' })
    const stats = db.stats()
    expect(stats.earlyFlushes).toBeGreaterThan(0)
    await db.flush()
    expect(db.stats().flushes - flushes).toBeGreaterThanOrEqual(stats.earlyFlushes)
    expect(stats.memory.parts.memtables.peakBytes).toBeLessThan(2 * 2 * MiB + MiB)
    await readers.pop()!.batches.return?.()
    const perTime = 'select time, count(*) n from m where time < ? group by time order by n desc, time'
    const grouped = await db.query(perTime, [new Date(count / 2000)]).all()
    expect(grouped.rows.length).toBe(count / 2)
    const { bytes, limitBytes, peakBytes } = db.stats().memory
    expect(bytes).toBeLessThan(limitBytes)
    expect(peakBytes).toBeLessThan(limitBytes + 2 * MiB)
    for (const reader of readers) expect(await rest(reader)).toEqual({ values: [1], code: undefined })
    expect(db.stats().memory.parts.queries.bytes).toBe(0)
    await db.close()
  })

  test('without temporary files a query that finds nothing left ends, naming the limit', async () => {
    const db = await opened({ query: { memoryMaxBytes: 8 * MiB, spillMaxBytes: 0 } })
    await db.ingest(rows(0, 60_000, 1), { precision: 'us' })
    await db.flush()
    const readers: AsyncIterator<Batch>[] = []
    const startSorts = async (): Promise<void> => {
      while (readers.length < 100) {
        readers.push(db.query(sorted).batches()[Symbol.asyncIterator]())
        await readers.at(-1)!.next()
      }
    }
    await expect(startSorts()).rejects.toMatchObject({
      code: 'memory_limit',
      message: expect.stringContaining('mem_limit_bytes'),
    })
    expect(readers.length).toBeGreaterThan(2)
    for (const reader of readers) await reader.return?.()
    expect((await db.query(sorted).all()).rows.length).toBe(60_000)
    expect(db.stats().memory.parts.queries.bytes).toBe(0)
    await db.close()
  })

  test('the cache gives way and fills again', async () => {
    const db = await opened({ query: { memoryMaxBytes: 12 * MiB, spillMaxBytes: 0 } })
    await db.ingest(rows(0, 100_000, 1, 6), { precision: 'us' })
    await db.flush()
    const sums = () => db.query('select sum(value * f1 + f2 * f3 + f4 * f5) s from m').all()
    const { rows: before } = await sums()
    const cached = db.stats().memory.parts.cache.bytes
    expect(cached).toBeGreaterThan(0)
    const readers = await pausedSorts(db)
    const { parts, bytes, limitBytes } = db.stats().memory
    expect(bytes).toBeLessThanOrEqual(limitBytes)
    expect(parts.cache.bytes).toBeLessThanOrEqual(limitBytes - parts.queries.bytes)
    expect((await sums()).rows).toEqual(before)
    for (const reader of readers) await reader.batches.return?.()
    await sums()
    expect(db.stats().memory.parts.cache.bytes).toBeGreaterThanOrEqual(Math.min(cached, parts.cache.bytes))
    await db.close()
  })
})
