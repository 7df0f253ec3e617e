/** `explain analyze` as text and JSON, on a machine whose clock stands still, and the statements that write. */
import { describe, expect, test } from 'vitest'
import { SydraError } from '../../src/lib/errors.ts'
import { SimulatedMachine } from '../simulated/machine.ts'
import { ingest, openOn, rows, values } from './support.ts'

async function filled() {
  const opened = await openOn(new SimulatedMachine())
  await ingest(opened.db, [...rows(0, 100), ...rows(0, 100, 'b')])
  await opened.db.flush()
  await ingest(opened.db, [...rows(90, 110), ...rows(90, 110, 'b')])
  return opened.db
}

describe('explain analyze', () => {
  const lines = async (text: string): Promise<string> => {
    const db = await filled()
    const { rows } = await db.query<{ plan: string }>(text).all()
    await db.close()
    return rows.map(({ plan }) => plan).join('\n')
  }

  test('says what each operator did, and what was read', async () => {
    expect(
      await lines(
        "explain analyze select time_bucket(1m, time) t, tag.host, max(value) from cpu where value >= 5 and tag.host = 'a' group by t, tag.host order by max(value) limit 1",
      ),
    ).toMatchInlineSnapshot(`
      "limit limit=1 offset=0: 1 row, 1 batch, 0 ms, own 0 ms
        project columns=3: 1 row, 1 batch, 0 ms, own 0 ms
          sort keys=3 limit=1 (top-n): 1 row, 1 batch, 0 ms, own 0 ms
            aggregate keys=2 aggregates=1 (bucket-streaming, whole-buckets): 2 rows, 1 batch, 0 ms, own 0 ms
              scan metric=cpu order=windows (block-bounds): 105 rows, 1 batch, 0 ms, own 0 ms
      rows: 1 out, 120 scanned
      blocks: 1 read, 1 pruned
      segments: 1 read, 0 pruned
      bytes: 223 read, 0 spilled
      memory: 22770 bytes at most
      rollup: none
      rules: series-predicate, row-predicate, top-n, prune-columns
      operator rules: top-n, bucket-streaming, whole-buckets, block-bounds
      elapsed: parse 0 ms, analyze 0 ms, optimize 0 ms, plan 0 ms, first row 0 ms, total 0 ms"
    `)
  })
  test('of a join', async () => {
    expect(
      await lines(
        'explain analyze select a.value, b.value from cpu a join cpu b on time where a.tag.host = b.tag.host limit 5',
      ),
    ).toMatchInlineSnapshot(`
      "limit limit=5 offset=0: 5 rows, 1 batch, 0 ms, own 0 ms
        project columns=2: 220 rows, 1 batch, 0 ms, own 0 ms
          join within_us=0 keys=1: 220 rows, 1 batch, 0 ms, own 0 ms
            project columns=4: 220 rows, 1 batch, 0 ms, own 0 ms
              scan metric=cpu order=time: 220 rows, 1 batch, 0 ms, own 0 ms
            project columns=4: 220 rows, 1 batch, 0 ms, own 0 ms
              scan metric=cpu order=time: 220 rows, 1 batch, 0 ms, own 0 ms
      rows: 5 out, 480 scanned
      blocks: 4 read, 0 pruned
      segments: 2 read, 0 pruned
      bytes: 223 read, 0 spilled
      memory: 57576 bytes at most
      rollup: none
      rules: join-keys, scan-order, redundant-sort, prune-columns
      operator rules: none
      elapsed: parse 0 ms, analyze 0 ms, optimize 0 ms, plan 0 ms, first row 0 ms, total 0 ms"
    `)
  })
  test('what is answered from statistics reads no rows', async () => {
    const db = await openOn(new SimulatedMachine())
    await ingest(db.db, rows(0, 100))
    await db.db.flush()
    const { rows: found } = await db.db.query<{ plan: string }>('explain analyze json select max(value) from cpu').all()
    const { operators, rules, operator_rules, stats } = JSON.parse(found[0]!.plan)
    expect(operators.inputs[0].inputs[0]).toMatchObject({ name: 'scan', inputs: [] })
    expect(operators.inputs[0].inputs[0]).not.toHaveProperty('rows_out')
    expect(rules).toEqual(['prune-columns'])
    expect(operator_rules).toContain('statistics-answer')
    expect(stats).toMatchObject({ rows_emitted: 1, rows_scanned: 0, rollup: null, spilled_bytes: 0 })
    await db.db.close()
  })
  test('its statistics count the lines', async () => {
    const db = await filled()
    const { rows: found, stats } = await db.query('explain analyze select value from cpu').all()
    expect(stats.rows_emitted).toBe(found.length)
    expect(stats.rows_scanned).toBeGreaterThan(200)
    await db.close()
  })
})

describe('explain', () => {
  test('ends with how the query would be kept if it were live', async () => {
    const db = await filled()
    const explained = async (text: string): Promise<string> => {
      const { rows } = await db.query<{ plan: string }>(text).all()
      return rows.at(-1)!.plan
    }
    expect(await explained('explain select value from cpu')).toBe(
      'live: tail: rows that come are filtered, and nothing is kept',
    )
    expect(await explained('explain select rate(value) from cpu group by tag.host')).toBe(
      'live: rerun at most every 1s: rate goes from sample to sample',
    )
    expect(await explained('explain show metrics')).toBe('live: no: show cannot be live')
    const json = 'explain json select a.value from cpu a join cpu b on time'
    expect(JSON.parse(await explained(json)).live).toEqual({
      strategy: 'rerun',
      obstacle: 'it has a join',
      rerun_ms: 1000,
    })
    await db.close()
  })
})

describe('insert', () => {
  test('answers with one row and statistics, and is there', async () => {
    const { db } = await openOn(new SimulatedMachine())
    const result = db.query("insert into cpu (host = 'a') values (?, 1.5), (?, 2.5)", [new Date(0), new Date(1000)])
    const { columns, rows: found, stats } = await result.all()
    expect(columns).toEqual([{ name: 'rows', type: 'integer', nullable: false }])
    expect(found).toEqual([{ rows: 2 }])
    expect(stats).toMatchObject({ rows_emitted: 1, operators: [{ name: 'insert', rows_out: 1, batches: 1 }] })
    expect(await values(db)).toEqual([1.5, 2.5])
    await db.close()
  })
  test('is not undone by a reader that goes, nor begun without one', async () => {
    const { db } = await openOn(new SimulatedMachine())
    const batches = db.query('insert into cpu values (2024-03-01, 1)').batches()[Symbol.asyncIterator]()
    await batches.next()
    await batches.return?.()
    db.query('insert into cpu values (2024-03-01, 2)')
    expect(await values(db)).toEqual([1])
    const controller = new AbortController()
    controller.abort()
    const aborted = db.query('insert into cpu values (2024-03-01, 3)', [], { signal: controller.signal }).all()
    await expect(aborted).rejects.toMatchObject({ code: 'cancelled' })
    expect(await values(db)).toEqual([1])
    await db.close()
    await expect(db.query('insert into cpu values (2024-03-01, 4)').all()).rejects.toBeInstanceOf(SydraError)
  })
})
