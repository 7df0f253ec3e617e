import { expect, test } from 'vitest'
import { doubtfulPairs } from '../../../src/storage/verify/order.ts'

const segment = (id: string, lsns: [number, number], times: [number, number], replaced: string[] = []) => ({
  meta: {
    id,
    path: `segments/all/${id}.seg`,
    minLsn: lsns[0],
    maxLsn: lsns[1],
    minTimeUs: times[0],
    maxTimeUs: times[1],
    rows: 1,
    bytes: 1,
  },
  replaced,
})
const pairs = (...segments: ReturnType<typeof segment>[]) =>
  Array.from(doubtfulPairs(segments), ([older, newer]) => `${older.meta.id} ${newer.meta.id}`)

test('segments one after the other, or of other times, are in order', () => {
  expect(pairs(segment('a', [1, 10], [0, 99]), segment('b', [11, 20], [50, 60]))).toEqual([])
  expect(pairs(segment('m', [1, 30], [0, 49], ['a', 'c']), segment('b', [11, 20], [50, 60]))).toEqual([])
})

test('a flush that repeats commits of another has all of them', () => {
  expect(pairs(segment('a', [5, 10], [0, 99]), segment('b', [5, 15], [0, 99]))).toEqual([])
})

test('a merge around a segment that was no input, or whose siblings were, is looked at', () => {
  const around = segment('m', [1, 30], [0, 99], ['a', 'c'])
  expect(pairs(segment('b', [11, 20], [50, 60]), around)).toEqual(['b m'])
  expect(pairs(around, segment('a', [1, 10], [0, 99]))).toEqual([])
  expect(pairs(segment('s', [5, 10], [0, 99]), segment('t', [1, 10], [0, 99], ['p', 'q']))).toEqual(['s t'])
})

test('segments of one flush must not share a row', () => {
  expect(pairs(segment('a', [1, 10], [0, 99]), segment('b', [1, 10], [50, 60]))).toEqual(['a b'])
})
