/** Every example of the registry runs over the demo metric, in a database of its own, and gives what the registry says. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Database, open, type RowObject } from '../../src/index.ts'
import { functions } from '../../src/sydraql/functions.ts'

const startUs = Date.UTC(2024, 2, 1) * 1000

/** Three hours of two hosts, a row a minute. */
function demoRows(): RowObject[] {
  const rows: RowObject[] = []
  for (const [host, dc, base] of [
    ['web-1', 'x', 40],
    ['web-2', 'y', 60],
  ] as const)
    for (let i = 0; i < 180; i++)
      rows.push({
        series: 'cpu',
        ts: startUs + i * 60e6,
        tags: { host, dc },
        fields: { usage: base + (i % 30), value: i * 3, up: i % 7 !== 0, note: i % 5 === 0 ? 'slow' : 'ok', cores: 8 },
      })
  return rows
}

let db: Database
beforeAll(async () => {
  db = await open(':memory:')
  const { failure } = await db.ingest(demoRows(), { precision: 'us' })
  if (failure !== undefined) throw failure
})
afterAll(async () => {
  await db.close()
})

const valueTypes = new Set(['float', 'integer', 'boolean', 'string', 'timestamp', 'duration'])

describe('every example runs', () => {
  test.each(functions.map(info => [info.name, info] as const))('%s', async (name, info) => {
    const { columns, rows } = await db.query(info.example).all()
    expect(rows.length).toBeGreaterThan(0)
    const column = columns.find(each => each.name === name)
    if (column !== undefined && info.gives === undefined && valueTypes.has(info.returns))
      expect(column.type).toBe(info.returns)
    if (column !== undefined) expect(rows.some(row => row[name] !== null)).toBe(true)
  })
})
