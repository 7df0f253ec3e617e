/** What batches look like: order, bounds, masks, ownership — and rows that come as objects. */
import { describe, expect, test } from 'vitest'
import { batchBytesMax, batchRowsMax } from '../../../src/storage/rows/limits.ts'
import { NdjsonReader } from '../../../src/storage/rows/ndjson-reader.ts'
import { ObjectReader } from '../../../src/storage/rows/object-reader.ts'
import type { RowBatch } from '../../../src/storage/types.ts'
import { flatten, subject } from './read.ts'

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

describe('row batches', () => {
  test('rows of a metric stay in scan order, whichever path settled them', () => {
    const on = subject('wasm')
    const lines: string[] = []
    for (let i = 0; i < 3000; i++) {
      const shape = (i * 7919) % 5
      if (shape === 0) lines.push(`{"series":"a","ts":${i},"value":${i}}`)
      else if (shape === 1) lines.push(`{"series":"a","ts":${i},"fields":{"s":"t${i % 9}","value":${i}}}`)
      else if (shape === 2) lines.push(`{"series":"b","ts":${i},"value":${i}}`)
      else if (shape === 3) lines.push(`{"series":"a","ts":${i},"value":${i},"tags":{"only":"${i}"}}`)
      else lines.push(`{"series":"a","ts":${i},"fields":{"up":${i % 2 === 0},"value":${i}}}`)
    }
    const batches = new NdjsonReader(on.writer, { precision: 'us' }).push(encode(`${lines.join('\n')}\n`))
    const rows = flatten(batches, on.catalog)
    expect(rows['a']!.length + rows['b']!.length).toBe(3000)
    for (const metric of ['a', 'b']) {
      const times = rows[metric]!.map(([, time]) => time)
      expect(times).toEqual([...times].sort((x, y) => x - y))
      for (const [series, time, fields] of rows[metric]!) {
        expect(fields['value']).toBe(time)
        expect('s' in fields).toBe((time * 7919) % 5 === 1)
        if ('s' in fields) expect(fields['s']).toBe(`t${time % 9}`)
        if ('up' in fields) expect(fields['up']).toBe(time % 2 === 0)
        expect(series.includes('only')).toBe((time * 7919) % 5 === 3)
      }
    }
    expect(on.writer.statistics().templateRows).toBeGreaterThan(2000)
  })

  test('are bounded in rows and bytes, also where rows are sparse', () => {
    const on = subject('wasm')
    const narrow = Array.from({ length: 100_000 }, (_, i) => `{"series":"n","ts":${i},"value":1}\n`).join('')
    const first = new NdjsonReader(on.writer).push(encode(narrow))
    expect(total(first)).toBe(100_000)
    const sparse = Array.from({ length: 6000 }, (_, i) => `{"series":"w","ts":${i},"fields":{"f${i % 500}":1}}\n`).join(
      '',
    )
    const second = new NdjsonReader(on.writer).push(encode(sparse))
    expect(total(second)).toBe(6000)
    expect(second.length).toBeGreaterThan(3)
    for (const batch of [...first, ...second]) {
      expect(batch.rowCount).toBeLessThanOrEqual(batchRowsMax)
      expect(batch.byteLength).toBeLessThanOrEqual(batchBytesMax * 1.01)
    }
    expect(flatten(second, on.catalog)['w']!.map(([, , fields]) => Object.keys(fields)[0])).toEqual(
      Array.from({ length: 6000 }, (_, i) => `f${i % 500}`),
    )
  })

  test('strings overflow into further batches', () => {
    const on = subject('wasm')
    const text = 'x'.repeat(2000)
    const body = Array.from({ length: 3000 }, (_, i) => `{"series":"s","ts":${i},"fields":{"t":"${i}${text}"}}\n`).join(
      '',
    )
    const batches = new NdjsonReader(on.writer).push(encode(body))
    expect(total(batches)).toBe(3000)
    expect(batches.length).toBeGreaterThan(2)
    expect(flatten(batches, on.catalog)['s']!.every(([, time, { t }]) => t === `${time / 1e6}${text}`)).toBe(true)
  })

  test('own their arrays', () => {
    const on = subject('wasm')
    const body = (value: number): Uint8Array => encode(`{"series":"a","ts":1,"value":${value}}\n`.repeat(4))
    const [kept] = new NdjsonReader(on.writer).push(body(1))
    new NdjsonReader(on.writer).push(body(2))
    expect([...kept!.metrics[0]!.fields[0]!.values]).toEqual([1, 1, 1, 1])
    expect(kept!.metrics[0]!.fields[0]!.valid).toBeUndefined()
  })

  test('of readers that take turns are their own', () => {
    const on = subject('wasm')
    const line = (metric: string, i: number): string => `{"series":"${metric}","ts":${i},"value":${i}}\n`
    const readers = ['a', 'b'].map(metric => ({ metric, reader: new NdjsonReader(on.writer, { precision: 'us' }) }))
    const objects = new ObjectReader(on.writer, { precision: 'us' })
    const batches: Record<string, RowBatch[]> = { a: [], b: [], c: [] }
    for (let turn = 0; turn < 20; turn++) {
      for (const { metric, reader } of readers)
        for (let i = 0; i < 3; i++) reader.take(encode(line(metric, turn * 3 + i)))
      batches['c']!.push(...objects.push([{ series: 'c', ts: turn, value: turn }]))
      if (turn % 4 === 3) for (const { metric, reader } of readers) batches[metric]!.push(...reader.collect())
    }
    for (const { reader } of readers) expect(reader.end(true)).toEqual([])
    for (const metric of ['a', 'b', 'c']) {
      const rows = flatten(batches[metric]!, on.catalog)
      expect(Object.keys(rows)).toEqual([metric])
      expect(rows[metric]!.map(([, time]) => time)).toEqual([...Array(metric === 'c' ? 20 : 60).keys()])
    }
  })

  test('that were recycled leave nothing in those that follow', () => {
    const on = subject('wasm')
    const full = `{"series":"a","ts":1,"fields":{"x":7,"s":"seven","up":true}}\n`.repeat(9)
    const sparse =
      `{"series":"a","ts":2,"fields":{"x":1}}\n{"series":"a","ts":3,"fields":{"s":"one","up":false}}\n`.repeat(4)
    const read = (body: string): RowBatch => new NdjsonReader(on.writer, { precision: 'us' }).push(encode(body))[0]!
    const first = read(full)
    on.writer.recycle(first)
    on.writer.recycle(first)
    const [second, third] = [read(sparse), read(full)]
    const buffer = ({ metrics }: RowBatch): ArrayBufferLike => metrics[0]!.timeUs.buffer
    expect(buffer(second)).toBe(buffer(first))
    expect(buffer(third)).not.toBe(buffer(second))
    for (const { values, valid } of second.metrics[0]!.fields) {
      expect(valid).toBeDefined()
      for (const [i, value] of values.entries()) if (valid![i] === 0) expect(value).toBe(0)
    }
    const rows = flatten([second], on.catalog)['a']!
    expect(rows.map(([, time, fields]) => [time, fields])).toEqual(
      Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? [2, { x: 1 }] : [3, { s: 'one', up: false }])),
    )
  })
})

