/** Live queries as Server-Sent Events: over real sockets, from readers that the test drives. */
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { SydraError } from '../../../src/lib/errors.ts'
import { column, delta, type FakeReader, snapshot } from './fake-live.ts'
import { start, until } from './harness.ts'
import { EventStreamParser, eventStream } from './live-clients.ts'

const second = 1_000_000
const columns = [
  { name: 'time', type: 'timestamp', nullable: false, key: true, hidden: false },
  { name: 'host', type: 'string', nullable: false, key: true, hidden: false },
  { name: 'v', type: 'float', nullable: false, key: false, hidden: false },
]
const path = '/api/v1/live?q=select+1'

async function live(settings: Parameters<typeof start>[0] = {}, log?: Parameters<typeof start>[1]) {
  const started = await start(settings, log)
  const { lives } = started.fake
  return {
    ...started,
    lives,
    reader: () => lives.readers.at(-1)!,
    follow: (more = '', headers: Record<string, string> = {}) =>
      eventStream(started.server.address + path + more, headers),
    metric: async (name: string) => {
      const text = await (await started.call('/metrics')).text()
      return Number(new RegExp(`^${name.replaceAll(/[{}]/g, '\\$&')} (.*)$`, 'm').exec(text)?.[1])
    },
  }
}
type Live = Awaited<ReturnType<typeof live>>

