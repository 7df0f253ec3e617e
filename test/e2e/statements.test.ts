/** Every kind of statement over HTTP on a real engine: what it answers, in which format, and what is refused. */
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Database, open } from '../../src/index.ts'
import { parseSettings } from '../../src/lib/settings.ts'
import { createHttpServer } from '../../src/surfaces/http/server.ts'
import { openOn } from '../database/support.ts'
import { SimulatedMachine } from '../simulated/machine.ts'

interface ErrorAnswer {
  readonly code: string
  readonly message: string
  readonly hint?: string
  readonly position?: { readonly line: number; readonly column: number }
  readonly others?: readonly ErrorAnswer[]
}
interface Answer {
  readonly columns?: readonly { readonly name: string; readonly type: string }[]
  readonly rows?: readonly (readonly unknown[])[]
  readonly stats?: object
  readonly error?: ErrorAnswer
}

const server = async (authToken = '') => serve(await open(':memory:'), authToken)

async function serve(db: Database, authToken = '') {
  const http = await createHttpServer(db, parseSettings({ httpPort: 0, authToken }))
  onTestFinished(async () => {
    await http.close()
    await db.close()
  })
  const post = (body: string | object, query = '', headers: Record<string, string> = {}) =>
    fetch(`${http.address}/api/v1/sydraql${query}`, {
      method: 'POST',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers: { 'content-type': typeof body === 'string' ? 'text/plain' : 'application/json', ...headers },
    })
  const ask = async (query: string, params: readonly unknown[] = []) => {
    const response = await post({ query, params })
    return { status: response.status, ...((await response.json()) as Answer) }
  }
  const text = async (query: string, format: string) => (await post(query, `?format=${format}`)).text()
  return { db, address: http.address, post, ask, text }
}

const t = (minute: number): string => `2024-03-01T00:0${minute}:00Z`

/** cpu on two hosts, a counter, and a weather that is measured now and then. */
async function filled() {
  const served = await server()
  const { db } = served
  for (const [host, values] of [
    ['a', [1, 2, 4]],
    ['b', [10, 20, 40]],
  ] as const) {
    await db.ingest(
      values.map((usage, minute) => ({ series: 'cpu', ts: t(minute), fields: { usage }, tags: { host } })),
    )
  }
  await db.ingest([{ series: 'weather', ts: t(0), fields: { celsius: 21 }, tags: { host: 'a' } }])
  return served
}

describe('what statements answer', () => {
  const answers: readonly (readonly [statement: string, rows: readonly unknown[], params?: readonly unknown[]])[] = [
    ["select time, usage from cpu where tag.host = 'a' limit 1", [[t(0), 1]]],
    ['select distinct tag.host from cpu', [['a'], ['b']]],
    [
      'select tag.host, usage from cpu order by time desc limit 1 per series',
      [
        ['a', 4],
        ['b', 40],
      ],
    ],
    [
      "select usage, difference(usage) from cpu where tag.host = 'b'",
      [
        [10, null],
        [20, 10],
        [40, 20],
      ],
    ],
    ['select increase(usage) from cpu', [[33]]],
    [
      'select histogram(usage, 0, 20, 2) from cpu',
      [
        [0, 3],
        [10, 1],
      ],
    ],
    ['select count(*) from /^(cpu|weather)$/', [[7]]],
    [
      'select c.usage, w.celsius from cpu c join weather w on time within 1m where c.tag.host = w.tag.host',
      [
        [1, 21],
        [2, 21],
      ],
    ],
    [
      'select max(top) from (select tag.host, max(usage) as top from cpu where tag.host = ? group by tag.host) s',
      [[4]],
      ['a'],
    ],
    ['explain select usage from cpu', expect.arrayContaining([['rules: scan-order, prune-columns']]) as never],
    ['explain analyze select usage from cpu', expect.arrayContaining([['rows: 6 out, 6 scanned']]) as never],
    ['show metrics limit 1', [['cpu', 'cpu', 2, 1]]],
    ["show functions where kind = 'window' limit 1", [expect.arrayContaining(['cumulative_sum', 'window'])]],
    ['show rollups', []],
    ["insert into new (host = 'x') values ('2024-03-01', 5), ('2024-03-02', 6)", [[2]]],
    ['insert into new (host = ?) values (?, ?)', [[1]], ['y', '2024-03-03', 7]],
    ['select value from new', [[5], [6], [7]]],
    ['delete from new where tag.host = ? and time >= ? and time < ?', [[1]], ['x', '2024-03-01', '2024-03-02']],
    ["delete from new where tag.host = 'none' and time >= '2024-03-01' and time < '2024-03-02'", [[0]]],
    ['select value from new', [[6], [7]]],
  ]

  test('one after the other', async () => {
    const { ask } = await filled()
    for (const [statement, rows, params] of answers) {
      const { error, ...answer } = await ask(statement, params)
      expect({ statement, error, ...answer }).toMatchObject({
        statement,
        error: undefined,
        status: 200,
        rows,
        stats: {},
      })
    }
  })

  test('in every format, rows or none', async () => {
    const { text } = await filled()
    const none = "select time, usage from cpu where time < '2001-01-01'"
    expect(await text(none, 'csv')).toBe('time,usage\r\n')
    expect((await text(none, 'ndjson')).split('\n').map(line => line.slice(0, 10))).toEqual([
      '{"columns"',
      '{"stats":{',
      '',
    ])
    expect(JSON.parse(await text(none, 'json'))).toMatchObject({ rows: [], stats: { rows_emitted: 0 } })
    const insert = "insert into new values ('2024-03-01', 5)"
    expect(await text(insert, 'csv')).toBe('rows\r\n1\r\n')
    expect((await text(insert, 'ndjson')).split('\n')[1]).toBe('{"rows":1}')
    expect(JSON.parse(await text(insert, 'json'))).toMatchObject({ rows: [[1]] })
  })
})