describe('rows as objects', () => {
  test('take Dates, bigints, special numbers', () => {
    const on = subject('wasm')
    const reader = new ObjectReader(on.writer)
    const batches = reader.push([
      { series: 'a', ts: new Date(1700000000123), value: Number.NaN },
      { series: 'a', ts: 1700000000123456789n, value: Number.POSITIVE_INFINITY, tags: { host: 'x', none: undefined } },
      { series: 'a', ts: '2024-03-01', fields: { note: 'n', up: false, missing: undefined } },
      { series: 'a', ts: Number.NaN, value: 1 },
      { series: 'a', ts: new Date(Number.NaN), value: 1 },
      { series: 'a', value: 1n },
      null,
    ])
    expect(flatten(batches, on.catalog)['a']).toEqual([
      ['a[]', 1700000000123000, { value: Number.NaN }],
      ['a[["host","x"]]', 1700000000123456, { value: Number.POSITIVE_INFINITY }],
      ['a[]', 1709251200000000, { note: 'n', up: false }],
    ])
    expect(reader.errors.map(({ line, code }) => [line, code])).toEqual([
      [4, 'invalid_timestamp'],
      [5, 'invalid_timestamp'],
      [6, 'invalid_row'],
      [7, 'invalid_row'],
    ])
    expect(reader).toMatchObject({ lines: 7, accepted: 3, rejected: 4 })
  })

  test('keep the digits of large integers when given as text', () => {
    const on = subject('wasm')
    const reader = new ObjectReader(on.writer)
    const batches = reader.pushText([
      '{"series":"a","ts":1700000000123456999,"value":1}',
      '{"series":"a","value":9007199254740993}',
    ])
    expect(flatten(batches, on.catalog)['a']![0]![1]).toBe(1700000000123456)
    expect(reader.errors[0]!.code).toBe('integer_out_of_range')
  })

  test('tags that look alike when joined are different series', () => {
    const on = subject('wasm')
    const batches = new ObjectReader(on.writer).push([
      { series: 'a', ts: 1, value: 1, tags: { x: '1', y: '2' } },
      { series: 'a', ts: 1, value: 1, tags: { x: '11:y1:2' } },
      { series: '1:a', ts: 1, value: 1 },
      { series: 'a', ts: 1, value: 1, tags: { y: '2', x: '1' } },
    ])
    const series = Object.values(flatten(batches, on.catalog))
      .flat()
      .map(([name]) => name)
    expect(new Set(series).size).toBe(3)
  })

  test('a getter that throws takes nothing of the call', () => {
    const on = subject('wasm')
    const broken = {
      series: 'a',
      get value(): number {
        throw new TypeError('no value')
      },
    }
    expect(() => new ObjectReader(on.writer).push([{ series: 'a', ts: 1, value: 1 }, broken])).toThrow(TypeError)
    expect(total(new ObjectReader(on.writer).push([{ series: 'a', ts: 2, value: 2 }]))).toBe(1)
  })

  test('abort stops at the first bad row', () => {
    const on = subject('wasm')
    const reader = new ObjectReader(on.writer, { onError: 'abort' })
    expect(total(reader.push([{ series: 'a', value: 1 }, {}, { series: 'a', value: 1 }]))).toBe(1)
    expect(reader.stopped?.code).toBe('invalid_row')
    expect(reader.push([{ series: 'a', value: 1 }])).toEqual([])
  })
})

const total = (batches: readonly RowBatch[]): number => batches.reduce((sum, { rowCount }) => sum + rowCount, 0)
