/**
 * Every bad input over HTTP on a real engine: each gets its documented error, and what was good before it is stored —
 * which a query says, not the answer alone.
 */
import { connect } from 'node:net'
import { brotliCompressSync, constants, createGzip, gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import { open, type SettingsInput, type Value } from '../../src/index.ts'
import { parseSettings } from '../../src/lib/settings.ts'
import { createHttpServer } from '../../src/surfaces/http/server.ts'

interface Answer {
  readonly ingested?: number
  readonly rejected?: number
  readonly errors?: readonly { readonly line: number; readonly code: string; readonly message: string }[]
  readonly error?: {
    readonly code: string
    readonly message: string
    readonly hint?: string
    readonly position?: object
  }
  readonly rows?: readonly unknown[]
}

async function server(input: SettingsInput = {}) {
  const settings = parseSettings({ dataDir: ':memory:', httpPort: 0, ...input })
  const db = await open(settings)
  const http = await createHttpServer(db, settings)
  onTestFinished(async () => {
    await http.close()
    await db.close()
  })
  const call = async (path: string, init: RequestInit & { duplex?: 'half' } = {}) => {
    const response = await fetch(http.address + path, init)
    const text = await response.text()
    return { status: response.status, json: (text === '' ? {} : JSON.parse(text)) as Answer, headers: response.headers }
  }
  const ingest = (body: string | Uint8Array, headers: Record<string, string> = {}, query = '') =>
    call(`/api/v1/ingest${query}`, { method: 'POST', body: body as BodyInit, headers })
  const ask = (body: string | object, headers: Record<string, string> = {}) =>
    call('/api/v1/sydraql', {
      method: 'POST',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers: { 'content-type': typeof body === 'string' ? 'text/plain' : 'application/json', ...headers },
    })
  const values = async (): Promise<unknown[]> =>
    (await db.query<{ value: Value }>('select value from good order by value').all()).rows.map(({ value }) => value)
  return { db, call, ingest, ask, values, port: Number(new URL(http.address).port) }
}

const good = (value: number): string => `{"series":"good","value":${value}}\n`
const json = { 'content-type': 'application/json' }

describe('rows', () => {
  const tags = (count: number): string =>
    JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 'v'])))
  const nested = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
  const bad: readonly (readonly [name: string, line: string, code: string])[] = [
    ['broken JSON', '{"series":"good","value":1', 'invalid_json'],
    ['not JSON at all', 'GET / HTTP/1.1', 'invalid_json'],
    ['two values', '{"series":"good","value":1} {}', 'invalid_json'],
    ['a number', '5', 'invalid_row'],
    ['an array', '[{"series":"good","value":1}]', 'invalid_row'],
    ['null', 'null', 'invalid_row'],
    ['no series', '{"value":1}', 'invalid_row'],
    ['an empty series', '{"series":"","value":1}', 'invalid_row'],
    ['a series that is no text', '{"series":5,"value":1}', 'invalid_row'],
    ['an unknown key', '{"series":"good","value":1,"tag":{}}', 'invalid_row'],
    ['no field', '{"series":"good"}', 'invalid_row'],
    ['null fields only', '{"series":"good","value":null,"fields":{"a":null}}', 'invalid_row'],
    ['fields that are a list', '{"series":"good","fields":[1]}', 'invalid_row'],
    ['a field that is an object', '{"series":"good","fields":{"a":{}}}', 'invalid_row'],
    ['a tag that is a number', '{"series":"good","value":1,"tags":{"a":1}}', 'invalid_row'],
    ['text into a number', '{"series":"good","value":"high"}', 'type_mismatch'],
    ['a boolean into a number', '{"series":"good","value":true}', 'type_mismatch'],
    ['a time that is none', '{"series":"good","value":1,"ts":"yesterday"}', 'invalid_timestamp'],
    ['a day that is none', '{"series":"good","value":1,"ts":"2024-02-30T00:00:00Z"}', 'invalid_timestamp'],
    ['a fraction as time', '{"series":"good","value":1,"ts":1.5}', 'invalid_timestamp'],
    ['a time beyond all', '{"series":"good","value":1,"ts":99999999999999999999999}', 'invalid_timestamp'],
    [
      '100,000 tags',
      `{"series":"good","value":1,"tags":${tags(100_000)
        .slice(0, 1_000_000 - 1)
        .replace(/,[^,]*$/, '}')}}`,
      'too_many_tags',
    ],
    ['65 tags', `{"series":"good","value":1,"tags":${tags(65)}}`, 'too_many_tags'],
    ['more than a double holds', '{"series":"good","value":1e400}', 'invalid_row'],
    ['an integer beyond 2^53', '{"series":"good","value":9007199254740993}', 'integer_out_of_range'],
    ['deep nesting', `{"series":"good","value":${nested(50_000)}}`, 'invalid_row'],
    ['deep nesting of lists', '['.repeat(100_000), 'invalid_json'],
  ]

  test('each bad line is told by number and code; the lines around it are stored', async () => {
    const { ingest, values } = await server()
    const body = bad.map(([, line], index) => `${good(index)}${line}\n`).join('') + good(1000)
    const { status, json } = await ingest(body)
    expect(status).toBe(400)
    expect(json).toMatchObject({ ingested: bad.length + 1, rejected: bad.length })
    const told = new Map(json.errors?.map(({ line, code }) => [line, code]))
    expect(bad.map(([name], index) => [name, told.get(2 * index + 2)])).toEqual(
      bad.map(([name, , code]) => [name, code]),
    )
    expect(await values()).toEqual([...bad.map((_, index) => index), 1000])
    for (const { message } of json.errors ?? []) expect(message.length).toBeLessThan(500)
  })

  test('the same rows, one JSON body each', async () => {
    const { ingest, values } = await server()
    await ingest(good(0))
    for (const [name, line, code] of bad) {
      const { status, json: answer } = await ingest(line, json)
      const seen = answer.error?.code ?? answer.errors?.[0]?.code
      if (name === 'an array') expect(answer).toEqual({ ingested: 1 })
      else if (name === 'broken JSON') expect(seen).toBe('truncated_body')
      else if (name.startsWith('deep nesting')) expect(seen).toBe('invalid_json')
      else expect({ name, seen }).toEqual({ name, seen: code })
      expect(status).toBe(name === 'an array' ? 200 : 400)
    }
    expect(await values()).toEqual([0, 1])
  })

  test('tiny and huge numbers that a double holds are stored', async () => {
    const { ingest, ask } = await server()
    const { json } = await ingest(
      ['1e-400', '5e-324', '1.7976931348623157e308', '-0'].map(text => `{"series":"n","value":${text}}\n`).join(''),
    )
    expect(json).toEqual({ ingested: 4 })
    expect((await ask('select value from n')).json.rows).toEqual([[0], [5e-324], [Number.MAX_VALUE], [-0]])
  })

  test('invalid UTF-8, in a line and in a JSON body', async () => {
    const { ingest, values } = await server()
    const torn = Buffer.concat([
      Buffer.from(good(1)),
      Buffer.from('{"series":"g\xff","value":1}\n', 'latin1'),
      Buffer.from(good(2)),
    ])
    expect((await ingest(torn)).json).toMatchObject({
      ingested: 2,
      rejected: 1,
      errors: [{ line: 2, code: 'invalid_utf8' }],
    })
    const { status, json: answer } = await ingest(Buffer.from('[{"series":"g\xff","value":1}]', 'latin1'), json)
    expect({ status, code: answer.error?.code }).toEqual({ status: 400, code: 'invalid_utf8' })
    expect(await values()).toEqual([1, 2])
  })

  test('a line of 2 MiB ends the body with 413; the lines before it are stored and counted', async () => {
    const { ingest, values } = await server()
    const long = `{"series":"good","value":1,"tags":{"a":"${'x'.repeat(2 << 20)}"}}\n`
    for (const body of [good(1) + good(2) + long + good(3), good(1) + good(2) + long.slice(0, -1)]) {
      const { status, json } = await ingest(body)
      expect(status).toBe(413)
      expect(json).toMatchObject({ ingested: 2, rejected: 1, error: { code: 'line_too_long' }, errors: [{ line: 3 }] })
    }
    expect(await values()).toEqual([1, 1, 2, 2])
  })

  test('on_error=abort stops there', async () => {
    const { ingest, values } = await server()
    const { status, json } = await ingest(`${good(1)}nope\n${good(2)}`, {}, '?on_error=abort')
    expect({ status, ...json }).toMatchObject({ status: 400, ingested: 1, rejected: 1 })
    expect(await values()).toEqual([1])
  })

  test('too many series: the new are refused, the old go on', async () => {
    const { ingest, db } = await server({ maxSeries: 2 })
    const { json } = await ingest(['a', 'b', 'c', 'a'].map(name => `{"series":"${name}","value":1}\n`).join(''))
    expect(json).toMatchObject({ ingested: 3, rejected: 1, errors: [{ line: 3, code: 'too_many_series' }] })
    expect(db.stats().series).toBe(2)
  })
})

