/** What an editor asks of a database. */
import { expect, test } from 'vitest'
import { open } from '../../src/index.ts'

test('completion and diagnostics go by the metrics, tags and fields there are', async () => {
  await using db = await open(':memory:')
  expect(db.complete('select a from c', 15).items).toEqual([])
  expect(db.diagnose('select usage from cpu')).toMatchObject([{ code: 'unknown_metric', start: 18, end: 21 }])

  await db.ingest([{ series: 'cpu', fields: { usage: 0.5 }, tags: { host: 'a' } }])
  expect(db.complete('select a from c', 15).items.map(item => item.label)).toEqual(['cpu'])
  expect(db.complete('select us from cpu', 9)).toEqual({
    from: 7,
    to: 9,
    items: [{ label: 'usage', kind: 'field', insert: 'usage', detail: 'float of cpu' }],
    isIncomplete: false,
  })
  expect(db.diagnose("select usage from cpu where tag.host = 'a'")).toEqual([])
  expect(db.diagnose('select usage from cpu where tag.hots')).toMatchObject([
    { code: 'unknown_tag', line: 1, column: 29 },
  ])
})
