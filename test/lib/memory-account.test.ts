import { describe, expect, test } from 'vitest'
import { MemoryAccount } from '../../src/lib/memory-account.ts'

/** An account of 1600 bytes, 200 of them the writers', and what its parts hold. */
function account() {
  const held = { ingest: 0, memtables: 0, pinned: 0 }
  const part = (bytes: number) => ({
    bytes,
    shrinkTo(most: number) {
      this.bytes = Math.min(this.bytes, most)
    },
  })
  const pool = part(0)
  const cache = part(0)
  const memory = new MemoryAccount({ limitBytes: 1600, writersBytes: 200 })
  memory.measure('ingest', () => held.ingest, 50)
  memory.measure('memtables', () => held.memtables)
  memory.measure('pinned', () => held.pinned)
  memory.gives('pool', pool, 400)
  memory.gives('cache', cache, 800)
  let shortages = 0
  memory.whenShort(() => shortages++)
  return { memory, held, pool, cache, shortages: () => shortages }
}

describe('memory account', () => {
  test('the cache shrinks first, then the pool, and no further than it must', () => {
    const { memory, held, pool, cache } = account()
    pool.bytes = 400
    cache.bytes = 800
    held.memtables = 400
    memory.settle()
    expect([pool.bytes, cache.bytes]).toEqual([400, 800])
    held.memtables = 700
    memory.settle()
    expect([pool.bytes, cache.bytes]).toEqual([400, 500])
    held.pinned = 700
    memory.settle()
    expect([pool.bytes, cache.bytes]).toEqual([200, 0])
    held.pinned = 1000
    memory.settle()
    expect([pool.bytes, cache.bytes, memory.overBytes]).toEqual([0, 0, 200])
  })

  test('it is short at seven eighths, with what is kept for writers and new queries', () => {
    const { memory, held, shortages } = account()
    held.pinned = 1100
    memory.settle()
    expect([memory.isShort, shortages()]).toEqual([false, 0])
    held.pinned = 1101
    memory.settle()
    expect([memory.isShort, memory.overBytes, shortages()]).toEqual([true, 0, 1])
    held.pinned = 1310
    expect(memory.overBytes).toBe(10)
  })

  test('queries get what writers and pins leave, together', () => {
    const { memory, held, cache } = account()
    cache.bytes = 800
    held.memtables = 300
    held.pinned = 300
    const [a, b] = [memory.openQuery(), memory.openQuery()]
    a.grow(600)
    expect([cache.bytes, b.isShort, b.isOver]).toEqual([400, false, false])
    b.grow(300)
    expect([cache.bytes, a.isShort, a.isOver]).toEqual([100, true, false])
    b.grow(101)
    expect([cache.bytes, a.isOver, b.isOver]).toEqual([0, true, true])
    expect(b.refusal()).toMatchObject({ code: 'memory_limit', message: expect.stringContaining('mem_limit_bytes') })
    b.grow(-101)
    expect(a.isOver).toBe(false)
    a.close()
    a.close()
    a.grow(5000)
    b.close()
    expect(memory.stats()).toMatchObject({
      bytes: 600,
      peakBytes: 1601,
      parts: {
        queries: { bytes: 0, peakBytes: 1001, maxBytes: 1000 },
        memtables: { bytes: 300, peakBytes: 300, maxBytes: undefined },
        ingest: { bytes: 0, peakBytes: 0, maxBytes: 50 },
        cache: { bytes: 0, peakBytes: 400, maxBytes: 800 },
      },
    })
  })

  test('writers find their least whatever queries hold', () => {
    const { memory, held } = account()
    const query = memory.openQuery()
    query.grow(1400)
    expect(query.isOver).toBe(false)
    query.grow(1)
    expect(query.isOver).toBe(true)
    query.grow(-1)
    held.memtables = 200
    expect([query.isOver, memory.overBytes]).toEqual([false, 0])
  })
})
