/** Tags as they lie in a line give the series, and the records, that they give as values. */
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { Catalog } from '../../../src/storage/catalog/catalog.ts'
import { canonicalTags, loadSeriesHasher, type SeriesHasher } from '../../../src/storage/catalog/identity.ts'
import { TagsText } from '../../../src/storage/rows/tags-text.ts'

let hash: SeriesHasher
beforeAll(async () => {
  hash = await loadSeriesHasher()
})

const make = (
  seriesMax = 1000,
  by: SeriesHasher = hash,
): { catalog: Catalog; seriesOf(text: string): number | undefined } => {
  const catalog = new Catalog({ incarnation: '0f'.repeat(16), hash: by, seriesMax })
  const tags = new TagsText(catalog)
  return {
    catalog,
    seriesOf(text) {
      const bytes = new TextEncoder().encode(`{"x":${text}}`)
      const from = 5
      return tags.seriesOf(catalog.useMetric('cpu'), bytes, from, bytes.length - 1)
    },
  }
}

const part = fc.oneof(
  fc.constantFrom('a', 'b', 'host', 'dc', 'über', 'a b', '"', '\\', '\u007f', '', '😀', '__proto__'),
  fc.stringMatching(/^[a-c]{1,2}$/),
)

test('the same series and records as by values, whatever the order, escapes and blanks', () => {
  const blank = fc.constantFrom('', ' ', '\t', '\r')
  const texts = fc.array(fc.tuple(fc.array(fc.tuple(part, part), { maxLength: 4 }), blank, fc.boolean()), {
    maxLength: 40,
  })
  fc.assert(
    fc.property(texts, drawn => {
      const plain = new Catalog({ incarnation: '0f'.repeat(16), hash, seriesMax: 1000 })
      const subject = make()
      for (const [pairs, space, escaped] of drawn) {
        // names once: V8 is not always of one mind which of two members of one name counts, if they have escapes
        const named = pairs.filter(([name], i) => name !== '' && pairs.findIndex(([other]) => other === name) === i)
        const string = (value: string): string => {
          const json = JSON.stringify(value)
          return escaped ? json.replace('a', '\\u0061') : json
        }
        const members = named.map(([name, value]) => `${space}${string(name)}${space}:${space}${string(value)}${space}`)
        const text = `{${members.join(',') || space}}`
        const tags = canonicalTags(Object.entries(JSON.parse(text) as Record<string, string>))
        const series = plain.useSeries(plain.useMetric('cpu'), tags)
        expect(subject.seriesOf(text)).toBe(series)
        expect(subject.catalog.tagsOf(series)).toEqual(tags)
      }
      expect(subject.catalog.pendingSince(0)).toEqual(plain.pendingSince(0))
    }),
    { numRuns: 300 },
  )
})

test('a line without tags is the bare metric', () => {
  const { catalog } = make()
  const metric = catalog.useMetric('cpu')
  const bare = catalog.useSeries(metric, [])
  expect(new TagsText(catalog).seriesOf(metric, new Uint8Array(0), 0, 0)).toBe(bare)
})

test('what is not an object of strings is left to the rules', () => {
  const { seriesOf } = make()
  for (const text of ['{"a":1}', '{"a":{}}', '{"a":["x"]}', '[]', '{"a":true}']) expect(seriesOf(text)).toBe(undefined)
  for (const text of ['{"a"}', '{"a":"b",}', '{,}', '{"a":"b" "c":"d"}', '{"a":"b\u0001"}', '["a":"b"}'])
    expect(() => seriesOf(text)).toThrow(expect.objectContaining({ code: 'invalid_json' }))
  expect(seriesOf('{"a":null}')).toBe(seriesOf('{}'))
})

test('limits are those of values', () => {
  const { catalog, seriesOf } = make(3)
  seriesOf('{"a":"1"}')
  expect(seriesOf(`{"a":"${'x'.repeat(1024)}"}`)).toBe(1)
  expect(() => seriesOf(`{"a":"${'x'.repeat(1025)}"}`)).toThrow(expect.objectContaining({ code: 'invalid_row' }))
  const many = Array.from({ length: 65 }, (_, i) => `"k${i}":"v"`).join(',')
  expect(() => seriesOf(`{${many}}`)).toThrow(expect.objectContaining({ code: 'too_many_tags' }))
  expect(seriesOf('{"a":"2"}')).toBe(2)
  expect(() => seriesOf('{"a":"3"}')).toThrow(expect.objectContaining({ code: 'too_many_series' }))
  expect(seriesOf('{"a":"2"}')).toBe(2)
  expect(catalog.seriesCount).toBe(3)
})

test('two series of one id are told apart', () => {
  const { seriesOf } = make(10, () => 5n)
  expect(seriesOf('{"a":"1"}')).toBe(0)
  seriesOf('{"a":"1"}')
  expect(() => seriesOf('{"a":"2"}')).toThrow(expect.objectContaining({ code: 'series_id_collision' }))
})

test('many metrics whose series have the same tags, in turn: each has its own', () => {
  const subject = new Catalog({ incarnation: '0f'.repeat(16), hash, seriesMax: 10_000 })
  const plain = new Catalog({ incarnation: '0f'.repeat(16), hash, seriesMax: 10_000 })
  const tags = new TagsText(subject)
  const metrics = 600
  const rounds = 3
  plain.useSeries(
    plain.useMetric('first'),
    canonicalTags([
      ['dc', 'x'],
      ['host', 'a'],
    ]),
  )
  subject.useSeries(
    subject.useMetric('first'),
    canonicalTags([
      ['dc', 'x'],
      ['host', 'a'],
    ]),
  )
  for (let round = 0; round < rounds; round++)
    for (let i = 0; i < metrics; i++) {
      const host = `h${round}`
      const bytes = new TextEncoder().encode(`{"host":"${host}","dc":"x"}`)
      const pairs = canonicalTags([
        ['dc', 'x'],
        ['host', host],
      ])
      const series = plain.useSeries(plain.useMetric(`m${i}`), pairs)
      expect(tags.seriesOf(subject.useMetric(`m${i}`), bytes, 0, bytes.length)).toBe(series)
    }
  expect(subject.pendingSince(0)).toEqual(plain.pendingSince(0))
  for (const { id } of plain.metrics()) {
    expect(subject.tagKeys(id)).toEqual(plain.tagKeys(id))
    for (const [key, value] of [
      ['dc', 'x'],
      ['host', 'h0'],
      ['host', 'h2'],
      ['host', 'a'],
    ] as const)
      expect(subject.seriesWithTag(id, key, value)).toEqual(plain.seriesWithTag(id, key, value))
  }
})
