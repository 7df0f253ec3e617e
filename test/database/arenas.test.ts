/** Queries work in memory that the next ones use again: none reads what another writes. */
import { expect, test } from 'vitest'
import type { Batch } from '../../src/columnar/batch.ts'
import { open } from '../../src/index.ts'
import { memoryFiles } from '../../src/lib/memory-files.ts'
import type { Database } from '../../src/types.ts'
import { ingest, rows, startUs, turn } from './support.ts'

const hosts = ['a', 'b', 'c', 'd']

async function opened(): Promise<Database> {
  const db = await open({ dataDir: 'data', fsync: 'none' }, { files: memoryFiles() })
  for (const host of hosts) await ingest(db, rows(0, 3000, host))
  await db.flush()
  return db
}

const at = (second: number): string => `'${new Date(startUs / 1000 + second * 1000).toISOString()}'`
const texts = hosts.flatMap((host, i) => [
  `select time, value from cpu where tag.host = '${host}' and time >= ${at(i * 100)} and time < ${at(i * 100 + 700)}`,
  `select time_bucket(${10 + i}s, time) t, tag.host, max(value), last(value) from cpu group by t, tag.host`,
  `select tag.host, last(value) + ${i} from cpu group by tag.host`,
  `select time, value * ${i + 1} from cpu order by time desc limit ${50 * (i + 1)}`,
])

test('queries at the same time, one step of each in turn', async () => {
  const db = await opened()
  const alone: unknown[] = []
  for (const text of texts) alone.push((await db.query(text).all()).rows)
  for (let round = 0; round < 3; round++) {
    const together = await Promise.all(
      texts.map(async text => {
        const found: unknown[] = []
        for await (const row of db.query(text)) {
          found.push(row)
          if (found.length % 97 === round) await turn()
        }
        return found
      }),
    )
    expect(together).toEqual(alone)
  }
  await db.close()
})

test('the batch of a reader that is cut off stays as it is', async () => {
  const db = await opened()
  const abort = new AbortController()
  const reader = db.query("select time, value from cpu where tag.host = 'a'", [], { signal: abort.signal })
  const batches = reader.batches({ borrow: true })[Symbol.asyncIterator]()
  const { value: batch } = (await batches.next()) as { value: Batch }
  const before = Array.from(batch.columns[1]!.values as Float64Array)
  abort.abort()
  await turn()
  for (const text of texts) await db.query(text).all()
  expect(Array.from(batch.columns[1]!.values as Float64Array)).toEqual(before)
  await expect(batches.next()).rejects.toMatchObject({ code: 'cancelled' })
  await db.close()
})
