import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { SydraError } from '../../../src/lib/errors.ts'
import { compareUtf8 } from '../../../src/lib/text.ts'
import { Catalog } from '../../../src/storage/catalog/catalog.ts'
import {
  canonicalTags,
  loadSeriesHasher,
  printSeries,
  type SeriesHasher,
} from '../../../src/storage/catalog/identity.ts'
import type { Tags } from '../../../src/storage/types.ts'

let hash: SeriesHasher
beforeAll(async () => {
  hash = await loadSeriesHasher()
})
const incarnation = '000102030405060708090a0b0c0d0e0f'
const newCatalog = (options: Partial<{ seriesMax: number; hash: SeriesHasher; incarnation: string }> = {}): Catalog =>
  new Catalog({ incarnation, hash, seriesMax: 1_000_000, ...options })
const failure = (code: string, message: RegExp = /./) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) })

/** Few and odd texts, so that series share tags, differ late, and need escapes. */
const texts = [
  'a',
  'b',
  'ab',
  'a b',
  'a!',
  'a"',
  'a\\',
  'a\n',
  'a\u0001',
  'A',
  'é',
  '\uff5e',
  '\u{1f600}',
  'a.b',
  'a0',
  '0',
]
const someText = fc.oneof(fc.constantFrom(...texts), fc.string({ minLength: 1, maxLength: 6, unit: 'binary' }))
const someMetric = fc.constantFrom('cpu', 'cpu.user', 'my metric', 'é')
const someTags = fc
  .uniqueArray(fc.tuple(someText, someText), { selector: ([key]) => key, maxLength: 4 })
  .map(canonicalTags)