/** A GET whose answer is not read before it is told to. */
function unread(port: number) {
  const socket = connect({ port, host: '127.0.0.1' }).pause()
  socket.on('error', () => {})
  socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`)
  return socket
}

describe('events', () => {
  test('a snapshot, then what changes', async () => {
    const { lives, follow, reader } = await live()
    lives.begin = made => made.tell(snapshot(7, [[1.5 * second, 'a', 0.5]]))
    const { response, parser, wait } = await follow()
    expect(response.status).toBe(200)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    })
    expect(await wait(2)).toEqual([
      {
        event: 'snapshot',
        id: '',
        data: { lsn: 7, strategy: 'tail', columns, rows: [['1970-01-01T00:00:01.5Z', 'a', 0.5]] },
      },
      { event: 'snapshot_end', id: 'a.7.0', data: { lsn: 7, rows: 1 } },
    ])
    expect(parser.retryMs).toBe(1000)
    const told = reader()
    told.tell(
      delta(8, [[2 * second, 'b', 1]], [[1.5 * second, 'a', 2]], [[0, 'c', null]]),
      { kind: 'progress', id: 'a.9.0', lsn: 9, watermarkUs: 2 * second },
      { kind: 'progress', id: 'a.10.0', lsn: 10, watermarkUs: null },
      { kind: 'lagged', lsn: 11, reason: 'lagged' },
      snapshot(11, [], { reason: 'lagged' }),
    )
    expect((await wait(8)).slice(2)).toEqual([
      {
        event: 'delta',
        id: 'a.8.0',
        data: {
          lsn: 8,
          added: [['1970-01-01T00:00:02Z', 'b', 1]],
          changed: [['1970-01-01T00:00:01.5Z', 'a', 2]],
          removed: [['1970-01-01T00:00:00Z', 'c', null]],
        },
      },
      { event: 'progress', id: 'a.9.0', data: { lsn: 9, watermark: '1970-01-01T00:00:02Z' } },
      { event: 'progress', id: 'a.10.0', data: { lsn: 10, watermark: null } },
      { event: 'lagged', id: 'a.10.0', data: { lsn: 11, reason: 'lagged' } },
      { event: 'snapshot', id: '', data: { lsn: 11, strategy: 'tail', reason: 'lagged', columns, rows: [] } },
      { event: 'snapshot_end', id: 'a.11.0', data: { lsn: 11, rows: 0 } },
    ])
  })

  test('values are the text that results have', async () => {
    const { lives, server } = await live()
    const kinds = ['timestamp', 'float', 'integer', 'string', 'boolean', 'duration'] as const
    const rows = [
      [1_709_251_200_250_000, Number.NaN, -1, 'a"\n\u2028é😀', true, 60 * second],
      [-1, -0, 2 ** 53, '', false, -1],
      [-62_167_219_201_000_000, 1e21, 0, '__proto__', null, null],
      [9e18, Number.NEGATIVE_INFINITY, null, null, null, null],
    ]
    lives.begin = made => made.tell(snapshot(1, rows, { columns: kinds.map(kind => column(kind, kind)) }))
    const text = async (query: string) => {
      const response = await fetch(`${server.address}${path}${query}`)
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
      let read = ''
      while (!read.includes('snapshot_end')) read += (await reader.read()).value
      await reader.cancel()
      return /"rows":(\[\[.*\]\])\}\n/s.exec(read)![1]
    }
    expect(await text('')).toBe(
      '[["2024-03-01T00:00:00.25Z","NaN",-1,"a\\"\\n\u2028é😀",true,60000000],' +
        '["1969-12-31T23:59:59.999999Z",-0,9007199254740992,"",false,-1],' +
        '["-000001-12-31T23:59:59Z",1e+21,0,"__proto__",null,null],[null,"-Infinity",null,null,null,null]]',
    )
    expect(await text('&epoch=ms')).toMatch(/^\[\[1709251200250,"NaN".*\[-0.001,-0.*\[null,/s)
    expect(await text('&epoch=s')).toMatch(/^\[\[1709251200.25,.*\[-0.000001,/s)
  })

  test('a long snapshot goes on in `rows`; cut off before its end it is nothing to resume from', async () => {
    const { lives, follow } = await live()
    const rows = Array.from({ length: 20_000 }, (_, i) => [i * second, `host-${i % 100}`, i / 3] as const)
    lives.begin = made => made.tell(snapshot(3, rows), delta(4, rows.slice(0, 5000), [], rows.slice(5000)), 'end')
    const { events, ended } = await follow()
    await ended
    const names = events.map(({ event }) => event)
    const parts = names.lastIndexOf('rows')
    expect(parts).toBeGreaterThan(5)
    expect(names).toEqual(['snapshot', ...Array(parts).fill('rows'), 'snapshot_end', 'delta'])
    expect(events.map(({ id }) => id)).toEqual([...Array(parts + 1).fill(''), 'a.3.0', 'a.4.0'])
    const told = events.slice(0, parts + 1).flatMap(({ data }) => data['rows'] as unknown[][])
    expect(told).toEqual(rows.map(([us, ...rest]) => [new Date(us / 1000).toISOString().replace('.000', ''), ...rest]))
    const { added, changed, removed } = events.at(-1)!.data as Record<string, unknown[]>
    expect([added, changed, removed].map(list => list!.length)).toEqual([5000, 0, 15_000])
  })

  test('nothing is asked of the reader before the socket has taken what there was', async () => {
    const { lives, port } = await live()
    const rows = Array.from({ length: 2000 }, (_, i) => [i * second, 'x'.repeat(100), i] as const)
    const endless = (made: FakeReader): void => {
      const { next } = made
      made.next = () => {
        made.tell(delta(made.asked + 1, rows))
        return next.call(made)
      }
    }
    lives.begin = made => {
      made.tell(snapshot(1))
      endless(made)
    }
    const socket = unread(port)
    await until(() => lives.readers.length > 0)
    const made = lives.readers[0]!
    let asked = -1
    while (asked !== made.asked) {
      asked = made.asked
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    expect(made.asked).toBeLessThan(200)
    socket.resume()
    await until(() => made.asked > asked + 10)
    socket.destroy()
    await until(() => !made.isOpen)
  })
})

describe('what is asked for', () => {
  test('reaches the database', async () => {
    const { lives, server } = await live()
    const ask = async (query: Record<string, string>, headers: Record<string, string> = {}) => {
      const { response, close } = await eventStream(
        `${server.address}/api/v1/live?${new URLSearchParams(query)}`,
        headers,
      )
      expect(response.status).toBe(200)
      close()
      const { text, params, options } = lives.readers.at(-1)!
      return { text, params, options }
    }
    expect(await ask({ q: 'select * from "a b" where x = ?', params: '["y",1.5,true,null]' })).toEqual({
      text: 'select * from "a b" where x = ?',
      params: ['y', 1.5, true, null],
      options: { rows: 'arrays', history: 0 },
    })
    expect((await ask({ q: 'x', history: 'all' })).options).toEqual({ rows: 'arrays', history: 'all' })
    expect((await ask({ q: 'x', history: '90m' })).options.history).toBe(90 * 60_000)
    expect((await ask({ q: 'x', history: '250' })).options.history).toBe(250)
    expect((await ask({ q: 'x', last_event_id: 'a.1.0' })).options.resumeFrom).toBe('a.1.0')
    expect((await ask({ q: 'x', last_event_id: 'a.1.0' }, { 'last-event-id': 'a.2.0' })).options.resumeFrom).toBe(
      'a.2.0',
    )
    // of a snapshot that was cut off
    expect((await ask({ q: 'x' }, { 'last-event-id': '' })).options.resumeFrom).toBe(undefined)
  })

  test('what is wrong with it has a status', async () => {
    const { lives, call } = await live()
    const wrong: readonly (readonly [query: string, message: RegExp])[] = [
      ['', /"q"|required/],
      ['?q=', /"q"/],
      ['?q=a&q=b', /"q"/],
      [`?q=${'x'.repeat(8193)}`, /"q"/],
      ['?q=a&parms=[]', /unknown query parameter "parms"/],
      ['?q=a&params=1', /params is a JSON array/],
      ['?q=a&params=[[1]]', /params is a JSON array/],
      ['?q=a&params=[', /params is a JSON array/],
      [`?q=a&params=[${Array(257).fill(1)}]`, /257/],
      ['?q=a&history=never', /history/],
      ['?q=a&history=1.5h', /history/],
      ['?q=a&history=-1', /history/],
      ['?q=a&epoch=h', /epoch/],
      [`?q=a&last_event_id=${'1'.repeat(201)}`, /last_event_id/],
    ]
    for (const [query, message] of wrong) {
      const response = await call(`/api/v1/live${query}`)
      const { error } = (await response.json()) as { error: { code: string; message: string } }
      expect([query.slice(0, 40), response.status, error.code]).toEqual([query.slice(0, 40), 400, 'bad_request'])
      expect(error.message).toMatch(message)
    }
    expect(lives.readers).toHaveLength(0)
    for (const method of ['POST', 'HEAD', 'PUT']) expect((await call(path, { method })).status).toBe(404)
    expect((await call(`${path}${'x'.repeat(20_000)}`)).status).toBe(400)
  })

  test('what the database says of it, too, until the first event', async () => {
    const { lives, call, follow, reader } = await live({ live: { perClientMax: 1 } })
    const position = { line: 1, column: 8, offset: 7, length: 3 }
    lives.begin = made => made.tell(new SydraError('unknown_field', 'no', { position, hint: 'did you mean' }))
    const late = await call(path)
    expect([late.status, await late.json()]).toEqual([
      400,
      { error: { code: 'unknown_field', message: 'no', position, hint: 'did you mean' } },
    ])
    lives.begin = () => {
      throw new SydraError('too_many_subscriptions', 'enough')
    }
    expect((await call(path)).status).toBe(429)
    lives.begin = made => made.tell(snapshot(1), new SydraError('memory_limit', 'too much'))
    const { events, ended } = await follow()
    await ended
    expect(events.at(-1)).toEqual({ event: 'error', id: 'a.1.0', data: { code: 'memory_limit', message: 'too much' } })
    expect(reader().isOpen).toBe(false)
  })

  test('who comes back and has missed nothing is answered all the same', async () => {
    const { lives, follow, reader } = await live()
    lives.begin = () => {}
    const { response, wait } = await follow('', { 'last-event-id': 'a.5.0' })
    expect(response.status).toBe(200)
    reader().tell(delta(6, [[0, 'a', 1]]))
    expect(await wait(1)).toMatchObject([
      { event: 'delta', id: 'a.6.0', data: { added: [['1970-01-01T00:00:00Z', 'a', 1]] } },
    ])
  })
})

describe('clients', () => {
  const open = async ({ call }: Live): Promise<unknown> =>
    ((await (await call('/debug/compat/stats')).json()) as { http: unknown }).http

  test('one that goes away frees its subscription at once', async () => {
    const server = await live({ live: { heartbeatMs: '30s' } })
    const { lives, follow, port, metric } = server
    const { wait, close } = await follow()
    await wait(2)
    expect(await open(server)).toMatchObject({ lives: 1 })
    expect(await metric('sydradb_live_connections{transport="sse"}')).toBe(1)
    expect(await metric('sydradb_live_subscriptions')).toBe(1)
    close()
    await until(() => lives.open === 0)
    // one that does not wait for the first event
    lives.begin = () => {}
    const socket = unread(port)
    await until(() => lives.open === 1)
    socket.destroy()
    await until(() => lives.open === 0)
    await until(() => lives.readers.every(({ isOpen }) => !isOpen))
    expect(await open(server)).toMatchObject({ lives: 0 })
    expect(await metric('sydradb_live_connections{transport="sse"}')).toBe(0)
    expect(await metric('sydradb_live_subscriptions')).toBe(0)
  })

  test('one that takes nothing is cut', async () => {
    const { lives, port, metric } = await live({ live: { clientStallMs: 300 } })
    const rows = Array.from({ length: 100_000 }, (_, i) => [i, 'x'.repeat(100), i] as const)
    lives.begin = made => made.tell(snapshot(1, rows))
    const socket = unread(port)
    await until(() => lives.open === 1)
    await until(() => lives.open === 0)
    expect(await metric('sydradb_live_connections_cut_total{transport="sse",reason="stalled"}')).toBe(1)
    expect(await metric('sydradb_live_connections{transport="sse"}')).toBe(0)
    socket.destroy()
  })

  test('hear something while nothing happens', async () => {
    const { follow, reader } = await live({ live: { heartbeatMs: 100 } })
    const { parser, wait } = await follow()
    await wait(2)
    await until(() => parser.comments >= 3)
    reader().tell(delta(2, [[0, 'a', 1]]))
    expect((await wait(3)).at(-1)).toMatchObject({ event: 'delta' })
  })

  test('have so many at most; what is over does not count', async () => {
    const { follow, call, lives } = await live({ live: { perClientMax: 3 } })
    const three = await Promise.all([follow(), follow(), follow()])
    const refused = await call(path)
    expect([refused.status, await refused.json()]).toMatchObject([429, { error: { code: 'too_many_subscriptions' } }])
    three[1].close()
    await until(() => lives.open === 2)
    expect((await follow()).response.status).toBe(200)
  })

  test('are told when the server closes, whether they read or not', async () => {
    const { server, lives, follow, port } = await live()
    const rows = Array.from({ length: 100_000 }, (_, i) => [i, 'x'.repeat(100), i] as const)
    const clients = await Promise.all([follow(), follow()])
    lives.begin = made => made.tell(snapshot(1, rows))
    const stuck = unread(port)
    await until(() => lives.open === 3)
    const closed = server.close()
    for (const { ended, events } of clients) {
      await ended
      expect(events.at(-1)).toMatchObject({ event: 'error', data: { code: 'shutting_down' } })
    }
    await closed
    expect(lives.open).toBe(0)
    stuck.destroy()
  })

  test('that are still waiting when it closes get a status', async () => {
    const { server, lives, call } = await live()
    lives.begin = () => {}
    const waiting = call(path)
    await until(() => lives.open === 1)
    const closed = server.close()
    const response = await waiting
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
    await closed
  })
})

describe('who may', () => {
  test('with a token: by header, or by parameter where a client cannot set one', async () => {
    const { call, follow } = await live({ authToken: 'right' })
    const status = async (query: string, authorization?: string) => {
      const headers = authorization === undefined ? {} : { authorization }
      const { response, close } = await follow(query, headers)
      close()
      return response.status
    }
    expect(await status('', 'Bearer right')).toBe(200)
    expect(await status('&access_token=right')).toBe(200)
    expect(await status('')).toBe(401)
    expect(await status('&access_token=wrong')).toBe(401)
    expect(await status('&access_token=')).toBe(401)
    expect(await status('&access_token=right&access_token=right')).toBe(401)
    expect(await status('&access_token=right', 'Bearer wrong')).toBe(401)
    // here alone
    expect((await call('/api/v1/series?access_token=right')).status).toBe(401)
    expect((await call('/api/v1/nothing?access_token=right')).status).toBe(401)
  })

  test('a token in an address is not logged', async () => {
    const logged: string[] = []
    const { lives, follow } = await live({ authToken: 'secret-1' }, (...entry) => logged.push(JSON.stringify(entry)))
    lives.begin = () => {
      throw new TypeError('a bug')
    }
    expect((await follow('&%61ccess_token=secret-1&epoch=s')).response.status).toBe(500)
    lives.begin = made => made.tell(snapshot(1), new TypeError('another'))
    const { events, ended } = await follow('&access_token=secret-1&epoch=ms')
    await ended
    expect(events.at(-1)).toMatchObject({ event: 'error', data: { code: 'internal_error' } })
    expect(logged.join()).toMatch(/epoch=s.*epoch=ms/)
    expect(logged.join()).not.toContain('secret-1')
  })
})

test('an event stream in any pieces is the same', () => {
  const text = 'retry: 1\n\nevent: a\nid: 1\ndata: {"x":1}\n\n:\n\nid:\ndata: {}\n\n'
  const parser = new EventStreamParser()
  for (const character of text) parser.push(character)
  expect(parser).toMatchObject({ retryMs: 1, comments: 1, lastEventId: '' })
  expect(parser.events).toEqual([
    { event: 'a', id: '1', data: { x: 1 } },
    { event: 'message', id: '', data: {} },
  ])
})
