/** Catalog, health, metrics, the OpenAPI document, and who may use them. */
import { describe, expect, test } from 'vitest'
import { parseSettings } from '../../../src/lib/settings.ts'
import { createHttpServer } from '../../../src/surfaces/http/server.ts'
import type { SeriesInfo } from '../../../src/types.ts'
import { batchOf, FakeDatabase } from './fake-database.ts'
import { rawExchange, start } from './harness.ts'

const series = (id: string, metric: string, tags: Record<string, string>): SeriesInfo => ({
  id,
  metric,
  tags: Object.entries(tags),
  printed: `${metric}{…}`,
})
const json = { 'content-type': 'application/json' }

describe('catalog', () => {
  const two = [series('18446744073709551615', 'cpu', { host: 'a', dc: 'x' }), series('2', 'mem', { host: 'b' })]

  test('find', async () => {
    const { post, fake } = await start()
    fake.seriesList.push(...two)
    const find = (body: unknown, query = '') => post(`/api/v1/query/find${query}`, JSON.stringify(body), json)
    expect((await find({ tags: { host: 'a', dc: 'x' } })).json).toEqual(['18446744073709551615'])
    expect((await find({ tags: { host: 'a', dc: 'y' }, op: 'or' })).json).toEqual(['18446744073709551615'])
    expect((await find({ tags: { host: 'c' } })).json).toEqual([])
    expect((await find({ tags: { host: 'b' } }, '?detail=1')).json).toEqual([
      { series_id: '2', metric: 'mem', tags: { host: 'b' }, series: 'mem{…}' },
    ])
    for (const bad of [{}, { tags: { host: 5 } }, { tags: {}, op: 'xor' }, { tag: {} }, []])
      expect((await find(bad)).json.error?.code).toBe('bad_request')
  })

  test('series, tag values and what show gives', async () => {
    const { call, fake } = await start()
    fake.seriesList.push(...two)
    fake.batches = async function* () {
      yield batchOf([0, 1])
    }
    const get = async (path: string) => (await call(path)).json() as Promise<unknown>
    expect(await get('/api/v1/series')).toHaveLength(2)
    expect(await get('/api/v1/series?metric=mem')).toMatchObject([{ series_id: '2' }])
    expect(await get('/api/v1/tags/host/values')).toEqual(['a', 'b'])
    expect(await get('/api/v1/tags/host/values?metric=cpu')).toEqual(['a'])
    expect(await get('/api/v1/tags?metric=c%22pu')).toEqual([{ ts: '1970-01-01T00:00:00Z', value: 1 }])
    await get('/api/v1/segments')
    await get('/api/v1/functions')
    expect(fake.queries.map(query => query.text)).toEqual(['show tags from "c""pu"', 'show segments', 'show functions'])
  })

  test('many series stream', async () => {
    const { call, fake } = await start()
    for (let i = 0; i < 20_000; i++) fake.seriesList.push(series(String(i), 'cpu', { host: `h${i}` }))
    const response = await call('/api/v1/series')
    expect(response.headers.get('transfer-encoding')).toBe('chunked')
    expect(await response.json()).toHaveLength(20_000)
  })
})

