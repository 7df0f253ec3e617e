/** Live queries over WebSockets: the same events as messages, and what only a WebSocket has. */
import { describe, expect, test } from 'vitest'
import { SydraError } from '../../../src/lib/errors.ts'
import { delta, snapshot } from './fake-live.ts'
import { openRequest, rawExchange, start, until } from './harness.ts'
import { upgrade, webSocket } from './live-clients.ts'

const second = 1_000_000
const path = '/api/v1/live?q=select+1'

async function live(settings: Parameters<typeof start>[0] = {}) {
  const started = await start(settings)
  const { lives } = started.fake
  return {
    ...started,
    lives,
    reader: () => lives.readers.at(-1)!,
    follow: (more = '', headers: Record<string, string> = {}) =>
      webSocket(started.server.address + path + more, headers),
    upgrade: (more = '', headers: Record<string, string> = {}) => upgrade(started.port, path + more, headers),
    metric: async (name: string) => {
      const text = await (await started.call('/metrics')).text()
      return Number(new RegExp(`^${name.replaceAll(/[{}]/g, '\\$&')} (.*)$`, 'm').exec(text)?.[1])
    },
  }
}

describe('messages', () => {
  test('are the events, with ids that stand until the next', async () => {
    const { lives, follow, reader } = await live()
    lives.begin = made => made.tell(snapshot(7, [[1.5 * second, 'a', Number.NaN]]))
    const { wait, closed } = await follow('&epoch=s&params=[1]&last_event_id=a.1.0')
    expect(reader()).toMatchObject({ params: [1], options: { resumeFrom: 'a.1.0', rows: 'arrays' } })
    await wait(2)
    reader().tell(
      delta(8, [[2 * second, 'b"', 1]]),
      { kind: 'progress', id: 'a.9.0', lsn: 9, watermarkUs: 2 * second },
      { kind: 'lagged', lsn: 9, reason: 'restored' },
      new SydraError('memory_limit', 'too much'),
    )
    expect(await closed).toEqual({ code: 1011, reason: 'memory_limit' })
    expect(await wait(6)).toMatchObject([
      { event: 'snapshot', id: null, data: { lsn: 7, rows: [[1.5, 'a', 'NaN']] } },
      { event: 'snapshot_end', id: 'a.7.0', data: { lsn: 7, rows: 1 } },
      { event: 'delta', id: 'a.8.0', data: { lsn: 8, added: [[2, 'b"', 1]], changed: [], removed: [] } },
      { event: 'progress', id: 'a.9.0', data: { lsn: 9, watermark: 2 } },
      { event: 'lagged', id: undefined, data: { lsn: 9, reason: 'restored' } },
      { event: 'error', id: undefined, data: { code: 'memory_limit', message: 'too much' } },
    ])
    expect(lives.open).toBe(0)
  })

  test('that are long arrive whole', async () => {
    const { lives, follow } = await live()
    const rows = Array.from({ length: 20_000 }, (_, i) => [i * second, `host-é😀-${i}`, i / 3] as const)
    lives.begin = made => made.tell(snapshot(3, rows), delta(4, rows), 'end')
    const { closed, events } = await follow('&epoch=us')
    expect(await closed).toEqual({ code: 1000, reason: '' })
    expect(events.at(-1)!.data['added']).toEqual(rows)
    expect(events.slice(0, -2).flatMap(({ data }) => data['rows'])).toEqual(rows)
    expect(events.slice(1, -2).every(({ event, id }) => event === 'rows' && id === undefined)).toBe(true)
  })

  test('of the client are not listened to, and not kept', async () => {
    const { follow, reader, lives } = await live()
    const { raw, wait, closed } = await follow()
    for (let i = 0; i < 1000; i++) raw.send('ping')
    reader().tell(delta(2, [[0, 'a', 1]]))
    await wait(3)
    raw.send('x'.repeat(5000))
    expect((await closed).code).toBe(1009)
    await until(() => lives.open === 0)
  })
})