describe('bodies', () => {
  /** Sends raw bytes, then half-closes or breaks off; resolves with what came back. */
  const raw = (port: number, head: string, body: string | Uint8Array, how: 'end' | 'destroy'): Promise<string> =>
    new Promise(resolve => {
      let text = ''
      const socket = connect(port, '127.0.0.1', () => {
        socket.write(`POST /api/v1/ingest HTTP/1.1\r\nHost: x\r\n${head}\r\n\r\n`)
        socket.write(body, () => {
          if (how === 'end') socket.end()
          else setTimeout(() => socket.destroy(), 100)
        })
      })
      socket.on('data', chunk => {
        text += chunk
      })
      socket.on('error', () => {}).on('close', () => resolve(text))
    })

  test('cut off half way: complete lines are stored, the torn one is not', async () => {
    const { values, port } = await server()
    const body = good(1) + good(2) + good(3).slice(0, -8)
    await raw(port, 'Content-Length: 1000', body, 'destroy')
    await expect.poll(values, { timeout: 5000 }).toEqual([1, 2])
    const answer = await raw(port, 'Content-Length: 1000', body, 'end')
    expect(answer).toMatch(/^HTTP\/1\.1 400 [\s\S]*"truncated_body"/)
    await raw(
      port,
      'Transfer-Encoding: chunked',
      `${good(4).length.toString(16)}\r\n${good(4)}\r\n7\r\n{"ser`,
      'destroy',
    )
    await expect.poll(values, { timeout: 5000 }).toEqual([1, 1, 2, 2, 4])
  })

  test('encodings: unknown 415, damaged and cut off 400, what came before is stored', async () => {
    const { ingest, values } = await server()
    for (const encoding of ['deflate', 'gzip, br', 'nonsense']) {
      const { status, json, headers } = await ingest(good(0), { 'content-encoding': encoding })
      expect({ status, code: json.error?.code }).toEqual({ status: 415, code: 'unsupported_encoding' })
      expect(headers.get('accept-encoding')).toContain('gzip')
    }
    expect((await ingest(good(0), { 'content-type': 'text/html' })).status).toBe(415)
    // rows that do not compress, so that half of the bytes hold about half of the rows
    const rows = Array.from({ length: 20_000 }, (_, i) => good(Math.sin(i))).join('')
    for (const [encoding, packed] of [
      ['gzip', gzipSync(rows)],
      ['br', brotliCompressSync(rows, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } })],
      ['zstd', zstdCompressSync(rows)],
    ] as const) {
      const before = await values().catch(() => [])
      const cut = await ingest(packed.subarray(0, packed.length / 2), { 'content-encoding': encoding })
      expect({ encoding, status: cut.status, code: cut.json.error?.code }).toEqual({
        encoding,
        status: 400,
        code: 'truncated_body',
      })
      expect(cut.json.ingested).toBeGreaterThan(0)
      expect((await values()).length - before.length).toBe(cut.json.ingested)
      const not = await ingest(good(1), { 'content-encoding': encoding })
      expect({ encoding, status: not.status, code: not.json.error?.code }).toEqual({
        encoding,
        status: 400,
        code: 'truncated_body',
      })
    }
    expect((await ingest(gzipSync(good(7)), { 'content-encoding': 'gzip' })).json).toEqual({ ingested: 1 })
  })

  test('zip bombs end early and in bounded memory', async () => {
    const { call, values, db } = await server()
    const bomb = (prefix: string, fill: number) => {
      const gzip = createGzip({ level: 1 })
      const block = Buffer.alloc(1 << 20, fill)
      gzip.setMaxListeners(0).write(prefix)
      void (async () => {
        for (let i = 0; i < 1024 && !gzip.destroyed; i++) {
          if (!gzip.write(block)) await new Promise(resolve => gzip.once('drain', resolve).once('close', resolve))
        }
        gzip.end()
      })()
      gzip.on('error', () => {})
      return gzip
    }
    const before = process.memoryUsage.rss()
    for (const [fill, format] of [
      [0, 'application/x-ndjson'],
      [120, 'application/x-ndjson'],
      [32, 'application/json'],
      [120, 'application/json'],
    ] as const) {
      const opening = format === 'application/json' ? '[{"series":"good","value":1},{"series":"' : good(1)
      const body = bomb(opening, fill)
      const { status, json } = await call('/api/v1/ingest', {
        method: 'POST',
        body: body as unknown as BodyInit,
        headers: { 'content-type': format, 'content-encoding': 'gzip' },
        duplex: 'half',
      })
      body.destroy()
      expect({ fill, format, status, code: json.error?.code }).toEqual({
        fill,
        format,
        status: 413,
        code: 'line_too_long',
      })
      expect(json.ingested).toBe(1)
    }
    expect(process.memoryUsage.rss() - before).toBeLessThan(300 << 20)
    expect(await values()).toEqual([1, 1, 1, 1])
    expect(db.stats().ingest.inFlightBytes).toBe(0)
  })

  test('JSON bodies: what was complete before the damage is stored', async () => {
    const { ingest, values } = await server()
    const rows = (count: number) => Array.from({ length: count }, (_, i) => good(i).trim()).join(',')
    const wrong: readonly (readonly [body: string, code: string])[] = [
      [`[${rows(500)}`, 'truncated_body'],
      [`[${rows(500)},`, 'truncated_body'],
      [`[${rows(500)}]]`, 'invalid_json'],
      [`[${rows(500)} 5 6]`, 'invalid_json'],
      ['', 'invalid_json'],
    ]
    for (const [body, code] of wrong) {
      const before = await values().catch(() => [])
      const { status, json: answer } = await ingest(body, json)
      expect({ end: body.slice(-3), status, code: answer.error?.code }).toEqual({
        end: body.slice(-3),
        status: 400,
        code,
      })
      expect((await values()).length - before.length).toBe(answer.ingested)
      if (code === 'truncated_body') expect(answer.ingested).toBe(500)
    }
  })
})

