/** The rules of rows, with what they remember of rows before, against rules that remember nothing. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SydraError } from '../../../src/lib/errors.ts'
import { shapeFieldsMax } from '../../../src/storage/rows/limits.ts'
import { RowRules } from '../../../src/storage/rows/row-rules.ts'
import { SeriesLookup } from '../../../src/storage/rows/series-lookup.ts'
import { TimeSettings } from '../../../src/storage/rows/timestamp.ts'
import { type FakeCatalog, fakeCatalog } from './fake-catalog.ts'
import { type SettledRow, settleByReference } from './reference-rules.ts'

type Outcome = SettledRow | { readonly error: string; readonly message: string } | { readonly thrown: string }

const names = ['a', 'b', 'c', 'value', '1', 'constructor', '__proto__', '']
const fieldName = fc.constantFrom(...names)
const number = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.constantFrom(0, -0, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53),
)
const fieldValue = fc.oneof(
  { arbitrary: number, weight: 12 },
  { arbitrary: fc.constantFrom(null, undefined), weight: 2 },
  { arbitrary: fc.boolean(), weight: 2 },
  { arbitrary: fc.constantFrom('NaN', '-Infinity', 'text', '', '\ud800', 'x'.repeat(70_000)), weight: 2 },
  { arbitrary: fc.constantFrom<unknown>(5n, [1], {}, new Date(0), Symbol.iterator, () => 1), weight: 1 },
)
const tagValue = fc.oneof(
  { arbitrary: fc.constantFrom('a', 'b', 'c'), weight: 12 },
  { arbitrary: fc.constantFrom<unknown>('', null, undefined, 5, true, ['a'], {}), weight: 1 },
)

/** Objects of every kind: plain, without a prototype, with an inherited entry, of a class, with getters, behind a proxy. */
const shapes = ['plain', 'plain', 'plain', 'plain', 'bare', 'inherits', 'class', 'getter', 'hidden', 'proxy'] as const
function objectOf(shape: (typeof shapes)[number], entries: readonly (readonly [string, unknown])[]): object {
  const define = (into: object, enumerable = true): object => {
    for (const [name, value] of entries)
      Object.defineProperty(into, name, { value, enumerable, configurable: true, writable: true })
    return into
  }
  switch (shape) {
    case 'plain':
      return define({})
    case 'bare':
      return define(Object.create(null))
    case 'inherits':
      return define(
        Object.create(
          objectOf(
            'plain',
            entries.map(([name]) => [`${name}a`, 7]),
          ),
        ),
      )
    case 'class':
      return define(
        new (class {
          a() {}
          get inherited() {
            return 1
          }
        })(),
      )
    case 'getter': {
      const object = {}
      for (const [name, value] of entries) {
        let reads = 0
        // another answer each time: a row is read once
        const get = (): unknown => (reads++ === 0 ? value : { read: reads })
        Object.defineProperty(object, name, { get, enumerable: true, configurable: true })
      }
      return object
    }
    case 'hidden':
      return Object.defineProperty(define({}), Symbol('s'), { value: 1, enumerable: true })
    case 'proxy':
      return new Proxy(define({}), {})
  }
}
const object = (name: fc.Arbitrary<string>, value: fc.Arbitrary<unknown>): fc.Arbitrary<() => object> =>
  fc
    .tuple(
      fc.constantFrom(...shapes),
      fc.uniqueArray(fc.tuple(name, value), { selector: ([key]) => key, maxLength: 5 }),
    )
    .map(
      ([shape, entries]) =>
        () =>
          objectOf(shape, entries),
    )

const time = fc.oneof(
  { arbitrary: fc.integer({ min: 1.6e12, max: 1.8e12 }), weight: 8 },
  fc.constantFrom<unknown>(
    undefined,
    null,
    1.5,
    '2024-03-01T12:00:00Z',
    'now',
    5n,
    new Date(5),
    new Date(Number.NaN),
    true,
    17,
  ),
)
const member = fc.oneof(
  {
    arbitrary: fc.tuple(
      fc.constant('ts'),
      time.map(value => () => value),
    ),
    weight: 4,
  },
  { arbitrary: fc.tuple(fc.constant('fields'), object(fieldName, fieldValue)), weight: 8 },
  {
    arbitrary: fc.tuple(fc.constant('tags'), object(fc.constantFrom('h', 'r', '1', '__proto__'), tagValue)),
    weight: 6,
  },
  {
    arbitrary: fc.tuple(
      fc.constant('value'),
      fieldValue.map(value => () => value),
    ),
    weight: 2,
  },
  {
    arbitrary: fc.tuple(
      fc.constantFrom('fields', 'tags', 'x', 'time', 'series'),
      fc.constantFrom<unknown>(null, undefined, 5, [], 'mem', '').map(value => () => value),
    ),
    weight: 1,
  },
)
const row = fc
  .tuple(
    fc.constantFrom(...shapes),
    fc.constantFrom('cpu', 'cpu', 'mem'),
    fc.array(member, { minLength: 1, maxLength: 4 }),
  )
  .map(([shape, series, members]) => () => {
    const entries = new Map<string, unknown>([['series', series]])
    for (const [key, value] of members) entries.set(key, value())
    return objectOf(shape, [...entries])
  })