describe('operation', () => {
  test('flush, health, readiness, statistics', async () => {
    const { call, fake } = await start()
    const get = async (path: string, init: RequestInit = {}) => {
      const response = await call(path, init)
      return [response.status, await response.json()] as const
    }
    expect(await get('/api/v1/flush', { method: 'POST' })).toEqual([200, { lsn: 0, segments: 0 }])
    expect(fake.flushes).toBe(1)
    expect(await get('/healthz')).toMatchObject([200, { status: 'ok' }])
    expect(await get('/readyz')).toEqual([200, { status: 'ready' }])
    expect(await get('/debug/compat/stats')).toMatchObject([
      200,
      { lsn: 0, ingest: { in_flight_bytes: 0 }, read_only: false },
    ])
    expect(await get('/debug/compat/catalog')).toMatchObject([
      200,
      { series: 0, metric_rows: [{ text: 'show metrics' }] },
    ])
    expect(await get('/debug/alloc/stats')).toMatchObject([
      200,
      {
        memory: {
          limit_bytes: 2 ** 24,
          parts: { pinned: { bytes: 0, peak_bytes: 0 } },
          chunks: { slabs_in_use: 0, classes: expect.arrayContaining([expect.objectContaining({ piece_bytes: 256 })]) },
        },
        process: { heap_used: expect.any(Number) },
      },
    ])
    fake.readOnly = true
    expect(await get('/readyz')).toMatchObject([503, { error: { code: 'read_only' } }])
  })

  test('metrics', async () => {
    const { call } = await start()
    await call('/healthz')
    await call('/nothing/here')
    const response = await call('/metrics')
    expect(response.headers.get('content-type')).toContain('text/plain')
    const exposition = await response.text()
    expect(exposition).toContain('sydradb_http_requests_total{method="GET",route="/healthz",status="200"} 1')
    expect(exposition).toContain('sydradb_http_requests_total{method="GET",route="unknown",status="404"} 1')
    expect(exposition).toContain('sydradb_flushes_total 0')
    expect(exposition).toContain('process_resident_memory_bytes')
  })

  test('the OpenAPI document names every route and the page links to it', async () => {
    const { call } = await start({ authToken: 'secret' })
    const document = (await (await call('/openapi.json')).json()) as {
      openapi: string
      paths: Record<string, Record<string, { requestBody?: { content: object }; responses: object }>>
    }
    expect(document.openapi).toMatch(/^3\.1/)
    expect(Object.keys(document.paths).sort()).toEqual([
      '/api/v1/compact',
      '/api/v1/diff',
      '/api/v1/flush',
      '/api/v1/functions',
      '/api/v1/gc',
      '/api/v1/ingest',
      '/api/v1/live',
      '/api/v1/query/find',
      '/api/v1/query/range',
      '/api/v1/restore',
      '/api/v1/segments',
      '/api/v1/series',
      '/api/v1/snapshots',
      '/api/v1/snapshots/{name}',
      '/api/v1/sydraql',
      '/api/v1/tags',
      '/api/v1/tags/{key}/values',
      '/api/v1/verify',
      '/debug/alloc/stats',
      '/debug/compat/catalog',
      '/debug/compat/stats',
      '/healthz',
      '/metrics',
      '/readyz',
    ])
    expect(Object.keys(document.paths['/api/v1/ingest']!['post']!.requestBody!.content)).toEqual([
      'application/x-ndjson',
      'application/json',
    ])
    expect(Object.keys(document.paths['/api/v1/sydraql']!['post']!.responses)).toEqual(['200', 'default'])
    const live = document.paths['/api/v1/live']!['get']!.responses as Record<string, { content?: object }>
    expect(Object.keys(live)).toEqual(['101', '200', 'default'])
    expect(Object.keys(live['200']!.content!)).toEqual(['text/event-stream'])
    const page = await call('/')
    expect(page.headers.get('content-type')).toContain('text/html')
    expect(await page.text()).toContain('/openapi.json')
  })

  test('what is not there, and what is not HTTP', async () => {
    const { call, port } = await start()
    const missing = await call('/api/v2/ingest?x=1', { method: 'POST', body: 'x' })
    expect([missing.status, await missing.json()]).toMatchObject([
      404,
      { error: { code: 'not_found', message: 'there is no POST /api/v2/ingest' } },
    ])
    const other = await call('/api/v1/ingest')
    expect([other.status, await other.json()]).toMatchObject([404, { error: { hint: 'there is POST /api/v1/ingest' } }])
    expect((await call('/healthz?verbose=1')).status).toBe(400)
    expect((await call('/%zz')).status).toBe(400)
    expect(await rawExchange(port, 'hello\r\n\r\n', 'wait')).toMatch(/^HTTP\/1.1 400 .*bad_request/s)
  })
})

describe('who may', () => {
  test('with a token, only who has it', async () => {
    const { call } = await start({ authToken: 'open sesame'.replace(' ', '-') })
    const status = async (path: string, authorization?: string, method = 'GET') =>
      (await call(path, { method, ...(authorization === undefined ? {} : { headers: { authorization } }) })).status
    for (const path of ['/api/v1/series', '/debug/compat/stats', '/api/nothing', '/%61pi/v1/series']) {
      expect(await status(path)).toBe(401)
      expect(await status(path, 'Bearer wrong')).toBe(401)
      expect(await status(path, 'Bearer ')).toBe(401)
      expect(await status(path, 'Basic open-sesame')).toBe(401)
    }
    expect(await status('/api/v1/series', 'Bearer open-sesame')).toBe(200)
    expect(await status('/api/v1/ingest', 'bearer open-sesame', 'POST')).toBe(200)
    for (const path of ['/healthz', '/metrics', '/openapi.json', '/']) expect(await status(path)).toBe(200)
    const refused = await call('/api/v1/series')
    expect(refused.headers.get('www-authenticate')).toBe('Bearer')
    expect(await refused.json()).toMatchObject({ error: { code: 'unauthorized' } })
  })

  test('beyond loopback only with a token, or when told so', async () => {
    const db = new FakeDatabase().asDatabase()
    const listen = (authToken: string, insecure: boolean) =>
      createHttpServer(db, parseSettings({ httpHost: '0.0.0.0', httpPort: 0, authToken, insecure }))
    await expect(listen('', false)).rejects.toMatchObject({ code: 'invalid_setting' })
    for (const server of [await listen('x', false), await listen('', true)]) await server.close()
  })

  test('a port that is taken is an error, not a crash', async () => {
    const { port } = await start()
    const db = new FakeDatabase().asDatabase()
    await expect(createHttpServer(db, parseSettings({ httpPort: port }))).rejects.toMatchObject({ code: 'io_error' })
  })
})
