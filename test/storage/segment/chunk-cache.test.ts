import { expect, test } from 'vitest'
import { ChunkCache } from '../../../src/storage/segment/chunk-cache.ts'

const value = { some: 'thing' }

test('what was used since its last turn stays for another', () => {
  const cache = new ChunkCache(400)
  for (const key of [1, 2, 3, 4]) cache.set(key, value, 100)
  expect(cache.get(1)).toBe(value)
  cache.set(5, value, 100)
  expect(cache.get(2)).toBeUndefined()
  expect(cache.get(1)).toBe(value)
  // 3 and 4 were not used, 1 was.
  cache.set(6, value, 100)
  cache.set(7, value, 100)
  expect([1, 3, 4, 5, 6, 7].filter(key => cache.get(key) !== undefined)).toEqual([1, 5, 6, 7])
  expect(cache.bytes).toBe(400)
})

test('shrinks as far as it is told to, whatever was used', () => {
  const cache = new ChunkCache(1000)
  for (let key = 0; key < 10; key++) cache.set(key, value, 100)
  for (let key = 0; key < 10; key++) cache.get(key)
  cache.shrinkTo(350)
  expect(cache.bytes).toBe(300)
  cache.shrinkTo(0)
  expect(cache.bytes).toBe(0)
})
