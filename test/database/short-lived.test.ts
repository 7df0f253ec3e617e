/**
 * What a query leaves behind dies young. A generator function or a getter that is made for one query does not: V8 gives each a
 * map among old objects, which keeps what the function closes over until the next full collection.
 */
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { open } from '../../src/index.ts'
import { ingest, rows } from './support.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as (options: { readonly type: 'major' | 'minor' }) => void

const queries = 1000
/** It was five to sixteen kilobytes of each query; feedback and code are some hundred kilobytes in all. */
const promotedBytesMax = 1500 * queries

test.each([
  'select 1',
  'select time, value from cpu where tag.host = ? and time >= ?',
  'select time_bucket(1m, time) t, max(value), last(value) from cpu where tag.host = ? and time >= ? group by t',
  'select time, tag.host, value from cpu order by time desc limit 5',
  'select tag.host, last(value) from cpu group by tag.host',
  'select time, value from cpu order by time desc limit 2 per series',
])('%s', async text => {
  await using db = await open(':memory:')
  await ingest(db, [...rows(0, 500, 'a'), ...rows(0, 500, 'b')])
  await db.flush()
  const params = text.includes('?') ? ['a', '2026-01-01T00:01:00Z'] : []
  const ask = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i++) {
      for await (const _ of db.query(text, params).batches({ borrow: true }));
      if (i % 100 === 99) collect({ type: 'minor' })
    }
  }
  const oldBytes = (): number =>
    getHeapSpaceStatistics().find(({ space_name }) => space_name === 'old_space')!.space_used_size
  await ask(1000)
  collect({ type: 'major' })
  const before = oldBytes()
  await ask(queries)
  expect(oldBytes() - before).toBeLessThan(promotedBytesMax)
})
