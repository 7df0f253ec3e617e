/** Live queries from rows that arrive over HTTP to clients that follow them: real sockets, a real database, real clients. */
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Database, open, type SettingsInput } from '../../src/index.ts'
import { parseSettings } from '../../src/lib/settings.ts'
import { createHttpServer, type HttpServer } from '../../src/surfaces/http/server.ts'
import { until } from '../surfaces/http/harness.ts'
import { eventStream, type Received, webSocket } from '../surfaces/http/live-clients.ts'

/** A database and its server, which may be closed and opened again. */
async function host(more: SettingsInput = {}) {
  const dataDir = await mkdtemp(join(tmpdir(), 'sydradb-live-'))
  let db: Database | undefined
  let server: HttpServer | undefined
  const started = async (httpPort: number) => {
    const settings = parseSettings({ dataDir, httpPort, ...more })
    db = await open(settings)
    server = await createHttpServer(db, settings)
  }
  const stopped = async () => {
    await server?.close()
    await db?.close()
  }
  await started(0)
  onTestFinished(async () => {
    await stopped()
    await rm(dataDir, { recursive: true, force: true })
  })
  return {
    get db() {
      return db!
    },
    get address() {
      return server!.address
    },
    stopped,
    restarted: () => started(Number(new URL(server!.address).port)),
    live: (q: string, more: Record<string, string> = {}) =>
      `${server!.address}/api/v1/live?${new URLSearchParams({ q, ...more })}`,
    async ingest(rows: readonly object[]) {
      const body = rows.map(row => `${JSON.stringify(row)}\n`).join('')
      const response = await fetch(`${server!.address}/api/v1/ingest`, { method: 'POST', body })
      expect(await response.json()).toEqual({ ingested: rows.length })
    },
    async rowsOf(query: string) {
      const response = await fetch(`${server!.address}/api/v1/sydraql`, { method: 'POST', body: query })
      return ((await response.json()) as { rows: unknown[][] }).rows
    },
  }
}

const startUs = 1_767_225_600_000_000
const row = (i: number, host = `h${i % 3}`) => ({
  series: 'cpu',
  ts: startUs + i * 1_000_000,
  value: i / 4,
  tags: { host },
})
const rows = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => row(from + i))

interface Columns {
  readonly name: string
  readonly key: boolean
  readonly hidden: boolean
}

/** What a client holds that applies events by key. */
function heldBy(events: readonly Received[]): unknown[][] {
  let columns: readonly Columns[] = []
  let held = new Map<string, unknown[]>()
  const keyOf = (values: unknown[]): string => JSON.stringify(values.filter((_, index) => columns[index]!.key))
  for (const { event, data } of events) {
    const list = (name: string): unknown[][] => (data[name] ?? []) as unknown[][]
    if (event === 'snapshot') {
      columns = data['columns'] as Columns[]
      held = new Map()
    }
    for (const one of [...list('rows' in data && event !== 'snapshot_end' ? 'rows' : 'added'), ...list('changed')]) {
      held.set(keyOf(one), one)
    }
    for (const one of list('removed')) expect(held.delete(keyOf(one))).toBe(true)
  }
  const visible = (values: unknown[]): unknown[] => values.filter((_, index) => !columns[index]!.hidden)
  return [...held.values()].map(visible)
}

const sorted = (list: readonly unknown[][]): string[] => list.map(one => JSON.stringify(one)).sort()

describe('a client', () => {
  const queries = [
    'select time, tag.host, value from cpu where value >= 1',
    'select time_bucket(1m, time) as minute, tag.host, count(*) as n, max(value) as most from cpu group by minute, tag.host',
    'select time, tag.host, value from cpu order by time desc limit 1 per series',
    'select time, value from cpu order by value desc limit 5',
  ]

  test('holds the answer, whatever is written, of every kind of query', async () => {
    const { db, ingest, live, rowsOf } = await host()
    await ingest(rows(0, 100))
    const streams = await Promise.all(queries.map(query => eventStream(live(query, { history: 'all' }))))
    const sockets = await Promise.all(queries.map(query => webSocket(live(query, { history: 'all' }))))
    await ingest(rows(100, 160))
    await ingest([row(50, 'late'), { ...row(20), value: 1000 }])
    await db.flush()
    await ingest(rows(160, 165))
    await rowsOf("delete from cpu where tag.host = 'h1' and time < '2026-01-01T00:01:00Z'")
    await ingest([row(200)])
    for (const [index, query] of queries.entries()) {
      const expected = sorted(await rowsOf(query))
      for (const { events } of [streams[index]!, sockets[index]!]) {
        await until(() => JSON.stringify(sorted(heldBy(events))) === JSON.stringify(expected))
        expect(sorted(heldBy(events))).toEqual(expected)
      }
    }
  })

  test('comes back after the server was gone, and has missed nothing', async () => {
    const server = await host()
    const query = 'select time, value from cpu'
    await server.ingest(rows(0, 10))
    const first = await eventStream(server.live(query, { history: 'all' }))
    await server.ingest(rows(10, 20))
    await until(() => heldBy(first.events).length === 20)
    await server.stopped()
    await first.ended
    expect(first.events.at(-1)).toMatchObject({ event: 'error', data: { code: 'shutting_down' } })
    await server.restarted()
    await server.ingest(rows(20, 30))
    const second = await eventStream(server.live(query), { 'last-event-id': first.parser.lastEventId })
    await server.ingest(rows(30, 40))
    const all = () => [...first.events, ...second.events]
    await until(() => heldBy(all()).length === 40)
    expect(second.events.map(({ event }) => event)).not.toContain('snapshot')
    expect(sorted(heldBy(all()))).toEqual(sorted(await server.rowsOf(query)))
  })

  test('is told when the database is made what it was', async () => {
    const { db, ingest, live, rowsOf } = await host()
    const query = queries[1]!
    await ingest(rows(0, 10))
    await db.snapshot('monday')
    await ingest(rows(10, 20))
    const { events, wait } = await eventStream(live(query))
    await wait(2)
    await db.restore('monday')
    await until(() => events.filter(({ event }) => event === 'snapshot_end').length === 2)
    expect(events.find(({ event }) => event === 'lagged')).toMatchObject({ data: { reason: 'restored' } })
    expect(sorted(heldBy(events))).toEqual(sorted(await rowsOf(query)))
  })
})