describe('catalog', () => {
  test('finds and registers', () => {
    const catalog = newCatalog()
    const cpu = catalog.useMetric('cpu')
    expect(catalog.useMetric('cpu')).toBe(cpu)
    const a = catalog.useSeries(cpu, [
      ['dc', 'x'],
      ['host', 'a'],
    ])
    const b = catalog.useSeries(cpu, [
      ['dc', 'x'],
      ['host', 'b'],
    ])
    const bare = catalog.useSeries(cpu, [])
    expect([a, b, bare]).toEqual([0, 1, 2])
    expect(
      catalog.useSeries(cpu, [
        ['dc', 'x'],
        ['host', 'a'],
      ]),
    ).toBe(a)
    expect(catalog.printed.at(a)).toBe('cpu{dc="x",host="a"}')
    expect(catalog.ids.at(a)).toBe(hash(new TextEncoder().encode('cpu{dc="x",host="a"}')).toString())
    expect(catalog.seriesById(catalog.ids.at(b))).toBe(b)
    for (const id of ['', '1', '01', '-1', 'x', '99999999999999999999', `0${catalog.ids.at(b)}`])
      expect(catalog.seriesById(id)).toBeUndefined()
    expect([...catalog.seriesOf(cpu.id)]).toEqual([0, 1, 2])
    expect([...catalog.seriesWithTag(cpu.id, 'dc', 'x')]).toEqual([a, b])
    expect([...catalog.seriesWithTag(cpu.id, 'dc', 'y')]).toEqual([])
    expect([...catalog.seriesWithTag(cpu.id, 'nope', 'x')]).toEqual([])
    expect(catalog.tagKeys(cpu.id)).toEqual(['dc', 'host'])
    const host = catalog.tag('host')!
    expect([a, b].map(series => host.dictionary.at(host.code(series)))).toEqual(['a', 'b'])
    expect(host.code(bare)).toBe(-1)
    expect(catalog.tag('nope')).toBeUndefined()
    expect(catalog.metric('nope')).toBeUndefined()
  })

  test('lists given out stay as they are when series are added', () => {
    const catalog = newCatalog()
    const cpu = catalog.useMetric('cpu')
    for (let i = 0; i < 10; i++)
      catalog.useSeries(cpu, [
        ['dc', 'x'],
        ['host', `${i}`],
      ])
    const [all, tagged] = [catalog.seriesOf(cpu.id), catalog.seriesWithTag(cpu.id, 'dc', 'x')]
    for (let i = 10; i < 1000; i++)
      catalog.useSeries(cpu, [
        ['dc', 'x'],
        ['host', `${i}`],
      ])
    const ten = Array.from({ length: 10 }, (_, i) => i)
    expect([...all]).toEqual(ten)
    expect([...tagged]).toEqual(ten)
    expect(catalog.seriesWithTag(cpu.id, 'dc', 'x')).toEqual(Uint32Array.from({ length: 1000 }, (_, i) => i))
  })

  test('the version follows metrics, fields and tag keys, not series', () => {
    const catalog = newCatalog()
    const changes = (work: () => void): boolean => {
      const before = catalog.version
      work()
      return catalog.version !== before
    }
    expect(changes(() => catalog.useMetric('cpu'))).toBe(true)
    const cpu = catalog.useMetric('cpu')
    expect(changes(() => catalog.useField(cpu, 'v', 'float'))).toBe(true)
    expect(changes(() => catalog.useSeries(cpu, [['host', 'a']]))).toBe(true)
    expect(changes(() => catalog.useSeries(cpu, [['host', 'b']]))).toBe(false)
    expect(changes(() => catalog.useField(cpu, 'v', 'integer'))).toBe(false)
    const disk = catalog.useMetric('disk')
    expect(changes(() => catalog.useSeries(disk, [['host', 'a']]))).toBe(true)
  })

  test('field types: an integer widens, any other mix is refused', () => {
    const catalog = newCatalog()
    const cpu = catalog.useMetric('cpu')
    const types = ['float', 'integer', 'boolean', 'string'] as const
    for (const type of types) catalog.useField(cpu, type, type)
    for (const has of types)
      for (const given of types) {
        if (has === given || (has === 'float' && given === 'integer'))
          expect(catalog.useField(cpu, has, given)).toMatchObject({ name: has, type: has })
        else
          expect(() => catalog.useField(cpu, has, given)).toThrow(
            failure('type_mismatch', new RegExp(`"${has}".*"cpu".*${has}.*${given}`)),
          )
      }
    expect(cpu.fields.map(field => field.id)).toEqual([0, 1, 2, 3])
  })

  test('limits: each with its error, and a refusal changes nothing', () => {
    const catalog = newCatalog({ seriesMax: 2 })
    const cpu = catalog.useMetric('cpu')
    catalog.useSeries(cpu, [])
    const state = (): unknown => [catalog.sequence, catalog.version, catalog.seriesCount, catalog.metrics().length]
    const before = state()
    const tagsOf = (count: number): Tags => canonicalTags(Array.from({ length: count }, (_, i) => [`k${i}`, 'v']))
    const refused: [() => unknown, string][] = [
      [() => catalog.useMetric(''), 'invalid_row'],
      [() => catalog.useMetric('x'.repeat(129)), 'invalid_row'],
      [() => catalog.useMetric('é'.repeat(65)), 'invalid_row'],
      [() => catalog.useMetric('\ud800'), 'invalid_row'],
      [() => catalog.useField(cpu, '', 'float'), 'invalid_row'],
      [() => catalog.useField(cpu, 'x'.repeat(129), 'float'), 'invalid_row'],
      [() => catalog.useSeries(cpu, [['', 'v']]), 'invalid_row'],
      [() => catalog.useSeries(cpu, [['k', '']]), 'invalid_row'],
      [() => catalog.useSeries(cpu, [['k', 'v'.repeat(1025)]]), 'invalid_row'],
      [() => catalog.useSeries(cpu, [['k', '😀'.repeat(257)]]), 'invalid_row'],
      [() => catalog.useSeries(cpu, [['k'.repeat(129), 'v']]), 'invalid_row'],
      [() => catalog.useSeries(cpu, [['k', 'a\udc00b']]), 'invalid_row'],
      [() => catalog.useSeries(cpu, tagsOf(65)), 'too_many_tags'],
    ]
    for (const [work, code] of refused) expect(work).toThrow(failure(code))
    expect(state()).toEqual(before)

    catalog.useMetric('x'.repeat(128))
    catalog.useSeries(cpu, [...tagsOf(63), ['z'.repeat(128), '😀'.repeat(256)]])
    expect(() => catalog.useSeries(cpu, [['k', 'one more']])).toThrow(failure('too_many_series', /limit of 2/))
    expect(() => catalog.useMetric('another')).toThrow(failure('too_many_series'))
    expect(catalog.useSeries(cpu, [])).toBe(0)

    for (let i = 0; i < 1024; i++) catalog.useField(cpu, `f${i}`, 'float')
    expect(() => catalog.useField(cpu, 'f1024', 'float')).toThrow(failure('too_many_fields'))
    expect(catalog.useField(cpu, 'f7', 'float').id).toBe(7)
  })

  test('series of one id are refused, never merged', () => {
    const catalog = newCatalog({ hash: () => 7n })
    const cpu = catalog.useMetric('cpu')
    expect(catalog.useSeries(cpu, [['host', 'a']])).toBe(0)
    expect(catalog.useSeries(cpu, [['host', 'a']])).toBe(0)
    for (const tags of [
      [],
      [['host', 'b']],
      [['hosu', 'a']],
      [
        ['host', 'a'],
        ['x', 'y'],
      ],
    ] as Tags[])
      expect(() => catalog.useSeries(cpu, tags)).toThrow(failure('series_id_collision', /cpu\{host="a"\}/))
    expect(() => catalog.useSeries(catalog.useMetric('cpv'), [['host', 'a']])).toThrow(failure('series_id_collision'))
    expect(catalog.seriesCount).toBe(1)
  })

  test('answers as a list of series does, ranks in UTF-8 order of the printed forms', () => {
    const step = fc.record({ metric: someMetric, tags: someTags, look: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), steps => {
        const catalog = newCatalog()
        const model: { metric: string; tags: Tags; printed: string }[] = []
        const check = (): void => {
          for (const { id, name } of catalog.metrics()) {
            const own = model.flatMap((series, ordinal) => (series.metric === name ? [ordinal] : []))
            expect([...catalog.seriesOf(id)]).toEqual(own)
            const byText = [...own].sort((a, b) => compareUtf8(model[a]!.printed, model[b]!.printed))
            const ranks = catalog.ranks(id)
            expect(byText.map(ordinal => ranks[ordinal])).toEqual(byText.map((_, rank) => rank))
            const keys = new Set(own.flatMap(ordinal => model[ordinal]!.tags.map(([key]) => key)))
            expect(catalog.tagKeys(id)).toEqual([...keys].sort(compareUtf8))
            for (const key of keys) {
              const column = catalog.tag(key)!
              for (const ordinal of own) {
                const value = model[ordinal]!.tags.find(tag => tag[0] === key)?.[1]
                const code = column.code(ordinal)
                expect(code < 0 ? undefined : column.dictionary.at(code)).toBe(value)
                if (value === undefined) continue
                const same = own.filter(o => model[o]!.tags.some(tag => tag[0] === key && tag[1] === value))
                expect([...catalog.seriesWithTag(id, key, value)]).toEqual(same)
              }
            }
          }
        }
        for (const { metric, tags, look } of steps) {
          const printed = printSeries(metric, tags)
          let expected = model.findIndex(series => series.printed === printed)
          if (expected < 0) expected = model.push({ metric, tags, printed }) - 1
          expect(catalog.useSeries(catalog.useMetric(metric), tags)).toBe(expected)
          expect(catalog.printed.at(expected)).toBe(printed)
          expect(catalog.tagsOf(expected)).toEqual(tags)
          expect(catalog.metricOf(expected).name).toBe(metric)
          expect(catalog.seriesById(catalog.ids.at(expected))).toBe(expected)
          if (look) check()
        }
        check()
      }),
      { numRuns: 60 },
    )
  })

  test('ranks of many series, all at once and extended little by little', () => {
    const catalog = newCatalog()
    const cpu = catalog.useMetric('cpu')
    const add = (from: number, to: number): void => {
      for (let i = from; i < to; i++)
        catalog.useSeries(
          cpu,
          canonicalTags([
            ['dc', `d${i % 7}`],
            ['host', `host_${(i * 7919) % 3001}`],
            [i % 3 ? 'x' : 'y', texts[i % 16]!],
          ]),
        )
    }
    for (const [from, to] of [
      [0, 2000],
      [2000, 2001],
      [2001, 2100],
      [2100, 3000],
    ] as const) {
      add(from, to)
      const ranks = catalog.ranks(cpu.id)
      const inOrder = [...catalog.seriesOf(cpu.id)]
        .sort((a, b) => ranks[a]! - ranks[b]!)
        .map(o => catalog.printed.at(o))
      expect(inOrder).toEqual([...inOrder].sort(compareUtf8))
    }
  })
})