describe('requests', () => {
  test('unknown routes, parameters and wrong values are told with a hint', async () => {
    const { call, ingest, db } = await server()
    await ingest(good(1))
    const wrong: readonly (readonly [
      path: string,
      init: RequestInit,
      status: number,
      code: string,
      message: RegExp,
    ])[] = [
      ['/api/v2/ingest', { method: 'POST' }, 404, 'not_found', /POST \/api\/v2\/ingest/],
      ['/api/v1/ingest', {}, 404, 'not_found', /GET/],
      ['/api/v1/ingest?precison=s', { method: 'POST', body: good(2) }, 400, 'bad_request', /precison/],
      ['/api/v1/ingest?precision=h', { method: 'POST', body: good(2) }, 400, 'bad_request', /ns/],
      ['/api/v1/sydraql?epoch=h', { method: 'POST', body: 'select 1' }, 400, 'bad_request', /epoch/],
      ['/api/v1/sydraql', { method: 'POST', body: '' }, 400, 'bad_request', /no query/],
      ['/api/v1/sydraql', { method: 'POST', body: '{"query":', headers: json }, 400, 'invalid_json', /JSON/],
      ['/api/v1/sydraql', { method: 'POST', body: '{"qery":"x"}', headers: json }, 400, 'bad_request', /query|qery/],
      [
        '/api/v1/sydraql',
        { method: 'POST', body: '{"query":"select value from good where value = ?","params":[{}]}', headers: json },
        400,
        'bad_request',
        /params/,
      ],
      [
        '/api/v1/sydraql',
        { method: 'POST', body: `{"query":"${'['.repeat(200_000)}"}`, headers: json },
        400,
        'syntax_error',
        /./,
      ],
      ['/api/v1/sydraql', { method: 'POST', body: '['.repeat(200_000), headers: json }, 400, 'invalid_json', /./],
      ['/api/v1/sydraql', { method: 'POST', body: ' '.repeat(2 << 20) }, 413, 'body_too_large', /./],
      ['/api/v1/query/find', { method: 'POST', body: '{"tags":{"a":1}}', headers: json }, 400, 'bad_request', /tags/],
      ['/api/v1/query/range?start=0', {}, 400, 'bad_request', /end/],
      ['/api/v1/query/range?start=0&end=nope&series=good', {}, 400, 'bad_request', /nope/],
      ['/api/v1/query/range?start=0&end=10&series=none', {}, 404, 'unknown_metric', /none/],
      ['/%zz', {}, 400, 'bad_request', /./],
    ]
    for (const [path, init, status, code, message] of wrong) {
      const answer = await call(path, init)
      const at = `${init.method ?? 'GET'} ${path} ${String(init.body ?? '').slice(0, 30)}`
      expect({ at, status: answer.status, code: answer.json.error?.code }).toEqual({ at, status, code })
      expect(answer.json.error?.message).toMatch(message)
    }
    expect((await call('/api/v1/ingest?precison=s', { method: 'POST', body: good(2) })).json.error?.hint).toContain(
      'precision',
    )
    expect(await db.query('select count(*) as n from good').first()).toEqual({ n: 1 })
  })

  test('queries: every kind of mistake has its code, position and status', async () => {
    const { ask, ingest, db } = await server()
    await ingest(good(1))
    const wrong: readonly (readonly [query: string | object, status: number, code: string])[] = [
      ['selec value from good', 400, 'syntax_error'],
      ['select value from good where', 400, 'syntax_error'],
      ["select 'open from good", 400, 'syntax_error'],
      ['select value from none', 404, 'unknown_metric'],
      ['select valu from good', 400, 'unknown_field'],
      ['select nope(value) from good', 400, 'unknown_function'],
      ['select abs(value, 1, 2) from good', 400, 'wrong_argument_count'],
      ["select value + 'a' from good", 400, 'type_mismatch'],
      ['select avg(avg(value)) from good', 400, 'nested_aggregate'],
      ['select value, avg(value) from good', 400, 'not_grouped'],
      ['select value from good where series =~ /(/', 400, 'invalid_regex'],
      [`select ${'('.repeat(5000)}value${')'.repeat(5000)} from good`, 400, 'query_too_complex'],
      ['select value from good where value = $1', 400, 'wrong_argument_count'],
      [{ query: 'select value from good where value = ?', params: ['x'] }, 400, 'wrong_argument'],
      [{ query: 'select value from good', timeout_ms: 0 }, 400, 'bad_request'],
      ['\u0000', 400, 'syntax_error'],
    ]
    for (const [query, status, code] of wrong) {
      const answer = await ask(query)
      const at = JSON.stringify(query).slice(0, 60)
      expect({ at, status: answer.status, code: answer.json.error?.code }).toEqual({ at, status, code })
    }
    expect((await ask('select valu from good')).json.error).toMatchObject({
      position: { line: 1, column: 8 },
      hint: 'did you mean "value"?',
    })
    expect(db.stats().queries.running).toBe(0)
    const long = await ask(`select value from good where ${Array(20_000).fill('value = 1').join(' or ')}`)
    expect(long).toMatchObject({ status: 200, json: { rows: [[1]] } })
    expect((await ask('select value from good')).json.rows).toEqual([[1]])
  })

  test('a token: without it, or with another, nothing under /api and /debug answers', async () => {
    const { call, ingest, db } = await server({ authToken: 'right' })
    for (const authorization of ['', 'Bearer wrong', 'Basic right', 'Bearer', 'Bearer right2']) {
      for (const path of ['/api/v1/sydraql', '/debug/compat/stats', '/api/none']) {
        const headers: Record<string, string> = authorization === '' ? {} : { authorization }
        const { status, json: answer } = await call(path, { method: 'POST', body: 'show metrics', headers })
        expect({ path, status, code: answer.error?.code }).toEqual({ path, status: 401, code: 'unauthorized' })
      }
      expect((await ingest(good(1), authorization === '' ? {} : { authorization })).status).toBe(401)
    }
    expect(db.stats().ingest.rows).toBe(0)
    expect((await ingest(good(1), { authorization: 'Bearer right' })).json).toEqual({ ingested: 1 })
  })

  test('past the hard limit of waiting writers: 503 with Retry-After, and nobody else is harmed', async () => {
    const { ingest, values } = await server({ ingest: { inFlightMaxBytes: '1MiB', waitingMax: 1 } })
    const body = good(1).repeat(40_000)
    const answers = await Promise.all(Array.from({ length: 12 }, () => ingest(body)))
    let stored = 0
    for (const { status, json, headers } of answers) {
      stored += json.ingested ?? 0
      if (status === 200) expect(json.ingested).toBe(40_000)
      else {
        expect({ status, code: json.error?.code }).toEqual({ status: 503, code: 'overloaded' })
        expect(headers.get('retry-after')).not.toBe(null)
      }
    }
    expect((await ingest(good(2))).status).toBe(200)
    expect((await values()).length).toBe(stored + 1)
  })
})
