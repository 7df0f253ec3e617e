/**
 * A live query into a file: `toReadable` makes it a stream of Node, and `pipeline` keeps it at the pace of the disk. Whoever leaves
 * the pipeline ends the query.
 */
import { createWriteStream } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type LiveEvent, open, toReadable } from 'sydradb'

interface Usage {
  time: Date
  'tag.host': string
  value: number
}

const directory = await mkdtemp(join(tmpdir(), 'sydradb-live-to-file-'))
const file = join(directory, 'busy.ndjson')
const linesMax = 4

/** Rows as lines of JSON; the file is full after `linesMax`. */
async function* toLines(events: AsyncIterable<LiveEvent<Usage>>): AsyncGenerator<string> {
  let count = 0
  for await (const event of events) {
    const rows = event.kind === 'snapshot' ? event.rows : event.kind === 'delta' ? event.added : []
    for (const { time, 'tag.host': host, value } of rows) {
      yield `${JSON.stringify({ time, host, value })}\n`
      if (++count === linesMax) return
    }
  }
}

try {
  await using db = await open(':memory:')
  const measure = (second: number, host: string, value: number) =>
    db.ingest([{ series: 'cpu', ts: new Date(Date.UTC(2026, 0, 1, 0, 0, second)), value, tags: { host } }])
  await measure(0, 'web-1', 95)
  await measure(1, 'web-1', 12)

  const busy = db.live<Usage>('select time, tag.host, value from cpu where value > 90', [], {
    history: 'all',
    time: 'date',
  })
  const written = pipeline(toReadable(busy), toLines, createWriteStream(file))
  for (let second = 2; second < 8; second++) await measure(second, 'web-2', second % 2 === 0 ? 90 + second : 20)
  await measure(9, 'web-3', 99)
  await written

  process.stdout.write(await readFile(file, 'utf8'))
  console.log(`${db.stats().live.subscriptions} subscriptions left`)
} finally {
  await rm(directory, { recursive: true })
}
