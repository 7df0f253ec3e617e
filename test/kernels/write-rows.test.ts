/** The WebAssembly row writer against its plain-TypeScript twin, and both against `JSON.parse` and `String`. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  ArrayDictionary,
  type Batch,
  type Column,
  InterningDictionary,
  type Schema,
  type ValueType,
} from '../../src/columnar/batch.ts'
import { createReferenceRowWriter } from '../../src/kernels/reference-write-rows.ts'
import type { RowTextOptions, RowWriter } from '../../src/kernels/row-text.ts'
import { createRowWriter } from '../../src/kernels/write-rows.ts'

const decoder = new TextDecoder('utf-8', { fatal: true })

function textOf(writer: RowWriter, batches: readonly Batch[]): string {
  const pieces: Uint8Array[] = []
  for (const batch of batches) for (const piece of writer.write(batch)) pieces.push(piece.slice())
  writer.close()
  return decoder.decode(Buffer.concat(pieces))
}

function bothTexts(schema: Schema, batches: readonly Batch[], options: RowTextOptions): string {
  const text = textOf(createRowWriter(schema, options), batches)
  const expected = textOf(createReferenceRowWriter(schema, options), batches)
  // a failure shows the surroundings of the first difference, not megabytes
  let at = 0
  while (at < text.length && text[at] === expected[at]) at++
  const from = Math.max(0, at - 40)
  if (text !== expected) expect(text.slice(from, at + 40)).toBe(expected.slice(from, at + 40))
  return text
}

const column = (name: string, type: ValueType): Schema[number] => ({ name, type, nullable: true })
const numbers = (values: readonly number[], type: 'float' | 'timestamp' = 'float'): Column => ({
  type,
  values: Float64Array.from(values),
  valid: undefined,
})
const one = (values: readonly number[], type: 'float' | 'timestamp' = 'float'): Batch => ({
  length: values.length,
  columns: [numbers(values, type)],
  selection: undefined,
})
const strings = (texts: readonly string[], valid?: Uint8Array): Column => {
  const dictionary = new InterningDictionary()
  return { type: 'string', values: Uint32Array.from(texts, text => dictionary.code(text)), dictionary, valid }
}

const anyDouble = fc.oneof(
  { weight: 3, arbitrary: fc.double() },
  { weight: 3, arbitrary: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(fromBits) },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.integer(), fc.integer({ min: -25, max: 25 })).map(([d, e]) => Number(`${d}e${e}`)),
  },
  { weight: 2, arbitrary: fc.maxSafeInteger() },
  { weight: 1, arbitrary: fc.integer({ min: -1074, max: 1023 }).map(e => 2 ** e) },
  { weight: 1, arbitrary: fc.constantFrom(0, -0, Number.NaN, Infinity, -Infinity, 5e-324, Number.MAX_VALUE, 2 ** 53) },
)
function fromBits(bits: bigint): number {
  return new Float64Array(BigUint64Array.of(bits).buffer)[0]!
}
const anyTime = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer({ min: -3000, max: 3000 }).map(minutes => minutes * 60_000_000 - 1),
  fc.integer({ min: -100_000_000, max: 100_000_000 }).map(days => days * 86_400_000_000),
  fc.double(),
)
const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc
    .array(fc.constantFrom('"', '\\', ',', '\n', '\r', '#', '\u0000', '\u2028', '\ud800', 'ä', 'x'))
    .map(c => c.join('')),
  fc.constantFrom('', '#x', 'null', 'x'.repeat(64), 'x'.repeat(65), '"'.repeat(64)),
)

describe('numbers', () => {
  const schema = [column('v', 'float')]

  test('are what String gives, over every bit pattern', () => {
    fc.assert(
      fc.property(fc.array(anyDouble, { minLength: 1, maxLength: 300 }), values => {
        const lines = bothTexts(schema, [one(values)], { format: 'csv' }).split('\r\n')
        expect(lines.slice(0, -1)).toEqual(values.map(v => (Object.is(v, -0) ? '-0' : String(v))))
      }),
      { numRuns: 400 },
    )
  })

  test('keep their text whatever kind of number came before', () => {
    const values = [
      1,
      1.5,
      0.1 + 0.2,
      3,
      1e15,
      123456789012345.6,
      9007199254740991,
      1e21,
      1e-7,
      1.25e-6,
      0.00000012,
      2.5e300,
    ]
    const mixed = values.flatMap(a => values.flatMap(b => [a, -b, b, a]))
    expect(JSON.parse(`[${bothTexts(schema, [one(mixed)], { format: 'json' })}]`)).toEqual(mixed.map(v => [v]))
  })

  test('powers of two and of ten, and their neighbours', () => {
    const values: number[] = []
    for (let e = -1074; e <= 1023; e++) values.push(2 ** e)
    for (let e = -323; e <= 308; e++) values.push(Number(`1e${e}`), Number(`9.5e${e}`))
    const near = values.flatMap(v => {
      const bits = new BigUint64Array(Float64Array.of(v).buffer)[0]!
      return [v, fromBits(bits - 1n), fromBits(bits + 1n)]
    })
    expect(bothTexts(schema, [one(near)], { format: 'csv' })).toBe(near.map(v => `${v}\r\n`).join(''))
  })

  test('that JSON cannot say are strings, and -0 is -0', () => {
    const batch = one([Number.NaN, Infinity, -Infinity, -0])
    expect(bothTexts(schema, [batch], { format: 'json' })).toBe('["NaN"],["Infinity"],["-Infinity"],[-0]')
    expect(bothTexts(schema, [batch], { format: 'csv' })).toBe('NaN\r\nInfinity\r\n-Infinity\r\n-0\r\n')
  })
})

describe('times', () => {
  const schema = [column('time', 'timestamp')]

  test('carry as many digits as they need', () => {
    const batch = one([0, 1, 1500, 1_709_251_200_250_000, 1_709_251_200_000_000, -1, Number.NaN, 9e18], 'timestamp')
    expect(bothTexts(schema, [batch], { format: 'csv' }).split('\r\n')).toEqual([
      '1970-01-01T00:00:00Z',
      '1970-01-01T00:00:00.000001Z',
      '1970-01-01T00:00:00.0015Z',
      '2024-03-01T00:00:00.25Z',
      '2024-03-01T00:00:00Z',
      '1969-12-31T23:59:59.999999Z',
      '',
      '',
      '',
    ])
  })

  test('are exact decimals in the unit asked for', () => {
    const batch = one([1_500_000, -1500, 1, 0], 'timestamp')
    const text = (epoch: 's' | 'ms' | 'us' | 'ns') => bothTexts(schema, [batch], { format: 'json', epoch })
    expect(text('s')).toBe('[1.5],[-0.0015],[0.000001],[0]')
    expect(text('ms')).toBe('[1500],[-1.5],[0.001],[0]')
    expect(text('us')).toBe('[1500000],[-1500],[1],[0]')
    expect(text('ns')).toBe('[1500000000],[-1500000],[1000],[0]')
  })

  test('outside the years 0 to 9999 are in expanded form', () => {
    const us = (iso: string) => Date.parse(iso) * 1000
    const years = [
      '-271821-04-20T00:00:00Z',
      '-000001-12-31T23:59:59Z',
      '0000-01-01T00:00:00Z',
      '+010000-01-01T00:00:00Z',
    ]
    expect(bothTexts(schema, [one(years.map(us), 'timestamp')], { format: 'csv' })).toBe(`${years.join('\r\n')}\r\n`)
  })

  test('agree with Date over hostile values', () => {
    fc.assert(
      fc.property(
        fc.array(anyTime, { minLength: 1, maxLength: 100 }),
        fc.constantFrom('json' as const, 'csv' as const),
        fc.constantFrom('s' as const, 'ms' as const, 'us' as const, 'ns' as const, undefined),
        (times, format, epoch) => {
          bothTexts(schema, [one(times, 'timestamp')], { format, epoch })
        },
      ),
      { numRuns: 300 },
    )
  })
})

const anyBatches = fc
  .record({
    types: fc.array(fc.constantFrom<ValueType>('float', 'integer', 'boolean', 'string', 'timestamp', 'duration'), {
      minLength: 1,
      maxLength: 6,
    }),
    sizes: fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 4 }),
    names: fc.array(anyText, { minLength: 6, maxLength: 6 }),
    sharedDictionary: fc.boolean(),
  })
  .chain(({ types, sizes, names, sharedDictionary }) => {
    const shared = new InterningDictionary(['never used'])
    const columnOf = (type: ValueType, rows: number): fc.Arbitrary<Column> => {
      const exactly = { minLength: rows, maxLength: rows }
      const valid = fc.option(
        fc.array(fc.nat({ max: 1 }), exactly).map(bits => Uint8Array.from(bits)),
        { nil: undefined },
      )
      if (type === 'string')
        return fc.tuple(fc.array(anyText, exactly), valid).map(([texts, mask]) => {
          const dictionary = sharedDictionary ? shared : new InterningDictionary()
          return { type, values: Uint32Array.from(texts, t => dictionary.code(t)), dictionary, valid: mask }
        })
      if (type === 'boolean')
        return fc
          .tuple(fc.array(fc.nat({ max: 1 }), exactly), valid)
          .map(([bits, mask]) => ({ type, values: Uint8Array.from(bits), valid: mask }))
      return fc
        .tuple(fc.array(type === 'timestamp' ? anyTime : anyDouble, exactly), valid)
        .map(([values, mask]) => ({ type, values: Float64Array.from(values), valid: mask }))
    }
    const batches = sizes.map(rows =>
      fc
        .tuple(
          fc.tuple(...types.map(type => columnOf(type, rows))),
          fc.option(fc.array(fc.boolean(), { minLength: rows, maxLength: rows }), { nil: undefined }),
        )
        .map(([columns, keep]): Batch => {
          const selection = keep && Uint32Array.from([...keep.keys()].filter(row => keep[row]))
          return { length: rows, columns, selection }
        }),
    )
    return fc.tuple(...batches).map(made => ({
      schema: types.map((type, i): Schema[number] => ({ name: names[i]!, type, nullable: true })),
      batches: made,
    }))
  })

/** What `JSON.parse` gives for the batch's rows. */
function parsedRows(schema: Schema, batches: readonly Batch[]): unknown[][] {
  return batches.flatMap(batch => {
    const rows = batch.selection ?? Uint32Array.from({ length: batch.length }, (_, row) => row)
    return [...rows].map(row =>
      batch.columns.map((column, i) => {
        if (column.valid?.[row] === 0) return null
        if (column.type === 'string') return column.dictionary.at(column.values[row]!)
        if (column.type === 'boolean') return column.values[row] === 1
        const value = column.values[row]!
        if (schema[i]!.type === 'timestamp') return Math.abs(value) <= 8.64e18 ? Math.floor(value) + 0 : null
        return Number.isFinite(value) ? value : String(value)
      }),
    )
  })
}

