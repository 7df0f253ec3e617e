import { expect, test } from 'vitest'
import { Arena, ArenaPool, arenaBytes } from '../../src/columnar/arena.ts'
import { SpareMemory } from '../../src/columnar/spare-memory.ts'

const MiB = 1 << 20

test('what was given back is taken again, by its size', () => {
  const spares = new SpareMemory()
  const large = spares.take(3 * MiB)
  const small = spares.take(100_000)
  expect(large.byteLength).toBe(4 * MiB)
  expect(small.byteLength).toBe(128 * 1024)
  spares.give(large)
  spares.give(small)
  expect(spares.take(4 * MiB)).toBe(large)
  expect(spares.take(70_000)).toBe(small)
  expect(spares.take(4 * MiB)).not.toBe(large)
})

test('no more is kept than the limit, and nothing very large', () => {
  const spares = new SpareMemory()
  const taken = Array.from({ length: 5 }, () => spares.take(8 * MiB))
  for (const buffer of taken) spares.give(buffer)
  const again = Array.from({ length: 5 }, () => spares.take(8 * MiB))
  expect(again.filter(buffer => taken.includes(buffer))).toHaveLength(4)
  const larger = spares.take(33 * MiB)
  expect(larger.byteLength).toBe(33 * MiB)
  spares.give(larger)
  expect(spares.take(33 * MiB)).not.toBe(larger)
})

test('spares and arenas are let go when memory is scarce, the largest first', () => {
  const pool = new ArenaPool()
  const arenas = [pool.take(), pool.take()]
  for (const bytes of [MiB, 4 * MiB]) arenas[0]!.uint8(bytes)
  for (const arena of arenas) pool.give(arena)
  expect(pool.bytes).toBe(2 * arenaBytes + 5 * MiB)
  pool.shrinkTo(3 * MiB)
  expect(pool.bytes).toBe(2 * arenaBytes + MiB)
  pool.shrinkTo(arenaBytes + 1)
  expect(pool.bytes).toBe(arenaBytes)
  pool.shrinkTo(0)
  expect(pool.bytes).toBe(0)
})

test('an arena gives what was beyond its end back: at once, or with the rest', () => {
  const spares = new SpareMemory()
  const arena = new Arena(spares)
  const [first, second] = [arena.float64(arenaBytes), arena.float64(arenaBytes)]
  expect(first.buffer).not.toBe(second.buffer)
  arena.giveBack(first)
  expect(arena.float64(arenaBytes).buffer).toBe(first.buffer)
  const inside = arena.float64(8)
  arena.giveBack(inside)
  arena.clear()
  expect([first.buffer, second.buffer]).toContain(spares.take(8 * arenaBytes))
})

test('arenas of a pool share their spares', () => {
  const pool = new ArenaPool()
  const [one, two] = [pool.take(), pool.take()]
  const { buffer } = one.uint32(MiB)
  pool.give(one)
  expect(two.uint32(MiB).buffer).toBe(buffer)
})
