/** Rows that come as columns: they are what the same rows given as objects are, and what is wrong with them is said. */
import fc from 'fast-check'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import {
  type ColumnRows,
  type Committed,
  type Database,
  type ErrorCode,
  type FieldColumn,
  type IndexArray,
  open,
  type RowObject,
  SydraError,
  type TagSet,
} from '../../src/index.ts'
import { memoryFiles } from '../../src/lib/memory-files.ts'

const startMs = Date.UTC(2026, 0, 1)

async function inMemory(): Promise<Database> {
  const db = await open(':memory:')
  onTestFinished(() => db.close())
  return db
}

/** All rows with all they have, by series and time. */
async function everything(db: Database, metric = 'cpu'): Promise<unknown> {
  const keys = new Set([...db.series(metric)].flatMap(({ tags }) => tags.map(([key]) => `tag.${key}`)))
  const rows = (await db.query(`select ${['*', ...[...keys].sort()].join(', ')} from ${metric}`).all()).rows
  return rows
    .map(row => JSON.stringify(Object.values(row).map(value => (typeof value === 'number' ? floatText(value) : value))))
    .sort()
}
const floatText = (value: number): string => (Object.is(value, -0) ? '-0' : String(value))

// ---- the same rows, both ways -------------------------------------------------------------------------------------

/** What a row has of each field; undefined: nothing. */
interface Row {
  readonly tags: number
  readonly ts: number
  readonly usage: number | undefined
  readonly load: number | undefined
  readonly up: boolean | undefined
  readonly state: string | undefined
}
const present = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined, freq: 4 })
const float = fc.oneof(
  fc.double(),
  fc.integer({ min: -1000, max: 1000 }),
  fc.constantFrom(Number.NaN, -0, Number.NEGATIVE_INFINITY, 2 ** 53),
)
const rowOf = fc
  .record({
    tags: fc.nat(3),
    // late rows and duplicates among them
    ts: fc.integer({ min: 0, max: 12 }),
    usage: present(float),
    load: present(fc.integer({ min: -(2 ** 40), max: 2 ** 40 })),
    up: present(fc.boolean()),
    state: present(fc.constantFrom('ok', 'failed', '', 'é'.repeat(40), 'NaN')),
  })
  .filter(({ usage, load, up, state }) => [usage, load, up, state].some(value => value !== undefined))
const tagSets: readonly TagSet[] = [
  { host: 'a', dc: 'x' },
  { host: 'b', dc: '' },
  {},
  { host: 'a', rack: '7', dc: null },
]

/** In which form each column comes. */
const forms = fc.record({
  ts: fc.constantFrom('floats', 'bigints', 'array', 'ns'),
  numbers: fc.constantFrom('typed', 'array', 'narrow'),
  state: fc.constantFrom('array', 'dictionary'),
  indexes: fc.constantFrom('u8', 'i32', 'u32', 'i16'),
  nulls: fc.boolean(),
})
type Forms = typeof forms extends fc.Arbitrary<infer T> ? T : never

const objectsOf = (rows: readonly Row[]): RowObject[] =>
  rows.map(({ tags, ts, ...fields }) => ({ series: 'cpu', ts: startMs + ts, fields, tags: tagSets[tags]! }))

