import { describe, expect, test } from 'vitest'
import { createReferenceScanner } from '../../../src/kernels/reference-scan.ts'
import { lineBytesMax } from '../../../src/storage/rows/limits.ts'
import { NdjsonReader, type ReaderOptions } from '../../../src/storage/rows/ndjson-reader.ts'
import { RowWriter } from '../../../src/storage/rows/row-writer.ts'
import { fakeCatalog } from './fake-catalog.ts'
import { fixedClock, flatten, type Outcome, type Row, read, serverTimeUs, statistics, subject } from './read.ts'

/** Each line three times on one writer: generally, as a candidate, by template. */
function settle(lines: readonly string[], options: ReaderOptions = {}): Outcome {
  const on = subject('wasm')
  const first = read(on, lines.join('\n'), options)
  read(on, lines.join('\n'), options)
  const third = read(on, lines.join('\n'), options)
  expect(third.errors).toEqual(first.errors)
  expect(third.counts).toEqual(first.counts)
  return first
}
const rowsOf = (outcome: Outcome): Row[] => Object.values(outcome.rows).flat()
const errorOf = (line: string, options?: ReaderOptions): string => {
  const [error] = settle([line], options).errors
  return error === undefined ? 'none' : `${error.code}: ${error.message}`
}

describe('rows', () => {
  test('a value, fields, tags in canonical order, server time', () => {
    const outcome = settle([
      '{"series":"cpu","ts":1700000000000,"value":1.5,"tags":{"host":"a","dc":"x","empty":"","none":null}}',
      '{"tags":{"dc":"x","host":"a"},"fields":{"usr":2,"up":true,"note":"ok","gone":null},"series":"cpu","ts":1700000000001}',
      '{"series":"cpu","value":-0.0}',
      '{"series":"cpu","ts":null,"value":3}',
    ])
    expect(outcome.errors).toEqual([])
    expect(rowsOf(outcome)).toEqual([
      ['cpu[["dc","x"],["host","a"]]', 1700000000000000, { value: 1.5 }],
      ['cpu[["dc","x"],["host","a"]]', 1700000000001000, { usr: 2, up: true, note: 'ok' }],
      ['cpu[]', serverTimeUs, { value: -0 }],
      ['cpu[]', serverTimeUs + 1, { value: 3 }],
    ])
  })

  test('special numbers belong to a float field, else they are strings', () => {
    const outcome = settle([
      '{"series":"a","ts":1,"fields":{"f":1,"s":"NaN"}}',
      '{"series":"a","ts":2,"fields":{"f":"NaN","s":"Infinity"}}',
      '{"series":"a","ts":3,"fields":{"f":"-Infinity"},"value":"NaN"}',
      '{"series":"a","ts":4,"fields":{"f":"nan"}}',
    ])
    expect(rowsOf(outcome).map(([, , fields]) => fields)).toEqual([
      { f: 1, s: 'NaN' },
      { f: Number.NaN, s: 'Infinity' },
      { f: Number.NEGATIVE_INFINITY, value: 'NaN' },
    ])
    expect(outcome.errors).toEqual([{ line: 4, code: 'type_mismatch', message: expect.stringContaining('a.f') }])
  })

  test.each([
    ['[1]', 'invalid_row: a row is an object, not an array'],
    ['5', 'invalid_row: a row is an object, not a number'],
    ['{"series":"a"}', 'invalid_row: the row has no field'],
    ['{"series":"a","value":null,"fields":{"x":null}}', 'invalid_row: the row has no field'],
    ['{"value":1}', 'invalid_row: "series" is missing'],
    ['{"series":"","value":1}', 'invalid_row: "series" must be a non-empty string'],
    ['{"series":7,"value":1}', 'invalid_row: "series" must be a non-empty string, not a number'],
    ['{"series":"a","timestamp":1,"value":1}', 'invalid_row: unknown key "timestamp"'],
    ['{"series":"a","value":1,"fields":{"value":2}}', 'invalid_row: "value" is given twice'],
    ['{"series":"a","fields":{"x":1,"value":2},"value":3}', 'invalid_row: "value" is given twice'],
    ['{"series":"a","value":1,"tags":{"n":5}}', 'invalid_row: tag "n" must be a string, not a number'],
    ['{"series":"a","value":1,"tags":[]}', 'invalid_row: "tags" must be an object, not an array'],
    ['{"series":"a","fields":{"x":{"y":1}}}', 'invalid_row: field "x" must be a number, string, boolean or null'],
    ['{"series":"a","fields":{"x":[1]}}', 'invalid_row: field "x" must be'],
    ['{"series":"a","fields":{"x":"\\ud800"}}', 'invalid_row: field "x" is a string with a lone surrogate'],
    [`{"series":"a","fields":{"x":"${'é'.repeat(32769)}"}}`, 'invalid_row: field "x" is a string of over 65536 bytes'],
    ['{"series":"a","value":9007199254740993}', 'integer_out_of_range: field "value": 9007199254740993'],
    ['{"series":"a","value":1e999}', 'invalid_row: field "value": 1e999 is more than a double holds'],
    ['{"series":"a","value":1,}', 'invalid_json: not JSON from column 25'],
    ['{"series":"a","value":01}', 'invalid_json: not JSON from column 24'],
    ['{"series":"a"', 'invalid_json: not JSON: it ends too early'],
    ['{"series":"a","value":1} x', 'invalid_json: not JSON from column 26'],
    ['{"series":"a","ts":1.5,"value":1}', 'invalid_timestamp: "ts" 1.5 is not an integer'],
    ['{"series":"a","ts":true,"value":1}', 'invalid_timestamp: "ts" must be an integer or an ISO 8601 string'],
    ['{"series":"a","ts":"2023-02-29","value":1}', 'invalid_timestamp: "ts" "2023-02-29" is not a day'],
    ['{"series":"a","ts":"2023-02-28T23:59:60Z","value":1}', 'invalid_timestamp'],
    ['{"series":"a","ts":"yesterday","value":1}', 'invalid_timestamp: "ts" "yesterday" is not an ISO 8601 time'],
    ['{"series":"a","ts":"1500-01-01T00:00:00Z","value":1}', 'invalid_timestamp'],
    ['{"series":"a","ts":99999999999999999999,"value":1}', 'invalid_timestamp: "ts" 99999999999999999999 is outside'],
  ])('%s is refused', (line, message) => {
    expect(errorOf(line)).toContain(message)
  })

  test('deep nesting is refused, not a crash', () => {
    const deep = `{"series":"a","fields":{"x":${'['.repeat(200_000)}1${']'.repeat(200_000)}}}`
    expect(errorOf(deep)).toMatch(/^invalid_row/)
  })

  test('invalid UTF-8 names the byte, also inside a string slot', () => {
    const good = '{"series":"a","ts":1,"fields":{"s":"xy"}}\n'
    const bytes = new TextEncoder().encode(good.repeat(4))
    bytes[good.length * 3 + good.indexOf('y')] = 0xff
    const outcome = read(subject('wasm'), bytes)
    expect(outcome.errors).toEqual([{ line: 4, code: 'invalid_utf8', message: 'not UTF-8 from byte 38 of the line' }])
    expect(outcome.counts.accepted).toBe(3)
  })
})

