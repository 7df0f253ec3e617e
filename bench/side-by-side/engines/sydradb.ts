/** Ours in the process of its program: results as column batches. */
import { createReadStream } from 'node:fs'
import { rowCount } from '../../../src/columnar/batch.ts'
import { open, version } from '../../../src/index.ts'
import type { IngestReport, RowObject, Value } from '../../../src/types.ts'
import { type Data, type Form, fields, fileOf, rowsOf, tagNames, tagsOf } from '../data.ts'
import { type Cell, type Ingest, type Program, summing } from '../engine.ts'
import { sizeOf } from '../files.ts'

export const sydradb: Program = async () => async directory => {
  const db = await open({ dataDir: directory })
  const checked = ({ failure, rejected }: IngestReport): void => {
    if (failure !== undefined) throw failure
    if (rejected > 0) throw new Error(`${rejected} rows were rejected`)
  }
  const file =
    (form: Form): Ingest =>
    (data, timed) =>
      timed(async () => checked(await db.ingest(createReadStream(fileOf(data, form).path, { highWaterMark: 1 << 20 }))))
  return {
    version: `SydraDB ${version}`,
    pid: process.pid,
    durability: 'synced',
    ways: {
      'file wide': file('wide'),
      'file narrow': file('narrow'),
      async rows(data, timed) {
        const rows = rowObjects(data)
        await timed(async () => checked(await db.ingest(rows)))
      },
    },
    async settle() {
      await db.flush()
      await db.compact()
    },
    async ask({ ours }) {
      let rows = 0
      for await (const batch of db.query(ours).batches({ borrow: true })) rows += rowCount(batch)
      return rows
    },
    async rows({ ours, isExport }) {
      const result = db.query<Record<string, Value>>(ours)
      const columns = await result.columns()
      const cellsOf = (row: Record<string, Value>): Cell[] =>
        columns.map(({ name, type }) => (type === 'timestamp' ? Number(row[name]) / 1000 : (row[name] as Cell)))
      if (isExport !== true) return (await result.all()).rows.map(cellsOf)
      const sum = summing()
      for await (const row of result) sum.add(cellsOf(row))
      return sum.sums()
    },
    bytes: async () => sizeOf(directory, 'wal'),
    async close() {
      await db.close()
    },
  }
}

/** Each with tags of its own, as a program that decodes messages has them. */
const rowObjects = (data: Data): RowObject[] =>
  Array.from(rowsOf(data), ({ timeMs, host, values }) => ({
    series: 'cpu',
    ts: timeMs,
    fields: Object.fromEntries(fields.map((field, i) => [field, values[i]!])),
    tags: Object.fromEntries(tagsOf(host).map((value, i) => [tagNames[i]!, value])),
  }))