function columnsOf(rows: readonly Row[], form: Forms): ColumnRows {
  const indexes = (numbers: number[]): IndexArray =>
    ({ u8: Uint8Array, i32: Int32Array, u32: Uint32Array, i16: Int16Array })[form.indexes].from(numbers)
  const masked = <T>(values: readonly (T | undefined)[]): { readonly valid: Uint8Array | undefined } => ({
    // any number but 0 says that there is a value
    valid: values.includes(undefined) ? Uint8Array.from(values, value => (value === undefined ? 0 : 7)) : undefined,
  })
  const usage = rows.map(row => row.usage)
  const load = rows.map(row => row.load)
  const up = rows.map(row => row.up)
  const state = rows.map(row => row.state)
  const orNull = <T>(values: readonly (T | undefined)[]): (T | null | undefined)[] =>
    form.nulls ? values.map(value => value ?? null) : [...values]
  const dictionary = ['unused', ...new Set(state.filter(text => text !== undefined))]
  const integers = BigInt64Array.from(load, value => (value === undefined ? 2n ** 60n : BigInt(value)))
  const narrow = load.every(value => value === undefined || Math.abs(value) < 2 ** 31)
  const fields: Record<string, FieldColumn> = {
    usage:
      form.numbers === 'array'
        ? orNull(usage)
        : { type: 'float', values: Float64Array.from(usage, value => value ?? 99), ...masked(usage) },
    load:
      form.numbers === 'array'
        ? orNull(load)
        : form.numbers === 'narrow' && narrow
          ? { type: 'float', values: Int32Array.from(load, value => value ?? 1), ...masked(load) }
          : { type: 'float', values: integers, ...masked(load) },
    up:
      form.numbers === 'array'
        ? orNull(up)
        : { type: 'boolean', values: Uint8Array.from(up, value => (value ? 3 : 0)), ...masked(up) },
    state:
      form.state === 'array'
        ? orNull(state)
        : {
            type: 'string',
            values: indexes(state.map(text => (text === undefined ? 99 : dictionary.indexOf(text)))),
            dictionary,
            ...masked(state),
          },
  }
  const times = rows.map(({ ts }) => startMs + ts)
  const ts =
    form.ts === 'floats'
      ? Float64Array.from(times)
      : form.ts === 'array'
        ? times.map((time, i) => [time, new Date(time), BigInt(time), new Date(time).toISOString()][i % 4]!)
        : BigInt64Array.from(times, time => BigInt(time) * (form.ts === 'ns' ? 1_000_000n : 1n))
  return { series: 'cpu', tags: tagSets, seriesOf: indexes(rows.map(({ tags }) => tags)), ts, fields }
}