describe('batches', () => {
  test('of any columns, masks and selections are the same as the twin writes, and as JSON.parse reads', () => {
    fc.assert(
      fc.property(anyBatches, ({ schema, batches }) => {
        const expected = parsedRows(schema, batches)
        const json = bothTexts(schema, batches, { format: 'json', epoch: 'us' })
        expect(JSON.parse(`[${json}]`)).toEqual(expected)
        const objects = bothTexts(schema, batches, { format: 'objects', epoch: 'us' })
        expect(JSON.parse(`[${objects}]`)).toHaveLength(expected.length)
        const lines = bothTexts(schema, batches, { format: 'ndjson', epoch: 'us' }).split('\n').slice(0, -1)
        expect(lines.map(line => JSON.parse(line)).map(row => Object.keys(row).length)).toEqual(
          expected.map(row => row.length),
        )
        bothTexts(schema, batches, { format: 'csv' })
      }),
      { numRuns: 300 },
    )
  })

  test('ndjson objects have the columns as keys, told apart where names are equal', () => {
    const schema = [column('a"b', 'float'), column('v', 'float'), column('v', 'float'), column('v_2', 'float')]
    const batch = { length: 1, columns: [1, 2, 3, 4].map(v => numbers([v])), selection: undefined }
    expect(bothTexts(schema, [batch], { format: 'ndjson' })).toBe('{"a\\"b":1,"v":2,"v_3":3,"v_2":4}\n')
  })

  test('csv quotes what needs it and tells the empty string from null', () => {
    const schema = [column('s', 'string'), column('t', 'string')]
    const texts = ['a', 'a,b', 'say "x"', 'two\nlines', '', '# error', ' ']
    const columns = [
      strings(texts),
      strings(
        texts,
        Uint8Array.from(texts, () => 0),
      ),
    ]
    const text = bothTexts(schema, [{ length: texts.length, columns, selection: undefined }], { format: 'csv' })
    expect(text).toBe(['a,', '"a,b",', '"say ""x""",', '"two\nlines",', '"",', '"# error",', ' ,', ''].join('\r\n'))
  })

  test('rows far larger than kernel memory', () => {
    const schema = [column('a', 'string'), column('n', 'float'), column('b', 'string'), column('c', 'string')]
    const sizes = [10, 65_000, 70_000, 3, 500_000, 40_000]
    const columnOf = (unit: string): Column => strings(sizes.map(size => unit.repeat(size)))
    const columns = [columnOf('x'), numbers(sizes), columnOf('"'), columnOf('\u0001')]
    const batch = { length: sizes.length, columns, selection: undefined }
    for (const format of ['json', 'ndjson', 'csv'] as const) bothTexts(schema, [batch, batch], { format })
  })

  test('many distinct long strings: the string memory is forgotten and refilled', () => {
    const schema = [column('a', 'string'), column('b', 'string')]
    const texts = Array.from({ length: 300 }, (_, i) => `${i}-`.repeat(2000))
    const batch = { length: 300, columns: [strings(texts), strings(texts.toReversed())], selection: undefined }
    const rows = JSON.parse(`[${bothTexts(schema, [batch, batch], { format: 'json' })}]`)
    expect(rows).toEqual([...texts, ...texts].map((text, i) => [text, texts[299 - (i % 300)]]))
  })

  test('more long strings in one row than the string memory holds', () => {
    const schema = Array.from({ length: 40 }, (_, i) => column(`s${i}`, 'string'))
    const columns = schema.map((_, i) => strings(['a', 'b'].map(unit => `${i}${unit}`.repeat(15_000))))
    bothTexts(schema, [{ length: 2, columns, selection: undefined }], { format: 'json' })
  })

  test('more distinct codes than the cache has slots', () => {
    const dictionary = new ArrayDictionary(Array.from({ length: 300_000 }, (_, i) => `series-${i}`))
    const values = Uint32Array.from({ length: 4000 }, (_, i) => (i * 131_072 + (i % 7)) % 300_000)
    const batch: Batch = {
      length: 4000,
      columns: [{ type: 'string', values, dictionary, valid: undefined }],
      selection: undefined,
    }
    bothTexts([column('s', 'string')], [batch, batch], { format: 'ndjson' })
  })

  test('a thousand columns, and more columns or longer names than the kernel describes', () => {
    for (const [count, name] of [
      [1000, 'c'],
      [2049, 'c'],
      [3, 'n'.repeat(70_000)],
    ] as const) {
      const schema = Array.from({ length: count }, (_, i) => column(`${name}${i}`, 'float'))
      const batch = {
        length: 150,
        columns: schema.map((_, i) => numbers(Array.from({ length: 150 }, (_, r) => r + i / 8))),
        selection: undefined,
      }
      bothTexts(schema, [batch], { format: 'ndjson' })
    }
  })

  test('writers interleave, and memory goes round', () => {
    const schema = [column('time', 'timestamp'), column('s', 'string')]
    const batch: Batch = { length: 1, columns: [numbers([0], 'timestamp'), strings(['x'])], selection: undefined }
    const json = createRowWriter(schema, { format: 'json' })
    const csv = createRowWriter(schema, { format: 'csv' })
    const take = (writer: RowWriter) => decoder.decode([...writer.write(batch)][0]!)
    expect([take(json), take(csv), take(json), take(csv)]).toEqual([
      '["1970-01-01T00:00:00Z","x"]',
      '1970-01-01T00:00:00Z,x\r\n',
      ',["1970-01-01T00:00:00Z","x"]',
      '1970-01-01T00:00:00Z,x\r\n',
    ])
    json.close()
    csv.close()
    expect(() => take(json)).toThrow('closed')
  })
})
