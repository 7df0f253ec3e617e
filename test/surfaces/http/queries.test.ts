/** Queries over real sockets: negotiation, streaming, endings, and clients that go away. */
import { describe, expect, test } from 'vitest'
import { SydraError } from '../../../src/lib/errors.ts'
import { batchOf } from './fake-database.ts'
import { openRequest, start, until } from './harness.ts'

const text = { 'content-type': 'text/plain' }
const json = { 'content-type': 'application/json' }

describe('POST /api/v1/sydraql', () => {
  test('takes plain text, and whatever curl calls it', async () => {
    const { post, fake } = await start()
    fake.batches = async function* () {
      yield batchOf([0, 1.5])
    }
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/sql']) {
      const { status, json } = await post('/api/v1/sydraql', 'select * from cpu', { 'content-type': type })
      expect([status, json]).toMatchObject([200, { rows: [['1970-01-01T00:00:00Z', 1.5]], stats: {} }])
    }
    expect(fake.queries.map(query => query.text)).toEqual(Array(3).fill('select * from cpu'))
  })

  test('takes JSON with parameters and a timeout', async () => {
    const { post, fake } = await start()
    const body = { query: 'select ?', params: [1, 'a', true, null], timeout_ms: 250 }
    await post('/api/v1/sydraql', JSON.stringify(body), json)
    expect(fake.queries[0]).toMatchObject({
      text: 'select ?',
      params: [1, 'a', true, null],
      options: { timeoutMs: 250 },
    })
  })

  test('refuses bodies that are no query', async () => {
    const { post, call, fake } = await start()
    const codes = async (body: string) => (await post('/api/v1/sydraql', body, json)).json.error
    expect(await codes('{"query": 5}')).toMatchObject({ code: 'bad_request' })
    expect(await codes('{"query":"select 1","parms":[]}')).toMatchObject({ hint: 'did you mean "params"?' })
    expect(await codes('{"query":"select 1","params":[{}]}')).toMatchObject({ code: 'bad_request' })
    expect(await codes('{"query":"select 1","timeout_ms":0}')).toMatchObject({ code: 'bad_request' })
    expect(await codes('{"query":')).toMatchObject({ code: 'invalid_json' })
    expect(await codes('null')).toMatchObject({ code: 'bad_request' })
    expect((await call('/api/v1/sydraql', { method: 'POST' })).status).toBe(400)
    expect((await post('/api/v1/sydraql', 'x'.repeat(2 << 20), text)).status).toBe(413)
    expect(fake.queries).toHaveLength(0)
  })

  test.each([
    ['', undefined, 'application/json'],
    ['', '*/*', 'application/json'],
    ['', 'text/html', 'application/json'],
    ['', 'application/x-ndjson', 'application/x-ndjson'],
    ['', 'text/csv;q=0.5, application/x-ndjson;q=0.9', 'application/x-ndjson'],
    ['?format=csv', 'application/x-ndjson', 'text/csv; charset=utf-8; header=present'],
  ])('answers %s with Accept %s as %s', async (query, accept, expected) => {
    const { call } = await start()
    const headers = { ...text, ...(accept === undefined ? {} : { accept }) }
    const response = await call(`/api/v1/sydraql${query}`, { method: 'POST', body: 'select 1', headers })
    expect(response.headers.get('content-type')).toBe(expected)
    await response.text()
  })

  test('writes times in the epoch asked for', async () => {
    const { call, fake } = await start()
    fake.batches = async function* () {
      yield batchOf([1_500_000, 1])
    }
    const response = await call('/api/v1/sydraql?epoch=s&format=csv', {
      method: 'POST',
      body: 'select 1',
      headers: text,
    })
    expect(await response.text()).toBe('ts,value\r\n1.5,1\r\n')
    expect((await call('/api/v1/sydraql?epoch=min', { method: 'POST', body: 'x', headers: text })).status).toBe(400)
    expect((await call('/api/v1/sydraql?format=arrow', { method: 'POST', body: 'x', headers: text })).status).toBe(400)
  })

  test('an error before the first batch has its status, position and hint', async () => {
    const { post, fake } = await start()
    const position = { line: 1, column: 8, offset: 7, length: 3 }
    const error = new SydraError('unknown_metric', 'no metric "cqu"', { position, hint: 'did you mean "cpu"?' })
    fake.batches = () => ({ [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }) })
    const { status, json } = await post('/api/v1/sydraql', 'select * from cqu', text)
    expect([status, json]).toEqual([
      404,
      { error: { code: 'unknown_metric', message: 'no metric "cqu"', position, hint: 'did you mean "cpu"?' } },
    ])
  })

  test('an error after it ends the envelope, and the connection is not reused', async () => {
    const { fake, port } = await start()
    fake.batches = async function* () {
      yield batchOf([0, 1])
      throw new SydraError('memory_limit', 'too much')
    }
    const { outgoing, answered } = openRequest(port, '/api/v1/sydraql', { ...text, connection: 'keep-alive' })
    const closed = new Promise(resolve => outgoing.once('socket', socket => socket.once('close', resolve)))
    outgoing.end('select 1')
    const answer = await answered
    expect(answer.status).toBe(200)
    expect(JSON.parse(answer.text)).toMatchObject({ rows: [expect.anything()], error: { code: 'memory_limit' } })
    await closed
  })

  test('the first chunk leaves with the first batch', async () => {
    const { fake, port } = await start()
    let release = () => {}
    fake.batches = async function* () {
      yield batchOf([0, 1])
      await new Promise<void>(resolve => {
        release = resolve
      })
      yield batchOf([1, 2])
    }
    const { outgoing, received, answered } = openRequest(port, '/api/v1/sydraql', text)
    outgoing.end('select 1')
    await until(() => received.join('').includes('"1970-01-01T00:00:00Z",1]'))
    release()
    expect(JSON.parse((await answered).text).rows).toHaveLength(2)
  })

  test('a client that does not read slows the query, one that goes away stops it', async () => {
    const { fake, port } = await start()
    const batch = batchOf(...Array.from({ length: 8192 }, (_, i) => [i, i / 3] as const))
    let pulled = 0
    let ended = false
    let signal: AbortSignal | undefined
    fake.batches = async function* (given) {
      signal = given
      try {
        for (; pulled < 5000; pulled++) yield batch
      } finally {
        ended = true
      }
    }
    const { outgoing } = openRequest(port, '/api/v1/sydraql', text)
    outgoing.on('response', response => response.pause())
    outgoing.on('error', () => {})
    outgoing.end('select 1')
    await until(() => pulled > 0)
    let last = -1
    while (last !== pulled) {
      last = pulled
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    expect(pulled).toBeLessThan(500)
    outgoing.destroy()
    await until(() => ended)
    expect(signal?.reason).toMatchObject({ code: 'cancelled' })
    expect(pulled).toBeLessThan(500)
  })

  test('closing the server gives queries a moment, then tells them why', async () => {
    const { fake, server, port } = await start()
    fake.batches = async function* (signal) {
      yield batchOf([0, 1])
      await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason), { once: true }))
    }
    const { outgoing, received, answered } = openRequest(port, '/api/v1/sydraql', text)
    outgoing.end('select 1')
    await until(() => received.length > 0)
    const closed = server.close()
    expect(JSON.parse((await answered).text)).toMatchObject({ error: { code: 'shutting_down' } })
    await closed
    expect(server.close()).toBe(server.close())
  })
})