describe('columns', () => {
  test('are what the same rows as objects are, in memory, flushed and after a restart', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.array(rowOf, { minLength: 1, maxLength: 12 }), forms), { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        async (batches, isFlushed) => {
          const files = [memoryFiles(), memoryFiles()]
          const reopen = () => Promise.all(files.map(files => open('data', { files })))
          let [byColumns, byObjects] = (await reopen()) as [Database, Database]
          const same = async () => expect(await everything(byColumns)).toEqual(await everything(byObjects))
          for (const [rows, form] of batches) {
            const precision = form.ts === 'ns' ? 'ns' : 'ms'
            const report = await byColumns.ingestColumns(columnsOf(rows, form), { precision })
            expect(report).toEqual({ ingested: rows.length, rejected: 0, errors: [], bytes: 0, failure: undefined })
            const { rejected } = await byObjects.ingest(objectsOf(rows), { precision: 'ms' })
            expect(rejected).toBe(0)
            await same()
            if (isFlushed) await Promise.all([byColumns.flush(), byObjects.flush()])
          }
          await same()
          await Promise.all([byColumns.close(), byObjects.close()])
          ;[byColumns, byObjects] = (await reopen()) as [Database, Database]
          await same()
          await Promise.all([byColumns.close(), byObjects.close()])
        },
      ),
      { numRuns: 20 },
    )
  })

  test('of one series have its tags; integers are a type of their own, and floats where the field is one', async () => {
    const db = await inMemory()
    const ts = [startMs, startMs + 1]
    const columns = (fields: Record<string, FieldColumn>): ColumnRows => ({
      series: 'cpu',
      tags: { host: 'a' },
      ts,
      fields,
    })
    await db.ingestColumns(columns({ n: BigInt64Array.of(2n ** 53n, -(2n ** 53n)), f: Float32Array.of(0.5, 2) }))
    await db.ingestColumns(columns({ f: Int16Array.of(7, -7), m: { type: 'integer', values: Uint8Array.of(0, 255) } }))
    const { columns: described, rows } = await db.query('select n, f, m, tag.host from cpu').all()
    expect(described.map(({ type }) => type)).toEqual(['integer', 'float', 'integer', 'string'])
    expect(rows.map(row => Object.values(row))).toEqual([
      [2 ** 53, 7, 0, 'a'],
      [-(2 ** 53), -7, 255, 'a'],
    ])
  })

  test('of a result go in as they came', async () => {
    const db = await inMemory()
    const rows = Array.from({ length: 100 }, (_, i) => ({
      series: 'cpu',
      ts: startMs + i,
      fields: { usage: i / 7, up: i % 3 === 0, state: i % 5 === 0 ? null : `s${i % 4}` },
    }))
    await db.ingest(rows, { precision: 'ms' })
    for await (const batch of db.query('select time, usage, up, state from cpu').batches()) {
      const [time, usage, up, state] = batch.columns
      const cut = <C extends FieldColumn & { values: object }>(column: C): C => column
      expect(batch.selection).toBeUndefined()
      await db.ingestColumns(
        {
          series: 'copy',
          ts: (time!.values as Float64Array).subarray(0, batch.length),
          fields: Object.fromEntries(
            Object.entries({ usage, up, state }).map(([name, column]) => {
              const { values, valid } = column!
              const length = batch.length
              const whole = { ...column!, values: values.subarray(0, length), valid: valid?.subarray(0, length) }
              return [name, cut(whole as never)]
            }),
          ),
        },
        { precision: 'us' },
      )
    }
    expect(await everything(db, 'copy')).toEqual(await everything(db))
  })

  test('that are long go in in several commits, in order, and tell of each', async () => {
    const db = await inMemory()
    const count = 150_000
    const ts = Float64Array.from({ length: count }, (_, i) => startMs + i)
    const values = Float64Array.from(ts, (_, i) => i)
    const state = {
      type: 'string',
      values: Uint32Array.from(ts, (_, i) => i % 70_000),
      dictionary: Array.from({ length: 70_000 }, (_, i) => `s${i}`),
    } as const
    const told: number[] = []
    const report = await db.ingestColumns(
      { series: 'cpu', ts, fields: { value: values, state } },
      { precision: 'ms', onCommit: ({ lines }) => told.push(lines) },
    )
    expect(report.ingested).toBe(count)
    expect(told.length).toBeGreaterThan(1)
    expect(told).toEqual(told.toSorted((a, b) => a - b))
    expect(told.at(-1)).toBe(count)
    const [first] = (
      await db.query('select count(*) as n, sum(value) as sum, count(distinct state) as states from cpu').all()
    ).rows
    expect(first).toEqual({ n: count, sum: (count * (count - 1)) / 2, states: 70_000 })
    const [last] = (await db.query('select state from cpu where value = 149999').all()).rows
    expect(last).toEqual({ state: 's9999' })
  })

  test('are copied: what their owner does to them afterwards changes no commit and no row', async () => {
    const db = await inMemory()
    const kept: Committed[] = []
    db.committed$.subscribe(commit => kept.push(commit))
    const ts = Float64Array.of(startMs)
    const value = Float64Array.of(5)
    await db.ingestColumns({ series: 'cpu', ts, fields: { value } }, { precision: 'ms' })
    ts[0] = 0
    value[0] = 0
    expect(kept[0]!.batches[0]!.metrics[0]!.fields[0]!.values[0]).toBe(5)
    expect(await db.query('select * from cpu').all()).toMatchObject({ rows: [{ time: startMs * 1000, value: 5 }] })
  })

  test('are seen by live queries like any rows, slice after slice', async () => {
    const db = await inMemory()
    let seen: unknown
    const subscription = db
      .live<{ n: number; sum: number }>('select count(*) as n, sum(value) as sum from cpu')
      .subscribe(event => {
        if (event.kind === 'snapshot') seen = event.rows[0]
        else if (event.kind === 'delta') seen = [...event.changed, ...event.added].at(-1) ?? seen
      })
    const count = 200_000
    for (let day = 0; day < 3; day++) {
      const ts = Float64Array.from({ length: count }, (_, i) => startMs + day * count + i)
      await db.ingestColumns({ series: 'cpu', ts, fields: { value: ts.map((_, i) => i) } }, { precision: 'ms' })
    }
    const expected = { n: 3 * count, sum: (3 * count * (count - 1)) / 2 }
    await vi.waitUntil(() => (seen as typeof expected | undefined)?.n === expected.n, { timeout: 30_000 })
    expect(seen).toEqual(expected)
    subscription.unsubscribe()
  }, 60_000)

  test('without rows are nothing, and columns without values no fields', async () => {
    const db = await inMemory()
    const ts = new Float64Array(0)
    expect((await db.ingestColumns({ series: 'cpu', ts, fields: { value: ts } })).ingested).toBe(0)
    expect([...db.series()]).toEqual([])
    const fields = {
      value: [1],
      none: [null],
      nothing: { type: 'string', values: Uint8Array.of(9), dictionary: [], valid: Uint8Array.of(0) },
    } as const
    await db.ingestColumns({
      series: 'cpu',
      tags: [{ unused: 'x' }, {}],
      seriesOf: Uint8Array.of(1),
      ts: [startMs],
      fields,
    })
    expect([...db.series()].map(({ printed }) => printed)).toEqual(['cpu'])
    expect((await db.query('select * from cpu').all()).rows).toEqual([{ time: startMs * 1000, value: 1 }])
  })

  test('stop when the signal aborts, and reject', async () => {
    const db = await inMemory()
    const abort = new AbortController()
    const ts = Float64Array.from({ length: 400_000 }, (_, i) => startMs + i)
    const columns = { series: 'cpu', ts, fields: { value: ts } }
    const done = db.ingestColumns(columns, {
      precision: 'ms',
      signal: abort.signal,
      onCommit: () => abort.abort('enough'),
    })
    await expect(done).rejects.toMatchObject({ code: 'cancelled', cause: 'enough' })
    const { n } = (await db.query<{ n: number }>('select count(*) as n from cpu').first())!
    expect(n).toBeGreaterThan(0)
    expect(n).toBeLessThan(ts.length)
    await expect(db.ingestColumns(columns, { signal: abort.signal })).rejects.toMatchObject({ code: 'cancelled' })
  })
})

