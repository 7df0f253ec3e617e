/** Ours in the process of its program: results as column batches. */
import { createReadStream } from 'node:fs'
import { rowCount } from '../../../src/columnar/batch.ts'
import { open, version } from '../../../src/index.ts'
import type { Value } from '../../../src/types.ts'
import { fileOf } from '../data.ts'
import { type Cell, type OpenEngine, summing } from '../engine.ts'
import { sizeOf } from '../files.ts'

export const openSydradb: OpenEngine = async directory => {
  const db = await open({ dataDir: directory })
  return {
    version: `SydraDB ${version}`,
    pid: process.pid,
    async load(data) {
      const file = createReadStream(fileOf(data, 'wide').path, { highWaterMark: 1 << 20 })
      const started = performance.now()
      const { failure, rejected } = await db.ingest(file)
      const seconds = (performance.now() - started) / 1000
      if (failure !== undefined) throw failure
      if (rejected > 0) throw new Error(`${rejected} rows were rejected`)
      await db.flush()
      await db.compact()
      return seconds
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