const any = fc.oneof(
  { arbitrary: row, weight: 30 },
  fc.constantFrom<() => unknown>(
    () => 5,
    () => null,
    () => [],
    () => 'row',
  ),
)

function outcome(settle: () => SettledRow): Outcome {
  try {
    return settle()
  } catch (error) {
    if (error instanceof SydraError) return { error: error.code, message: error.message }
    return { thrown: String(error) }
  }
}

function settled(rules: RowRules, given: unknown, times: TimeSettings): SettledRow {
  const { metric, series, timeUs, fields, values } = rules.settle(given, times)
  return { metric: metric.name, series, timeUs, fields: fields.map(({ name }, i) => [name, values[i]!]) }
}

const registered = (catalog: FakeCatalog): unknown =>
  ['cpu', 'mem'].map(name => catalog.useMetric(name).fields.map(field => [field.name, field.type]))

describe('row rules', () => {
  test('say of each row, and leave in the catalog, what they would without a memory', () => {
    fc.assert(
      fc.property(
        fc.array(any, { minLength: 1, maxLength: 12 }),
        fc.array(fc.nat(11), { maxLength: 24 }),
        fc.constantFrom(undefined, 'ms' as const),
        (rows, again, precision) => {
          const [one, other] = [fakeCatalog(5), fakeCatalog(5)]
          const rules = new RowRules(one)
          const [times, otherTimes] = [new TimeSettings(precision), new TimeSettings(precision)]
          for (const given of [...rows, ...again.map(i => rows[i % rows.length]!)]) {
            const expected = outcome(() => settleByReference(given(), otherTimes, other))
            expect(outcome(() => settled(rules, given(), times))).toEqual(expected)
          }
          expect(registered(one)).toEqual(registered(other))
        },
      ),
      { numRuns: 1500 },
    )
  })

  test('read a row anew though its objects are the ones of the row before', () => {
    const catalog = fakeCatalog()
    const rules = new RowRules(catalog)
    const times = new TimeSettings('ms')
    const given = { series: 'cpu', ts: 1, fields: { a: 1, b: 2 } as Record<string, unknown>, tags: { host: 'a' } }
    const first = settled(rules, given, times)
    given.tags.host = 'b'
    given.fields['a'] = 5
    given.fields['c'] = true
    const second = settled(rules, given, times)
    expect(catalog.describe(first.series)).toBe('cpu[["host","a"]]')
    expect(catalog.describe(second.series)).toBe('cpu[["host","b"]]')
    expect(second.fields).toEqual([
      ['a', 5],
      ['b', 2],
      ['c', true],
    ])
  })

  test('forget shapes when there are too many of them', () => {
    const rules = new RowRules(fakeCatalog())
    const times = new TimeSettings('ms')
    const wide = Math.ceil(Math.sqrt(shapeFieldsMax))
    for (let first = 0; first < 8; first++) {
      const fields = Object.fromEntries(Array.from({ length: wide }, (_, i) => [`f${(i + first) % wide}`, i]))
      const { fields: found } = settled(rules, { series: 'cpu', ts: 1, fields }, times)
      expect(found).toEqual(Object.entries(fields))
    }
  })
})

describe('series lookup', () => {
  test('finds what was added, and nothing else', () => {
    const texts = fc.array(fc.constantFrom('a', 'b', 'c', ''), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(fc.array(texts, { maxLength: 60 }), lists => {
        const lookup = new SeriesLookup()
        const model = new Map<string, number>()
        const metric = { id: 0, name: 'm', fields: [] }
        for (const list of lists) {
          list.forEach((text, i) => {
            lookup.texts[i] = text
          })
          lookup.count = list.length
          const key = JSON.stringify(list)
          expect(lookup.find()?.series).toBe(model.get(key))
          if (model.has(key)) continue
          model.set(key, model.size)
          lookup.add({ metric, series: model.size - 1 })
        }
      }),
      { numRuns: 500 },
    )
  })
})
