/** Results as streams: what a pipeline, a Response or a slow reader makes of a query. */
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { expect, onTestFinished, test } from 'vitest'
import { type Database, open, toReadable, toWebStream } from '../../src/index.ts'

async function inMemory(rows: number): Promise<Database> {
  const db = await open(':memory:')
  onTestFinished(() => db.close())
  await db.ingest(Array.from({ length: rows }, (_, i) => ({ series: 'n', ts: i + 1, value: i % 1000 })))
  return db
}

test('rows as objects, and as text', async () => {
  const db = await inMemory(3)
  const query = () => db.query<{ value: number }>('select value from n')
  const seen: unknown[] = []
  await pipeline(toReadable(query()), async (rows: AsyncIterable<unknown>) => {
    for await (const row of rows) seen.push(row)
  })
  expect(seen).toEqual([{ value: 0 }, { value: 1 }, { value: 2 }])
  expect(await text(toReadable(query(), { format: 'csv' }))).toBe('value\r\n0\r\n1\r\n2\r\n')
  const rows: { value: number }[] = []
  for await (const row of toWebStream(query())) rows.push(row)
  expect(rows).toEqual(seen)
  const answer = new Response(toWebStream(query(), { format: 'json', bare: true }))
  expect(await answer.json()).toEqual(seen)
})

test('an error of the query is the stream’s', async () => {
  const db = await inMemory(1)
  const failing = db.query('select nothing from n')
  await expect(text(toReadable(failing, { format: 'csv' }))).rejects.toMatchObject({ code: 'unknown_field' })
  await expect(toWebStream(db.query('select nothing from n')).getReader().read()).rejects.toMatchObject({
    code: 'unknown_field',
  })
})

test('destroyed, or cancelled, before its first row is worked out, it ends the query', async () => {
  const db = await inMemory(300_000)
  const sorted = 'select value from n order by value, time desc'
  const begun = async (): Promise<void> => {
    while (db.stats().queries.running === 0) await new Promise<void>(resolve => setImmediate(resolve))
  }
  const stream = toReadable(db.query(sorted))
  stream.resume()
  await begun()
  await new Promise(resolve => stream.once('close', resolve).destroy())
  expect(db.stats().queries).toMatchObject({ running: 0, cancelled: 1, rowsEmitted: 0 })

  const reader = toWebStream(db.query(sorted)).getReader()
  const first = reader.read()
  await begun()
  await reader.cancel()
  expect(await first).toEqual({ value: undefined, done: true })
  expect(db.stats().queries).toMatchObject({ running: 0, cancelled: 2, rowsEmitted: 0 })
})