describe('clients', () => {
  test('that vanish leave nothing', async () => {
    const { db, ingest, address } = await host()
    await ingest(rows(0, 10))
    const before = db.stats().live
    for (let round = 0; round < 3; round++) {
      const sockets = Array.from({ length: 50 }, (_, i) => {
        const { hostname, port } = new URL(address)
        const socket = connect({ host: hostname, port: Number(port) })
        socket.on('error', () => {}).resume()
        const query = `select value from cpu where value > ${i % 7}`
        socket.write(`GET /api/v1/live?q=${encodeURIComponent(query)} HTTP/1.1\r\nhost: x\r\n\r\n`)
        return socket
      })
      await until(() => db.stats().live.subscriptions === sockets.length)
      expect(db.stats().live.queries).toBe(7)
      for (const [i, socket] of sockets.entries()) i % 2 === 0 ? socket.destroy() : socket.resetAndDestroy()
      await until(() => db.stats().live.subscriptions === 0)
    }
    expect(db.stats().live).toMatchObject({ subscriptions: 0, queries: 0, bytes: before.bytes, pendingBytes: 0 })
  })

  test('that do not read harm nobody: rows come in, others are told', async () => {
    const { db, ingest, live, address } = await host({ live: { changesMax: 1000 } })
    await ingest(rows(0, 1))
    const { hostname, port } = new URL(address)
    const stuck = connect({ host: hostname, port: Number(port) }).pause()
    stuck.on('error', () => {})
    onTestFinished(() => void stuck.destroy())
    const path = new URL(live('select time, tag.host, value from cpu'))
    stuck.write(`GET ${path.pathname}${path.search} HTTP/1.1\r\nhost: x\r\n\r\n`)
    const { events } = await eventStream(live('select max(value) as most from cpu'))
    await until(() => db.stats().live.subscriptions === 2)
    const note = 'x'.repeat(1000)
    let told = 0
    for (let i = 1; db.stats().live.lagged === 0; i += 2000) {
      await ingest(rows(i, i + 2000).map(one => ({ ...one, tags: { host: note } })))
      told = i + 1999
      expect(told).toBeLessThan(100_000)
      stuck.resume()
      await new Promise(resolve => setImmediate(resolve))
      stuck.pause()
    }
    await until(() => heldBy(events)[0]?.[0] === told / 4)
  })
})

test('an EventSource goes on by itself over a restart', async () => {
  const server = await host()
  await server.ingest(rows(0, 3))
  const url = server.live('select value from cpu', { history: 'all' })
  const script = `
    setInterval(() => {}, 1000) // while it waits to come back, an EventSource does not keep a process alive
    const source = new EventSource(process.argv[1])
    for (const kind of ['snapshot', 'rows', 'snapshot_end', 'delta', 'lagged', 'error'])
      source.addEventListener(kind, ({ data, lastEventId }) => {
        if (data !== undefined) console.log(JSON.stringify({ event: kind, id: lastEventId, data: JSON.parse(data) }))
      })`
  const child = spawn(process.execPath, ['--experimental-eventsource', '--no-warnings', '-e', script, url])
  onTestFinished(() => void child.kill())
  const events: Received[] = []
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()!
    for (const line of lines) events.push(JSON.parse(line) as Received)
  })
  await until(() => events.length >= 2)
  await server.ingest(rows(3, 6))
  await until(() => heldBy(events).length === 6)
  await server.stopped()
  await server.restarted()
  await server.ingest(rows(6, 9))
  await until(() => heldBy(events).length === 9)
  expect(events.filter(({ event }) => event === 'snapshot')).toHaveLength(1)
  expect(events.filter(({ event }) => event === 'error')).toMatchObject([{ data: { code: 'shutting_down' } }])
  expect(sorted(heldBy(events))).toEqual(sorted(await server.rowsOf('select value from cpu')))
})