describe('timestamps', () => {
  const us = (ts: string, options?: ReaderOptions): number =>
    rowsOf(settle([`{"series":"a","ts":${ts},"value":1}`], options))[0]![1]

  test.each([
    ['1700000000', 1700000000000000],
    ['1700000000123', 1700000000123000],
    ['1700000000123456', 1700000000123456],
    ['1700000000123456789', 1700000000123456],
    ['-1700000000123456789', -1700000000123457],
    ['-5', -5000000],
    ['-0', 0],
    ['17e8', 1700000000000000],
    ['1700000000.0', 1700000000000000],
    ['"2024-03-01"', 1709251200000000],
    ['"2024-03-01T12:00:00Z"', 1709294400000000],
    ['"2024-03-01T12:00:00.1234569Z"', 1709294400123456],
    ['"2024-03-01T13:30:00.5+01:30"', 1709294400500000],
    ['"1969-12-31T23:59:59.9999999Z"', -1],
    ['"2000-02-29T00:00:00Z"', 951782400000000],
  ])('%s', (text, expected) => {
    expect(us(text)).toBe(expected)
  })

  test('the precision given settles the unit', () => {
    expect(us('1700000000', { precision: 'ms' })).toBe(1700000000000)
    expect(us('1999', { precision: 'ns' })).toBe(1)
    expect(us('-1', { precision: 'ns' })).toBe(-1)
    expect(errorOf('{"series":"a","ts":9007199255,"value":1}', { precision: 's' })).toContain('outside ±2^53 µs')
  })

  test('without it the first integer does, and others are line errors', () => {
    const at = (ts: string): string => `{"series":"a","ts":${ts},"value":1}`
    const outcome = settle([at('"2024-03-01"'), at('1700000000000'), at('1700000001000'), at('1700000000'), at('5')])
    expect(outcome.counts).toEqual({ lines: 5, accepted: 3, rejected: 2 })
    expect(outcome.errors.map(({ line, code }) => [line, code])).toEqual([
      [4, 'invalid_timestamp'],
      [5, 'invalid_timestamp'],
    ])
    expect(outcome.errors[0]!.message).toContain('magnitude of s')
  })

  test('server time never repeats, in scan order across metrics and bodies', () => {
    const on = subject('wasm')
    const body = '{"series":"a","value":1}\n{"series":"b","value":1}\n'
    const times = [read(on, body.repeat(3)), read(on, body.repeat(3))].flatMap(({ rows }) =>
      ['a', 'b'].map(name => rows[name]!.map(([, time]) => time - serverTimeUs)),
    )
    expect(times).toEqual([
      [0, 2, 4],
      [1, 3, 5],
      [6, 8, 10],
      [7, 9, 11],
    ])
  })
})

