import { describe, expect, test } from 'vitest'
import { type Cell, showColumn } from '../../../src/surfaces/cli/cells.ts'
import { ResultEnding } from '../../../src/surfaces/cli/result-ending.ts'
import { sparkline } from '../../../src/surfaces/cli/sparkline.ts'
import { writeTable } from '../../../src/surfaces/cli/table.ts'
import type { TextFormat } from '../../../src/types.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

describe('sparklines', () => {
  test('steps, gaps, flat lines, averages', () => {
    expect(sparkline([1, 2, null, 8])).toBe('▁▂ █')
    expect(sparkline([5, 5, 5])).toBe('▄▄▄')
    expect(sparkline([])).toBe('')
    expect(sparkline([null, Number.NaN])).toBe('  ')
    expect(sparkline([0, 0, 8, 8, 4, 4], 3)).toBe('▁█▅')
  })
})

describe('cells', () => {
  test('floats have six digits and one number of decimals', () => {
    expect(showColumn('float', [1.23456789, 10, null, -0.5])).toEqual(['1.2346', '10.0000', '', '-0.5000'])
    expect(showColumn('float', [1, 200])).toEqual(['1', '200'])
    expect(showColumn('float', [123_456_789.25, 1.5])).toEqual(['123456789.3', '1.5'])
    expect(showColumn('float', [1e-300, 1e300, 5])).toEqual(['1e-300', '1e+300', '5'])
    expect(showColumn('float', ['NaN', '-Infinity', 1.5])).toEqual(['NaN', '-Infinity', '1.5'])
  })
  test('times are dates where all are midnight', () => {
    expect(showColumn('timestamp', ['2024-03-01T00:00:00Z', null])).toEqual(['2024-03-01', ''])
    expect(showColumn('timestamp', ['2024-03-01T00:00:00Z', '2024-03-01T12:00:00.5Z'])).toEqual([
      '2024-03-01 00:00:00Z',
      '2024-03-01 12:00:00.5Z',
    ])
    expect(showColumn('timestamp', [1_709_251_202])).toEqual(['1709251202'])
  })
  test('control characters do not reach the terminal', () => {
    expect(showColumn('string', ['a\u001b[31mb\n', '\u009b\u202e', 'ü°'])).toEqual([
      'a\\u001b[31mb\\n',
      '\\u009b\\u202e',
      'ü°',
    ])
  })
})

describe('how a result ended', () => {
  const failure = (format: TextFormat, ...chunks: string[]) => {
    const ending = new ResultEnding(format)
    for (const chunk of chunks) ending.push(bytes(chunk))
    return ending.failure()?.code
  }
  const error = '{"error":{"code":"query_timeout","message":"x ],\\"stats\\":{ y"}}'
  test('json', () => {
    expect(failure('json', '{"columns":[],"rows":[["],\\"error\\":{"]', '],"sta', 'ts":{"operators":[]}}')).toBe(
      undefined,
    )
    expect(failure('json', '{"columns":[],"rows":[[1]],', error.slice(1))).toBe('query_timeout')
    expect(failure('json', '{"columns":[],"rows":[[1],')).toBe('truncated_body')
    expect(failure('json', 'x'.repeat(300_000), '],', '"stats":{}}')).toBe(undefined)
  })
  test('ndjson', () => {
    expect(failure('ndjson', '{"columns":[]}\n', '{"error":"a"}\n{"stats":{}}\n')).toBe(undefined)
    expect(failure('ndjson', '{"columns":[]}\n{"a":1}\n', `${error}\n`)).toBe('query_timeout')
    expect(failure('ndjson', '{"columns":[]}\n{"error":"a"}\n')).toBe('truncated_body')
  })
  test('csv', () => {
    expect(failure('csv', 'a\r\n# error nonsense is data\r\n')).toBe(undefined)
    expect(failure('csv', 'a\r\n1\r\n# error memory_limit too much\r\n')).toBe('memory_limit')
  })
})

describe('tables', () => {
  const table = async (...result: object[]) => {
    let text = ''
    const chunks = (async function* () {
      for (const line of result) yield bytes(`${JSON.stringify(line)}\n`)
    })()
    await writeTable(chunks, async more => void (text += more), false)
    return text
  }
  const columns = (...types: string[]) => ({ columns: types.map((type, index) => ({ name: `c${index}`, type })) })
  const rows = (count: number, ...cells: ((row: number) => Cell)[]) =>
    Array.from({ length: count }, (_, row) => Object.fromEntries(cells.map((cell, i) => [`c${i}`, cell(row)])))

  test('a rising first column has no sparkline, a rising value has', async () => {
    const text = await table(
      columns('integer', 'float'),
      ...rows(
        3,
        row => row,
        row => row * 2,
      ),
      { stats: {} },
    )
    expect(text.split('\n').at(-3)).toBe('│    │ ▁▅█ │')
  })
  test('long results come in pages without sparklines', async () => {
    const text = await table(columns('integer'), ...rows(2500, row => row % 7), { stats: {} })
    expect(text.match(/c0/g)).toHaveLength(3)
    expect(text).not.toMatch(/[▁▂▃▄▅▆▇█]/)
  })
  test('an error after rows is thrown after them, and so is a missing ending', async () => {
    let text = ''
    const write = async (more: string) => void (text += more)
    const of = async function* (...result: object[]) {
      for (const line of result) yield bytes(`${JSON.stringify(line)}\n`)
    }
    const error = { code: 'query_timeout', message: 'too long' }
    await expect(writeTable(of(columns('integer'), { c0: 5 }, { error }), write, false)).rejects.toMatchObject(error)
    expect(text).toContain('5')
    const cut = { code: 'truncated_body' }
    await expect(writeTable(of(columns('integer'), { c0: 5 }), write, false)).rejects.toMatchObject(cut)
  })
})
