import { expect, test } from 'vitest'
import { ChunkMemory, ChunkPool, chunkRowsMax, slabBytes } from '../../../src/storage/memtable/chunk-memory.ts'

const inUse = (pool: ChunkPool): [bytes: number, pieces: number][] =>
  pool
    .stats()
    .classes.filter(each => each.inUse > 0)
    .map(each => [each.pieceBytes, each.inUse])

test('pieces of one slab do not touch, and slabs of small metrics serve large ones', () => {
  let nowMs = 0
  const pool = new ChunkPool({ nowMs: () => nowMs })
  const small = new ChunkMemory(pool)
  const arrays = Array.from({ length: 1000 }, (_, i) => small.float64(256).fill(i))
  for (let i = 0; i < arrays.length; i++) expect([arrays[i]![0], arrays[i]![255]]).toEqual([i, i])
  const slabs = Math.ceil((1000 * 2048) / slabBytes)
  expect([small.bytes, small.heldBytes]).toEqual([1000 * 2048, slabs * slabBytes])
  expect(inUse(pool)).toEqual([[2048, 1000]])
  expect(pool.stats()).toMatchObject({ slabsInUse: slabs, slabsMade: slabs, slabsReused: 0, slabsWaiting: 0 })
  nowMs = 50
  small.release()
  small.release()
  expect(inUse(pool)).toEqual([])
  expect(pool.bytes).toBe(slabs * slabBytes)

  const large = new ChunkMemory(pool)
  const values = large.float64(chunkRowsMax)
  expect(values.byteLength).toBe(slabBytes)
  expect(large.uint8(chunkRowsMax)).toEqual(new Uint8Array(chunkRowsMax))
  const { holdTimes, classes, ...slabsNow } = pool.stats()
  expect(slabsNow).toMatchObject({ slabsInUse: 2, slabsMade: slabs, slabsReused: 2, slabsWaiting: slabs - 2 })
  expect(holdTimes.counts[holdTimes.boundsMs.indexOf(100)]).toBe(1)
  const bytes = classes.find(each => each.pieceBytes === chunkRowsMax)!
  expect(bytes).toEqual({ pieceBytes: chunkRowsMax, inUse: 1, waiting: 7, bytes: slabBytes, allocations: 1 })
})

test('an outgrown piece serves its own arena again', () => {
  const pool = new ChunkPool()
  const memory = new ChunkMemory(pool)
  const first = memory.uint32(512).fill(7)
  const grown = memory.uint32(1024)
  memory.outgrown(first)
  expect(memory.bytes).toBe(grown.byteLength)
  const again = memory.float64(256)
  expect([again.buffer, again.byteOffset]).toEqual([first.buffer, first.byteOffset])
  expect(pool.stats()).toMatchObject({ slabsInUse: 2, slabsMade: 2 })
  expect(inUse(pool)).toEqual([
    [2048, 1],
    [4096, 1],
  ])
  expect(pool.stats().classes[3]).toMatchObject({ pieceBytes: 2048, allocations: 2 })
})

test('what waits is bounded: by the limit, by what came back last, and by whoever needs the memory', () => {
  const pool = new ChunkPool({ waitingBytesMax: 8 * slabBytes })
  const fill = (slabs: number): void => {
    const memory = new ChunkMemory(pool)
    for (let i = 0; i < slabs; i++) memory.float64(chunkRowsMax)
    memory.release()
  }
  fill(12)
  expect(pool.bytes).toBe(8 * slabBytes)
  fill(3)
  expect(pool.bytes).toBe(3 * slabBytes)
  pool.shrinkTo(slabBytes + 1)
  expect(pool.bytes).toBe(slabBytes)
})

test('without a pool, arrays come from V8', () => {
  const memory = new ChunkMemory(undefined)
  const array = memory.uint32(256)
  expect([array.buffer.byteLength, memory.bytes, memory.heldBytes]).toEqual([1024, 1024, 1024])
  memory.outgrown(array)
  memory.release()
  expect(memory.bytes).toBe(0)
})
