import { describe, expect, test } from 'vitest'
import { tailStatement } from '../../../src/surfaces/cli/tail-command.ts'
import { type TailFormat, TailRows } from '../../../src/surfaces/cli/tail-rows.ts'

const columns = [
  { name: 'time', type: 'timestamp', key: true, hidden: false },
  { name: 'tag.host', type: 'string', key: false, hidden: false },
  { name: 'value', type: 'float', key: false, hidden: false },
  { name: 'series_id', type: 'string', key: true, hidden: true },
]
const second = (at: number) => `2024-03-01T00:00:0${at}Z`
const tail = (format: TailFormat) => {
  const rows = new TailRows(format)
  return (event: string, data: object) => rows.take({ event, id: '', data: JSON.stringify(data) })
}

describe('rows of a tail', () => {
  test('as lines, in columns that grow', () => {
    const take = tail('lines')
    expect(take('snapshot', { columns, rows: [[second(1), 'a', 1.5, '1']] })).toBe(
      ['time                  tag.host  value', '2024-03-01 00:00:01Z  a           1.5', ''].join('\n'),
    )
    expect(
      take('delta', { added: [[second(2), 'web\u001b-12', 1000.25, '2']], changed: [[second(1), null, 2, '1']] }),
    ).toBe(
      ['2024-03-01 00:00:02Z  web\\u001b-12  1000.25', '2024-03-01 00:00:01Z                      2', ''].join('\n'),
    )
  })

  test('as objects', () => {
    const take = tail('ndjson')
    expect(take('snapshot', { columns, rows: [] })).toBe('')
    expect(
      take('delta', { added: [[second(2), null, 'NaN', '2']], changed: [], removed: [[second(1), null, null, '1']] }),
    ).toBe(`{"time":"${second(2)}","tag.host":null,"value":"NaN"}\n`)
  })

  test('as CSV, with a new header for new columns', () => {
    const take = tail('csv')
    take('snapshot', { columns, rows: [] })
    expect(take('delta', { added: [[second(2), 'a,"b"', null, '2']] })).toBe(
      `time,tag.host,value\r\n${second(2)},"a,""b""",\r\n`,
    )
    expect(take('delta', { added: [[second(3), '', 1, '2']] })).toBe(`${second(3)},"",1\r\n`)
    take('snapshot', { columns: columns.slice(0, 1), rows: [] })
    take('snapshot_end', {})
    expect(take('delta', { added: [[second(4)]] })).toBe(`time\r\n${second(4)}\r\n`)
  })

  test('of a second snapshot only what is later', () => {
    const take = tail('csv')
    take('snapshot', { columns, rows: [[second(1), 'a', 1, '1']] })
    take('snapshot_end', {})
    take('delta', { added: [[second(3), 'a', 3, '1']] })
    expect(
      take('snapshot', {
        columns,
        rows: [
          [second(2), 'a', 2, '1'],
          [second(3), 'a', 3, '1'],
        ],
      }),
    ).toBe('')
    expect(take('rows', { rows: [[`${second(3).slice(0, -1)}.5Z`, 'a', 4, '1']] })).toBe(
      '2024-03-01T00:00:03.5Z,a,4\r\n',
    )
    take('snapshot_end', {})
    expect(take('delta', { added: [[second(2), 'late', 5, '1']] })).toBe(`${second(2)},late,5\r\n`)
  })
})

describe('what a tail asks for', () => {
  test('is the metric, and the tags', () => {
    expect(tailStatement('cpu', [])).toEqual({ text: 'select * from "cpu"', params: [] })
    expect(tailStatement('a "b"', ['host=x=y', 'rack no=', 'dc=z'])).toEqual({
      text: 'select * from "a ""b""" where tag."host" = $1 and tag."rack no" is null and tag."dc" = $2',
      params: ['x=y', 'z'],
    })
    for (const tag of ['host', '=x'])
      expect(() => tailStatement('cpu', [tag])).toThrow(expect.objectContaining({ code: 'bad_request' }))
  })
})