describe('connections', () => {
  test('what is wrong before the first event is the response', async () => {
    const { upgrade, lives } = await live({ live: { perClientMax: 1 } })
    const code = async (more: string) => {
      const { status, text } = await upgrade(more)
      return [status, (JSON.parse(text) as { error: { code: string } }).error.code]
    }
    expect(await code('&parms=1')).toEqual([400, 'bad_request'])
    lives.begin = made => made.tell(new SydraError('unknown_metric', 'there is no metric'))
    expect(await code('')).toEqual([404, 'unknown_metric'])
    lives.begin = made => made.tell(snapshot(1))
    expect(await upgrade()).toMatchObject({ status: 101 })
    expect(await code('')).toEqual([429, 'too_many_subscriptions'])
  })

  test('one that goes away frees its subscription at once, politely or not', async () => {
    const { follow, upgrade, lives, metric } = await live({ live: { heartbeatMs: '30s' } })
    const { wait, close } = await follow()
    await wait(2)
    const { socket } = await upgrade()
    await until(() => lives.open === 2)
    expect(await metric('sydradb_live_connections{transport="websocket"}')).toBe(2)
    close()
    await until(() => lives.open === 1)
    socket!.resetAndDestroy()
    await until(() => lives.open === 0)
    expect(await metric('sydradb_live_connections{transport="websocket"}')).toBe(0)
  })

  test('a handshake that fails leaves nothing', async () => {
    const { upgrade, lives } = await live()
    expect((await upgrade('', { 'sec-websocket-key': 'short' })).status).toBe(400)
    expect(lives.readers).toHaveLength(1)
    await until(() => lives.open === 0)
  })

  test('one that answers pings stays; one that does not is cut', async () => {
    const { follow, upgrade, lives, reader, metric } = await live({ live: { heartbeatMs: 100, clientStallMs: 300 } })
    const { wait } = await follow()
    const answering = reader()
    const { socket } = await upgrade()
    socket!.resume()
    const closed = new Promise(resolve => socket!.once('close', resolve))
    await closed
    await until(() => lives.open === 1)
    expect(await metric('sydradb_live_connections_cut_total{transport="websocket",reason="silent"}')).toBe(1)
    await new Promise(resolve => setTimeout(resolve, 500))
    answering.tell(delta(2, [[0, 'a', 1]]))
    expect((await wait(3)).at(-1)).toMatchObject({ event: 'delta' })
  })

  test('one that takes nothing is cut', async () => {
    const { upgrade, lives, metric } = await live({ live: { clientStallMs: 300 } })
    const rows = Array.from({ length: 100_000 }, (_, i) => [i, 'x'.repeat(100), i] as const)
    lives.begin = made => made.tell(snapshot(1, rows))
    const { socket } = await upgrade()
    socket!.pause()
    await until(() => lives.open === 0)
    expect(await metric('sydradb_live_connections_cut_total{transport="websocket",reason="stalled"}')).toBe(1)
  })

  test('are told when the server closes, and cut when they do not let go', async () => {
    const { server, follow, upgrade, lives } = await live()
    const { closed, events } = await follow()
    const { socket } = await upgrade()
    const cut = new Promise(resolve => socket!.once('close', resolve))
    socket!.resume()
    await until(() => lives.open === 2)
    const serverClosed = server.close()
    expect(await closed).toEqual({ code: 1012, reason: 'shutting_down' })
    expect(events.at(-1)).toMatchObject({ event: 'error', data: { code: 'shutting_down' } })
    expect(lives.open).toBe(0)
    await cut
    await serverClosed
  })
})

describe('who may', () => {
  test('with a token, who has it, from wherever', async () => {
    const { upgrade } = await live({ authToken: 'right' })
    const status = async (more: string, headers: Record<string, string> = {}) => (await upgrade(more, headers)).status
    const evil = { origin: 'https://evil.example' }
    expect(await status('')).toBe(401)
    expect(await status('&access_token=wrong')).toBe(401)
    expect(await status('', { authorization: 'Bearer right' })).toBe(101)
    expect(await status('&access_token=right', evil)).toBe(101)
    expect(await status('', evil)).toBe(401)
  })

  test('without one, no page of another origin', async () => {
    const { upgrade, lives, port } = await live()
    const status = async (origin: string) => (await upgrade('', { origin })).status
    expect(await status(`http://127.0.0.1:${port}`)).toBe(101)
    for (const origin of ['http://127.0.0.1', 'https://evil.example', 'null', 'file://', '']) {
      expect([origin, await status(origin)]).toEqual([origin, 401])
    }
    expect(lives.readers).toHaveLength(1)
  })
})

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

// older ones refuse them
describe.runIf(major > 24 || minor >= 9)('other upgrades', () => {
  test('are not taken: the request is answered as it is', async () => {
    const { port, fake } = await live()
    const h2c = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAARAAAAAAAIAAAAA' }
    const { outgoing, answered } = openRequest(port, '/api/v1/ingest', h2c)
    outgoing.end('{"series":"a","value":1}\n')
    expect(await answered).toEqual({ status: 200, text: '{"ingested":1}' })
    expect(fake.rows).toHaveLength(1)
    const head = 'GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n\r\n'
    expect(await rawExchange(port, head, 'wait')).toMatch(/^HTTP\/1.1 200 OK.*"ok"/s)
  })
})
