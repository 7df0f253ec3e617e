import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalTags, loadSeriesHasher, parseSeries, printSeries } from '../../../src/storage/catalog/identity.ts'

const name = fc.oneof(
  fc.constantFrom('cpu', 'a.b', 'a-b', 'with space', 'q"uote', '0', 'é'),
  fc.string({ minLength: 1, unit: 'binary' }),
)
const tags = fc
  .uniqueArray(fc.tuple(name, fc.string({ minLength: 1, unit: 'binary' })), { selector: ([key]) => key, maxLength: 5 })
  .map(canonicalTags)

describe('series identity', () => {
  test('prints as the language has it', () => {
    expect(printSeries('cpu', [])).toBe('cpu')
    expect(
      printSeries(
        'weather.room1',
        canonicalTags([
          ['host', 'a'],
          ['dc', 'x'],
        ]),
      ),
    ).toBe('weather.room1{dc="x",host="a"}')
    expect(printSeries('my metric', [['k', 'a"b\n']])).toBe('"my metric"{k="a\\"b\\n"}')
    expect(printSeries('0cpu', [['tag-key', 'é']])).toBe('"0cpu"{"tag-key"="é"}')
  })

  test('empty and missing tags are absent, order does not matter, a key given twice is refused', () => {
    expect(
      canonicalTags([
        ['b', '1'],
        ['a', ''],
        ['c', null],
        ['d', undefined],
      ]),
    ).toEqual([['b', '1']])
    expect(
      canonicalTags([
        ['\u{1f600}', 'x'],
        ['\uff5e', 'y'],
      ]).map(([key]) => key),
    ).toEqual(['\uff5e', '\u{1f600}'])
    expect(() =>
      canonicalTags([
        ['a', '1'],
        ['a', '2'],
      ]),
    ).toThrow(expect.objectContaining({ code: 'invalid_row' }))
  })

  test('invariants 1 and 2: the printed form is the identity, and is read back', () => {
    fc.assert(
      fc.property(name, tags, (metric, tags) => {
        expect(parseSeries(printSeries(metric, tags))).toEqual({ metric, tags })
      }),
    )
  })

  test('reads canonical forms only', () => {
    for (const text of [
      '',
      'cpu{}',
      'cpu{a="1"',
      'cpu{a=1}',
      'cpu{b="1",a="2"}',
      'cpu{a="1"} ',
      '"cpu"',
      'cpu{a="\\u0041"}',
      'cpu{a="1",}',
    ])
      expect(parseSeries(text), text).toBeUndefined()
    fc.assert(
      fc.property(fc.string(), text => {
        const parsed = parseSeries(text)
        if (parsed !== undefined) expect(printSeries(parsed.metric, parsed.tags)).toBe(text)
      }),
    )
  })

  test('invariant 3: the id is xxHash64', async () => {
    const hash = await loadSeriesHasher()
    expect(hash(new Uint8Array(0))).toBe(0xef46db3751d8e999n)
    expect(hash(new TextEncoder().encode('abc'))).toBe(0x44bc2cf5ad770999n)
  })
})