// ---- what is wrong ------------------------------------------------------------------------------------------------

const good: ColumnRows = { series: 'cpu', ts: [startMs, startMs + 1], fields: { value: Float64Array.of(1, 2) } }
const floats = (...values: number[]): Float64Array => Float64Array.from(values)
const wrongs: [what: string, columns: unknown, code: ErrorCode, message: string][] = [
  ['no object', null, 'bad_request', 'null is no columns'],
  ['an unknown key', { ...good, tag: {} }, 'bad_request', 'unknown key "tag"'],
  ['no metric', { ...good, series: '' }, 'bad_request', 'series: must be a non-empty string'],
  ['no times', { ...good, ts: undefined }, 'bad_request', 'ts: a undefined is no column of times'],
  [
    'times that are something else',
    { ...good, ts: Uint8Array.of(1, 2) },
    'bad_request',
    'ts: a Uint8Array is no column',
  ],
  ['no fields', { ...good, fields: {} }, 'bad_request', 'fields: must be an object'],
  ['a field without a name', { ...good, fields: { '': floats(1, 2) } }, 'invalid_row', 'fields: a field name'],
  [
    'a name that is too long',
    { ...good, fields: { ['x'.repeat(200)]: floats(1, 2) } },
    'invalid_row',
    'field name "xxx',
  ],
  [
    'a column that is too short',
    { ...good, fields: { value: floats(1) } },
    'bad_request',
    'fields.value.values: has 1 elements, "ts" has 2',
  ],
  [
    'an array that is too long',
    { ...good, fields: { 'cpu %': [1, 2, 3] } },
    'bad_request',
    'fields["cpu %"]: has 3 elements',
  ],
  [
    'a mask that is too short',
    { ...good, fields: { value: { type: 'float', values: floats(1, 2), valid: Uint8Array.of(1) } } },
    'bad_request',
    'fields.value.valid: has 1 elements',
  ],
  [
    'a mask that is none',
    { ...good, fields: { value: { type: 'float', values: floats(1, 2), valid: [1, 1] } } },
    'bad_request',
    'fields.value.valid: is a Array',
  ],
  [
    'a bare Uint8Array',
    { ...good, fields: { value: Uint8Array.of(1, 2) } },
    'bad_request',
    'fields.value: a Uint8Array is no column',
  ],
  [
    'an unknown type',
    { ...good, fields: { value: { type: 'int', values: floats(1, 2) } } },
    'bad_request',
    'fields.value.type: "int" is no type',
  ],
  [
    'values that are no array',
    { ...good, fields: { value: { type: 'float', values: 'ab' } } },
    'bad_request',
    'fields.value.values: a string',
  ],
  [
    'booleans in floats',
    { ...good, fields: { up: { type: 'boolean', values: floats(1, 0) } } },
    'bad_request',
    'fields.up.values: is a Float64Array',
  ],
  [
    'codes in floats',
    { ...good, fields: { s: { type: 'string', values: floats(1, 0), dictionary: ['a', 'b'] } } },
    'bad_request',
    'fields.s.values: is a Float64Array',
  ],
  [
    'no dictionary',
    { ...good, fields: { s: { type: 'string', values: Uint8Array.of(0, 0) } } },
    'bad_request',
    'fields.s.dictionary: is missing',
  ],
  [
    'a code beyond it',
    { ...good, fields: { s: { type: 'string', values: Int8Array.of(0, -1), dictionary: ['a'] } } },
    'invalid_row',
    'fields.s[1]: code -1',
  ],
  [
    'a text that is none',
    { ...good, fields: { s: { type: 'string', values: Uint8Array.of(0, 1), dictionary: ['a', 5] } } },
    'invalid_row',
    'fields.s.dictionary[1]: a number is no text',
  ],
  [
    'a text that is too long',
    { ...good, fields: { s: ['a', 'x'.repeat(70_000)] } },
    'invalid_row',
    'fields.s[1]: field "s" is a string of over',
  ],
  [
    'a lone surrogate',
    { ...good, fields: { s: { type: 'string', values: Uint8Array.of(0, 0), dictionary: ['\udc00'] } } },
    'invalid_row',
    'fields.s.dictionary[0]: field "s" is a string with a lone',
  ],
  ['a value of no type', { ...good, fields: { s: [1, {}] } }, 'invalid_row', 'fields.s[1]: field "s" must be a number'],
  [
    'values of two types',
    { ...good, fields: { s: [1, 'a'] } },
    'type_mismatch',
    'fields.s[1]: the field is of type float, the value is of type string',
  ],
  [
    'a row without a value',
    { ...good, fields: { a: [1, null], b: { type: 'float', values: floats(1, 1), valid: Uint8Array.of(1, 0) } } },
    'invalid_row',
    'row 1 has no value',
  ],
  [
    'an integer beyond 2^53',
    { ...good, fields: { n: BigInt64Array.of(0n, 2n ** 53n + 1n) } },
    'integer_out_of_range',
    'fields.n[1]: 9007199254740993 is beyond',
  ],
  [
    'an integer beyond it in floats',
    { ...good, fields: { n: { type: 'integer', values: floats(1, -1e300) } } },
    'integer_out_of_range',
    'fields.n[1]: -1e+300',
  ],
  [
    'an integer that is none',
    { ...good, fields: { n: { type: 'integer', values: floats(1, 1.5) } } },
    'invalid_row',
    'fields.n[1]: 1.5 is not an integer',
  ],
  [
    'an integer that is not a number',
    { ...good, fields: { n: { type: 'integer', values: floats(Number.NaN, 1) } } },
    'invalid_row',
    'fields.n[0]: NaN is not an integer',
  ],
  [
    'a time that is no integer',
    { ...good, ts: floats(startMs, startMs + 0.5) },
    'invalid_timestamp',
    'ts[1]: "ts" 1767225600000.5 is not an integer',
  ],
  [
    'a time that is none',
    { ...good, ts: floats(startMs, Number.NaN) },
    'invalid_timestamp',
    'ts[1]: "ts" NaN is not an integer',
  ],
  [
    'a time of another magnitude',
    { ...good, ts: floats(startMs, startMs / 1000) },
    'invalid_timestamp',
    'ts[1]: "ts" 1767225600 has the magnitude of s',
  ],
  [
    'a time out of range',
    { ...good, ts: BigInt64Array.of(0n, 2n ** 62n) },
    'invalid_timestamp',
    'ts[1]: "ts" 4611686018427387904',
  ],
  ['no time', { ...good, ts: [startMs, null] }, 'invalid_timestamp', 'ts[1]: a row of columns has a time'],
  ['tags without whose they are', { ...good, tags: [{}, {}] }, 'bad_request', 'seriesOf: is a undefined'],
  [
    'whose they are without tags',
    { ...good, seriesOf: Uint8Array.of(0, 0) },
    'bad_request',
    'seriesOf: goes with an array',
  ],
  ['too few of them', { ...good, tags: [{}], seriesOf: Uint8Array.of(0) }, 'bad_request', 'seriesOf: has 1 elements'],
  [
    'an index beyond the tags',
    { ...good, tags: [{}], seriesOf: Uint8Array.of(0, 1) },
    'invalid_row',
    'seriesOf[1]: 1 is no index of 1 tag sets',
  ],
  [
    'a tag that is no text',
    { ...good, tags: [{}, { host: 5 }], seriesOf: Uint8Array.of(0, 1) },
    'invalid_row',
    'tags[1]: tag "host" must be a string, not a number',
  ],
  [
    'too many tags',
    { ...good, tags: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`t${i}`, 'x'])) },
    'too_many_tags',
    '65',
  ],
]