describe('/api/v1/query/range', () => {
  test('is a parameterised query, names quoted', async () => {
    const { post, fake } = await start()
    fake.batches = async function* () {
      yield batchOf([1_700_000_000_000_000, 1.5], [1_700_000_001_500_000, 2])
    }
    const range = { start: 1_700_000_000, end: 1_700_003_600, series: 'we"ird', tags: { 'ho"st': "a' or 1=1" } }
    const { status, json: rows } = await post('/api/v1/query/range', JSON.stringify(range), json)
    expect([status, rows]).toEqual([
      200,
      [
        { ts: 1_700_000_000, value: 1.5 },
        { ts: 1_700_000_001.5, value: 2 },
      ],
    ])
    expect(fake.queries[0]).toMatchObject({
      text: 'select time as ts, value as value from "we""ird" where time >= $1 and time < $2 and tag."ho""st" = $3 order by time',
      params: ['2023-11-14T22:13:20.000000Z', '2023-11-14T23:13:20.000000Z', "a' or 1=1"],
    })
  })

  test('by GET, by id, downsampled, in the unit of the request', async () => {
    const { call, fake } = await start()
    fake.batches = async function* () {
      yield batchOf([1_700_000_000_123_000, 1])
    }
    const get = async (query: string) => (await call(`/api/v1/query/range?${query}`)).json() as Promise<unknown>
    expect(await get('start=0&end=1700000001000&series_id=123')).toEqual([{ ts: 1_700_000_000_123, value: 1 }])
    expect(fake.queries[0]?.text).toContain(`from by_id('123') where`)
    expect(fake.queries[0]?.params[0]).toBe('1970-01-01T00:00:00.000000Z')
    expect(await get('start=2023-01-01&end=2024-01-01T00:00:00Z&series=cpu&step=5m&fn=max')).toEqual([
      { ts: '2023-11-14T22:13:20.123Z', value: 1 },
    ])
    expect(fake.queries[1]).toMatchObject({
      text: 'select time_bucket(5m, time) as ts, max(value) as value from "cpu" where time >= $1 and time < $2 group by time_bucket(5m, time)',
      params: ['2023-01-01', '2024-01-01T00:00:00Z'],
    })
    const nanoseconds = `start=1700000000123456789&end=1700000001000000000&series=cpu&step=60000000000&field=f`
    expect(await get(`${nanoseconds}&tags=${encodeURIComponent('{"host":"a"}')}`)).toEqual([
      { ts: 1_700_000_000_123_000_000, value: 1 },
    ])
    expect(fake.queries[2]).toMatchObject({
      text: 'select time_bucket(60000000us, time) as ts, avg(field."f") as value from "cpu" where time >= $1 and time < $2 and tag."host" = $3 group by time_bucket(60000000us, time)',
      params: ['2023-11-14T22:13:20.123456Z', '2023-11-14T22:13:21.000000Z', 'a'],
    })
    expect(await get('start=1700000000&end=1700000001&series=cpu&precision=us')).toEqual([
      { ts: 1_700_000_000_123_000, value: 1 },
    ])
    expect(fake.queries[3]?.params[0]).toBe('1970-01-01T00:28:20.000000Z')
  })

  test.each([
    'end=1&series=a',
    'start=1&end=2',
    'start=1&end=2&series=a&series_id=1',
    'start=1&end=2&series_id=1&tags={}',
    'start=1&end=2&series_id=1x',
    'start=x&end=2&series=a',
    'start=1.5&end=2&series=a',
    'start=1&end=99999999999999999999&series=a&precision=s',
    'start=1&end=2&series=a&fn=avg',
    'start=1&end=2&series=a&step=5 minutes',
    'start=1&end=2&series=a&step=0',
    'start=1&end=2&series=a&step=1m&fn=avg(x)--',
    'start=1&end=2&series=a&tags=[1]',
    'start=1&end=2&serie=a',
  ])('refuses %s', async query => {
    const { call, fake } = await start()
    const response = await call(`/api/v1/query/range?${query}`)
    expect([response.status, ((await response.json()) as { error: { code: string } }).error.code]).toEqual([
      400,
      'bad_request',
    ])
    expect(fake.queries).toHaveLength(0)
  })

  test('an error after the first rows is the last element', async () => {
    const { call, fake } = await start()
    fake.batches = async function* () {
      yield batchOf([0, 1])
      throw new SydraError('query_timeout', 'too slow')
    }
    const rows = (await (await call('/api/v1/query/range?start=0&end=1&series=a')).json()) as unknown[]
    expect(rows).toMatchObject([{ ts: 0, value: 1 }, { error: { code: 'query_timeout' } }])
  })
})