describe('bodies', () => {
  const good = '{"series":"a","ts":1,"value":1}\n'

  test('abort stops at the first bad line and keeps those before it', () => {
    const outcome = read(subject('wasm'), `${good.repeat(5)}nonsense\n${good}`, { onError: 'abort' })
    expect(outcome.counts).toEqual({ lines: 6, accepted: 5, rejected: 1 })
    expect(outcome.stopped).toBe('invalid_json')
    expect(outcome.rows['a']).toHaveLength(5)
  })

  test.each([false, true])('a line over the limit ends the body (with its newline: %s)', whole => {
    const long = ' '.repeat(lineBytesMax + 1)
    const body = `${good}${good}${long}${whole ? `\n${good}` : ''}`
    for (const cuts of [[], [10], [70, 70_000]]) {
      const outcome = read(subject('wasm'), body, { cuts })
      expect(outcome.stopped).toBe('line_too_long')
      expect(outcome.counts).toEqual({ lines: 3, accepted: 2, rejected: 1 })
    }
  })

  test('a line of exactly the limit is read', () => {
    const row = '{"series":"a","ts":1,"value":1}'
    const outcome = read(subject('wasm'), `${row}${' '.repeat(lineBytesMax - row.length)}\n${good}`)
    expect(outcome.counts).toEqual({ lines: 2, accepted: 2, rejected: 0 })
  })

  test('the last line without newline counts only when the body ended cleanly', () => {
    expect(read(subject('wasm'), good + good.trim()).counts.accepted).toBe(2)
    expect(read(subject('wasm'), good + good.trim(), { clean: false }).counts).toEqual({
      lines: 1,
      accepted: 1,
      rejected: 0,
    })
  })

  test('the first hundred errors are kept, all are counted', () => {
    const outcome = read(subject('wasm'), 'x\n'.repeat(250))
    expect(outcome.errors).toHaveLength(100)
    expect(outcome.counts.rejected).toBe(250)
  })
})

describe('templates', () => {
  const line = (series: number, i: number): string =>
    `{"series":"cpu","ts":${1700000000000 + i},"value":${i / 8},"tags":{"host":"h${series}"}}\n`

  test('lines of a known shape never reach JSON.parse', () => {
    for (const kind of ['wasm', 'reference'] as const) {
      const on = subject(kind)
      const body = Array.from({ length: 5000 }, (_, i) => line(i % 100, i)).join('')
      expect(read(on, body).counts.accepted).toBe(5000)
      expect(statistics(on)).toEqual({ templateRows: 4998, generalRows: 2, templates: 100, templateResets: 0 })
    }
  })

  test('a shape that comes once is not registered', () => {
    const on = subject('wasm')
    read(on, Array.from({ length: 1000 }, (_, i) => line(i, i).replace('"cpu"', `"cpu${i}"`)).join(''))
    expect(statistics(on)).toMatchObject({ templates: 0, generalRows: 1000 })
  })

  test('with a known shape, tags that come once are', () => {
    const on = subject('wasm')
    read(on, Array.from({ length: 1000 }, (_, i) => line(i, i)).join(''))
    expect(statistics(on)).toMatchObject({ templates: 999, generalRows: 2 })
  })

  test('when the table is full, all are forgotten after a while and learnt anew', () => {
    const catalog = fakeCatalog()
    const scanner = createReferenceScanner(10)
    const writer = new RowWriter({ catalog, scanner, clock: fixedClock, untemplatedLinesMax: 100 })
    const batches = []
    for (let round = 0; round < 100; round++) {
      const reader = new NdjsonReader(writer)
      const body = Array.from({ length: 20 }, (_, i) => line(i, round * 20 + i)).join('')
      batches.push(...reader.push(new TextEncoder().encode(body)))
      expect(reader.accepted).toBe(20)
    }
    expect(writer.statistics().templateResets).toBeGreaterThan(3)
    expect(writer.statistics().templateRows).toBeGreaterThan(300)
    const rows = flatten(batches, catalog)['cpu']!
    expect(rows).toEqual(
      rows.map((_, i) => [`cpu[["host","h${i % 20}"]]`, (1700000000000 + i) * 1000, { value: i / 8 }]),
    )
  })
})