describe('wrong columns', () => {
  test.each(wrongs)('%s', async (_, columns, code, message) => {
    const db = await inMemory()
    const refused = await db.ingestColumns(columns as ColumnRows).then(
      () => undefined,
      (error: unknown) => error,
    )
    expect(refused).toBeInstanceOf(SydraError)
    expect(refused).toMatchObject({ code, message: expect.stringContaining(message) })
    expect(db.stats().ingest.rows).toBe(0)
  })

  test('a field of another type', async () => {
    const db = await inMemory()
    await db.ingestColumns({ ...good, fields: { f: floats(1, 2), n: BigInt64Array.of(1n, 2n), s: ['a', 'b'] } })
    const refused = async (fields: Record<string, FieldColumn>): Promise<string> => {
      const later = { series: 'cpu', tags: { host: 'new' }, ts: [startMs + 5, startMs + 6], fields }
      const error = await db.ingestColumns(later).then(
        () => undefined,
        (error: unknown) => error,
      )
      return error instanceof SydraError ? `${error.code} ${error.message}` : String(error)
    }
    expect(await refused({ n: floats(1, 2) })).toBe(
      'type_mismatch field "n" of metric "cpu" is of type integer, the value is of type float',
    )
    expect(await refused({ s: BigInt64Array.of(1n, 2n) })).toContain('type_mismatch field "s"')
    expect(await refused({ f: [1, 'x'] })).toContain('type_mismatch fields.f[1]')
    expect([...db.series()].length).toBe(1)
    expect(await refused({ f: [1, 'NaN'] })).toBe('undefined')
  })

  test('arrays that change while they are read are not read on', async () => {
    const db = await inMemory()
    const count = 800_000
    const ts = Float64Array.from({ length: count }, (_, i) => startMs + i)
    const values = new Float64Array(count)
    const onCommit = (): void => {
      if (values.length > 0) structuredClone(values.buffer, { transfer: [values.buffer] })
    }
    const columns = { series: 'cpu', ts, fields: { value: values } }
    const report = await db.ingestColumns(columns, { precision: 'ms', onCommit })
    expect(report.failure).toMatchObject({ code: 'bad_request', message: expect.stringContaining('fields.value') })
    expect(report.ingested).toBeLessThan(count)
    expect(await db.query('select count(*) as n from cpu').first()).toEqual({ n: report.ingested })
  })
})

