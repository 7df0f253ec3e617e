/** What every result says beside its rows: columns, statistics, how it ended. */
import { describe, expect, test } from 'vitest'
import { SimulatedMachine } from '../simulated/machine.ts'
import { ingest, openOn, rows } from './support.ts'

describe('a result', () => {
  test('has columns with names, types and whether they may be null', async () => {
    const { db } = await openOn(new SimulatedMachine())
    await ingest(db, rows(0, 1))
    const { columns } = await db.query('select time, tag.host, value, count(*) as n from cpu group by 1, 2, 3').all()
    expect(columns).toEqual([
      { name: 'time', type: 'timestamp', nullable: false },
      { name: 'tag.host', type: 'string', nullable: true },
      { name: 'value', type: 'float', nullable: true },
      { name: 'n', type: 'integer', nullable: false },
    ])
    await db.close()
  })

  test('has statistics: every field, and numbers that are right', async () => {
    const { db } = await openOn(new SimulatedMachine())
    await ingest(db, [...rows(0, 100), ...rows(0, 100, 'b')])
    await db.flush()
    await ingest(db, rows(100, 110))
    const text = "select value from cpu where tag.host = 'a' and value < 3"
    const { stats } = await db.query(text).all()
    expect(Object.keys(stats).sort()).toEqual(
      (
        'blocks_pruned blocks_scanned bytes_read elapsed_ms operators rollup rows_emitted rows_scanned ' +
        'segments_pruned segments_scanned trace_id'
      ).split(' '),
    )
    expect(Object.keys(stats.elapsed_ms)).toEqual(['parse', 'analyze', 'optimize', 'plan', 'first_row', 'total'])
    expect(stats).toMatchObject({ rows_emitted: 3, segments_scanned: 1, segments_pruned: 0, rollup: null })
    expect(stats.bytes_read).toBeGreaterThan(0)
    expect(stats.trace_id).toMatch(/\S/)
    for (const operator of stats.operators)
      expect(Object.keys(operator)).toEqual(['name', 'rows_out', 'batches', 'elapsed_ms'])
    expect(stats.operators.map(({ name }) => name)).toContain('scan')

    const late = await db.query('select value from cpu where time >= ?', [new Date(Date.UTC(2030, 0))]).all()
    expect(late.stats).toMatchObject({ rows_emitted: 0, segments_scanned: 0, segments_pruned: 1, blocks_scanned: 0 })
    const again = await db.query(text).all()
    expect(again.stats.trace_id).not.toBe(stats.trace_id)
    await db.close()
  })
})