describe('what is refused', () => {
  test('all errors of a text, in their order, in any format', async () => {
    const { post } = await filled()
    for (const format of ['json', 'ndjson', 'csv']) {
      const response = await post('select usag, frob(usage)\nfrom cpu where x = 1', `?format=${format}`)
      expect([response.status, response.headers.get('content-type')]).toEqual([400, 'application/json; charset=utf-8'])
      const { error } = (await response.json()) as { error: ErrorAnswer }
      expect(error).toMatchObject({
        code: 'unknown_field',
        hint: 'did you mean "usage"?',
        position: { line: 1, column: 8 },
      })
      expect(error.others).toMatchObject([
        { code: 'unknown_function', position: { line: 1, column: 14 } },
        { code: 'unknown_field', position: { line: 2, column: 16 } },
      ])
    }
  })

  test('a write that is wrong leaves nothing', async () => {
    const { ask } = await filled()
    const wrong: readonly (readonly [statement: string, code: string, params?: readonly unknown[]])[] = [
      ["insert into cpu fields (usage) values ('2024-03-01', 1), ('2024-03-02', 'x')", 'type_mismatch'],
      ['insert into cpu fields (usage) values (?, ?)', 'wrong_argument', ['yesterday', 1]],
      ['insert into cpu fields (usage) values (?, ?)', 'wrong_argument_count', [1]],
      ["insert into cpu fields (usage) values ('2024-03-01', null)", 'invalid_row'],
      ["insert into cpu fields (usage) values ('2024-03-01', 1, 2)", 'syntax_error'],
      ['delete from cpu', 'syntax_error'],
      ["delete from cpu where time >= '2024-03-01'", 'time_range_required'],
      ["delete from cpu where usage > 1 and time >= '2024-03-01' and time < '2024-03-02'", 'wrong_argument'],
      ['delete from cpus where time >= 0 and time < 1', 'unknown_metric'],
      ["explain insert into cpu values ('2024-03-01', 1)", 'syntax_error'],
    ]
    for (const [statement, code, params] of wrong) {
      expect({ statement, ...(await ask(statement, params)) }).toMatchObject({ statement, error: { code } })
    }
    expect((await ask('select count(*) from cpu')).rows).toEqual([[6]])
  })

  test('a GET runs no statement, and says what does', async () => {
    const { address, ask } = await filled()
    for (const query of ["insert into cpu fields (usage) values ('2024-03-05', 1)", 'select usage from cpu']) {
      const response = await fetch(`${address}/api/v1/sydraql?query=${encodeURIComponent(query)}`)
      expect([response.status, await response.json()]).toEqual([
        404,
        {
          error: {
            code: 'not_found',
            message: 'there is no GET /api/v1/sydraql',
            hint: 'there is POST /api/v1/sydraql',
          },
        },
      ])
    }
    expect((await ask('select count(*) from cpu')).rows).toEqual([[6]])
  })

  test('who has no token writes nothing', async () => {
    const { post } = await server('secret')
    const insert = "insert into cpu values ('2024-03-01', 1)"
    expect((await post(insert)).status).toBe(401)
    expect((await post('select count(*) from cpu', '', { authorization: 'Bearer secret' })).status).toBe(404)
    expect((await post(insert, '', { authorization: 'Bearer secret' })).status).toBe(200)
  })

  test('a database whose disk failed takes no writes, is read, and does not say to try again', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine)
    const { post, ask } = await serve(db)
    const insert = (time: string) => post(`insert into cpu values ('${time}', 1)`)
    expect((await insert('2024-03-01')).status).toBe(200)
    machine.disk.fail({ call: 'dataSync', path: path => path.includes('wal') })
    expect((await insert('2024-03-02')).status).toBe(500)
    const refused = await insert('2024-03-03')
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, null])
    expect(await refused.json()).toMatchObject({ error: { code: 'read_only', hint: expect.any(String) } })
    expect((await ask('select count(*) from cpu')).rows).toEqual([[1]])
  })
})