describe('times of columns', () => {
  test('are those of rows, whatever their unit', async () => {
    const near = fc.bigInt({ min: -3n, max: 3n })
    const bound = fc.constantFrom(
      0n,
      2n ** 31n,
      2n ** 32n,
      10n ** 11n,
      10n ** 14n,
      10n ** 17n,
      2n ** 53n,
      2n ** 53n * 1000n,
      2n ** 53n / 1000n,
      2n ** 53n / 1_000_000n,
      2n ** 62n,
    )
    const integer = fc.oneof(
      fc.tuple(bound, near, fc.boolean()).map(([at, by, isNegative]) => (isNegative ? -(at + by) : at + by)),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    )
    const db = await inMemory()
    let number = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(integer, { minLength: 1, maxLength: 4 }),
        fc.constantFrom(undefined, 's' as const, 'ms' as const, 'us' as const, 'ns' as const),
        fc.boolean(),
        async (times, precision, isFloat) => {
          const metric = `m${number++}`
          const given = isFloat ? Float64Array.from(times, Number) : BigInt64Array.from(times)
          const objects = [...given].map((ts, i) => ({ series: `${metric}o`, ts, value: i }))
          const { rejected, errors } = await db.ingest(objects, { precision, onError: 'abort' })
          const columns = { series: `${metric}c`, ts: given, fields: { value: Float64Array.from(times, (_, i) => i) } }
          const error = await db.ingestColumns(columns, { precision }).then(
            () => undefined,
            (error: SydraError) => error,
          )
          if (rejected > 0) {
            const [{ line, code, message }] = errors as [(typeof errors)[0]]
            expect(error).toMatchObject({ code, message: `ts[${line - 1}]: ${message}` })
          } else {
            expect(error).toBeUndefined()
            const timesOf = async (name: string) => (await db.query(`select time, value from ${name}`).all()).rows
            expect(await timesOf(`${metric}c`)).toEqual(await timesOf(`${metric}o`))
          }
        },
      ),
      { numRuns: 120 },
    )
  })
})
