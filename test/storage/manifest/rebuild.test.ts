import { describe, expect, test } from 'vitest'
import { type FoundSegment, rebuildManifest } from '../../../src/storage/manifest/state.ts'

const found = (id: string, lsns: [number, number], times: [number, number], replaces?: string[]): FoundSegment => ({
  id,
  path: `segments/${id}.seg`,
  minLsn: lsns[0],
  maxLsn: lsns[1],
  minTimeUs: times[0],
  maxTimeUs: times[1],
  rows: 1,
  bytes: 1,
  ...(replaces === undefined ? {} : { replaces }),
})
const rebuilt = (segments: FoundSegment[], walFirstLsn = 1) =>
  rebuildManifest(segments, {
    databaseId: '0'.repeat(32),
    duplicates: 'first',
    incarnation: 7,
    nextSegment: 90,
    walFirstLsn,
  })
const ids = (segments: FoundSegment[]) => rebuilt(segments).segments.map(({ id }) => id)

describe('a manifest rebuilt from segments', () => {
  test('of nothing is empty', () => {
    expect(rebuilt([])).toEqual({
      databaseId: '0'.repeat(32),
      incarnation: 7,
      duplicates: 'first',
      flushedLsn: 0,
      nextSegment: 90,
      segments: [],
      tombstones: [],
    })
  })

  test('lists segments in write order and distrusts the newest flush, which may lack files', () => {
    const segments = [found('c', [11, 20], [0, 9]), found('b', [11, 20], [10, 19]), found('a', [1, 10], [0, 9])]
    expect(ids(segments)).toEqual(['a', 'b', 'c'])
    expect(rebuilt(segments).flushedLsn).toBe(10)
  })

  test('takes for flushed what the log no longer has', () => {
    expect(rebuilt([found('a', [1, 10], [0, 9])], 8).flushedLsn).toBe(7)
  })

  test('leaves out what was merged, and trusts what came of it', () => {
    const segments = [
      found('a', [1, 10], [0, 9]),
      found('b', [11, 20], [0, 9]),
      found('m', [1, 20], [0, 9], ['a', 'b']),
    ]
    expect(ids(segments)).toEqual(['m'])
    expect(rebuilt(segments).flushedLsn).toBe(20)
  })

  test('leaves out what a whole merge replaced, though deletes made it shorter, and its rollups', () => {
    const inputs = [found('a', [1, 10], [0, 99]), found('b', [11, 20], [0, 99])]
    const rollup = { ...found('r', [1, 10], [0, 60]), rollup: { of: 'a', widthUs: 60 } }
    const other = { ...found('s', [1, 10], [0, 60]), rollup: { of: 'm', widthUs: 60 } }
    const parts = [found('m', [1, 20], [0, 40], ['a', 'b']), found('n', [1, 20], [50, 70], ['a', 'b'])]
    const whole = parts.map(part => ({ ...part, parts: 2 }))
    expect(ids([...inputs, rollup, other, ...whole])).toEqual(['s', 'm', 'n'])
    expect(ids([...inputs, rollup, whole[0]!])).toEqual(['a', 'r', 'b', 'm'])
  })

  test('keeps the inputs of a merge of which a part is missing', () => {
    expect(ids([found('a', [1, 10], [0, 99]), found('m', [1, 10], [0, 49], ['a'])])).toEqual(['a', 'm'])
  })
})