describe('catalog records', () => {
  const fill = (catalog: Catalog, from: number, to: number): void => {
    for (let i = from; i < to; i++) {
      const metric = catalog.useMetric(`m${i % 3}`)
      catalog.useField(metric, `f${i % 5}`, 'float')
      catalog.useSeries(metric, [
        ['host', `h${i}`],
        ['os', i % 2 ? 'linux' : 'bsd'],
      ])
    }
  }
  const dump = (catalog: Catalog): unknown => ({
    metrics: catalog.metrics(),
    series: Array.from({ length: catalog.seriesCount }, (_, i) => [catalog.printed.at(i), catalog.ids.at(i)]),
    sequence: catalog.sequence,
  })

  test('replay gives the same catalog; applying again changes nothing (invariants 1 and 4)', () => {
    const source = newCatalog()
    const copy = newCatalog()
    const frames: Uint8Array[] = []
    for (let i = 0; i < 10; i++) {
      fill(source, i * 7, i * 7 + 10)
      const upTo = source.sequence
      frames.push(source.pendingSince(source.confirmed))
      // Every third frame fails: the next one carries its records.
      if (i % 3 === 2) frames.pop()
      else source.confirm(upTo)
    }
    for (const frame of frames) copy.applyRecords(frame)
    expect(dump(copy)).toEqual(dump(source))
    for (const frame of frames) copy.applyRecords(frame)
    expect(dump(copy)).toEqual(dump(source))
    expect(source.pendingSince(source.confirmed).length).toBe(0)
    copy.applyRecords(new Uint8Array(0))
    fill(copy, 100, 110)
    fill(source, 100, 110)
    expect(dump(copy)).toEqual(dump(source))
  })

  test('several frames in flight overlap without harm', () => {
    const source = newCatalog()
    fill(source, 0, 4)
    const first = source.pendingSince(source.confirmed)
    const firstUpTo = source.sequence
    fill(source, 4, 8)
    const second = source.pendingSince(source.confirmed)
    const copy = newCatalog()
    copy.applyRecords(second)
    copy.applyRecords(first)
    expect(dump(copy)).toEqual(dump(source))
    source.confirm(source.sequence)
    source.confirm(firstUpTo)
    expect(source.confirmed).toBe(source.sequence)
  })

  test('gaps, contradictions, strangers and damage are corrupt_catalog', () => {
    const source = newCatalog()
    fill(source, 0, 3)
    const middle = source.sequence
    const head = source.pendingSince(source.confirmed)
    fill(source, 3, 6)
    const tail = source.pendingSince(middle)
    expect(() => newCatalog().applyRecords(tail)).toThrow(failure('corrupt_catalog', /missing/))
    const other = newCatalog({ incarnation: 'ff'.repeat(16) })
    expect(() => other.applyRecords(head)).toThrow(failure('corrupt_catalog', /belong/))
    const different = newCatalog()
    different.useMetric('something else')
    expect(() => different.applyRecords(head)).toThrow(failure('corrupt_catalog', /contradicts/))
    expect(() => newCatalog().applyRecords(head.subarray(0, head.length - 1))).toThrow(
      failure('corrupt_catalog', /end early/),
    )
  })

  test('arbitrary bytes give a catalog or an error, never a crash', () => {
    const source = newCatalog()
    fill(source, 0, 5)
    const batch = source.pendingSince(source.confirmed)
    fc.assert(
      fc.property(fc.nat(batch.length - 1), fc.nat(255), fc.boolean(), (at, byte, cut) => {
        const bytes = batch.slice()
        bytes[at] = byte
        try {
          newCatalog().applyRecords(cut ? bytes.subarray(0, at) : bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(SydraError)
        }
      }),
      { numRuns: 500 },
    )
  })
})
