/**
 * A feed for browsers, of one's own server: a live query as Server-Sent Events, each client at its own pace.
 *
 *   db.live ─► toReadable ─► a Transform to text ─► response
 *
 * `pipeline` is the backpressure: an event is asked for when the socket has taken the one before, and what happens meanwhile comes
 * as one, joined by key. With `highWaterMark: 1` a slow client hears late, but what is true then. A client that goes away ends its
 * subscription, at once: between streams; a generator in the pipeline would learn of it with the next event only. The same works for
 * a WebSocket: `for await` over the live query, and wait for the callback of `send` before the next event.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type LiveEvent, open, toReadable } from 'sydradb'

interface Sold {
  'tag.item': string
  total: number
}

await using db = await open(':memory:')
const sell = (item: string, count: number) => db.ingest([{ series: 'sold', value: count, tags: { item } }])
await sell('tea', 1)

const eventStream = () =>
  new Transform({
    writableObjectMode: true,
    transform(event: LiveEvent<Sold>, _, done) {
      const rows =
        event.kind === 'snapshot' ? event.rows : event.kind === 'delta' ? [...event.added, ...event.changed] : []
      done(null, rows.length === 0 ? undefined : `data: ${JSON.stringify(rows)}\n\n`)
    },
  })

const server = createServer((_, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const totals = db.live<Sold>('select tag.item, sum(value) as total from sold group by tag.item')
  // it ends with the client
  pipeline(toReadable(totals, { highWaterMark: 1 }), eventStream(), response).catch(() => {})
}).listen(0, '127.0.0.1')
await once(server, 'listening')
const { port } = server.address() as AddressInfo

/** Reads until so much was sold. `thinkMs`: what it takes it to read one piece. */
async function client(name: string, thinkMs: number): Promise<void> {
  const leave = new AbortController()
  const response = await fetch(`http://127.0.0.1:${port}`, { signal: leave.signal })
  const totals = new Map<string, number>()
  let text = ''
  for await (const bytes of response.body!.pipeThrough(new TextDecoderStream())) {
    text += bytes
    const events = text.split('\n\n')
    text = events.pop()!
    for (const event of events)
      for (const row of JSON.parse(event.slice('data: '.length)) as Sold[]) totals.set(row['tag.item'], row.total)
    if (totals.get('tea') === 201 && totals.get('coffee') === 100) break
    await new Promise(resolve => setTimeout(resolve, thinkMs))
  }
  console.log(`${name}: ${[...totals].map(([item, total]) => `${total} ${item}`).join(', ')}`)
  leave.abort()
}

const clients = [client('quick', 0), client('slow', 50)]
for (let i = 0; i < 100; i++) {
  await sell('tea', 2)
  await sell('coffee', 1)
}
await Promise.all(clients)
while (db.stats().live.subscriptions > 0) await new Promise(resolve => setTimeout(resolve, 10))
console.log('nobody listens any more')
server.close()
