/** Ours, as it is published, in the process of its program: results as column batches. */
import { createReadStream } from 'node:fs'
import type { IngestReport, RowObject, Value } from '../../../src/index.ts'
import { columnsOf, type DataColumns, type Form, fields, fileOf, hosts, tagNames, tagsOf } from '../data.ts'
import { type Cell, type Engine, gathering, type Ingest, type Program } from '../engine.ts'
import { sizeOf } from '../files.ts'

type Library = typeof import('../../../src/index.ts')
const published = new URL('../../../dist/index.js', import.meta.url).href

export const sydradb: Program = async () => {
  const library = (await import(published)) as Library
  return directory => start(library, directory)
}

async function start({ open, version }: Library, directory: string): Promise<Engine> {
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
        const columns = columnsOf(data)
        await timed(async () => checked(await db.ingest(rowObjects(columns))))
      },
      async columns(data, timed) {
        const { timeMs, host, values } = columnsOf(data)
        const tags = Array.from({ length: hosts }, (_, of) => tagObject(of))
        const named = Object.fromEntries(values.map((column, i) => [fields[i]!, column]))
        const columns = { series: 'cpu', tags, seriesOf: host, ts: timeMs, fields: named }
        await timed(async () => checked(await db.ingestColumns(columns, { precision: 'ms' })))
      },
    },
    async settle() {
      await db.flush()
      await db.compact()
    },
    async ask({ ours }) {
      let rows = 0
      for await (const batch of db.query(ours).batches({ borrow: true }))
        rows += batch.selection?.length ?? batch.length
      return rows
    },
    async rows({ ours, isExport }) {
      const result = db.query<Record<string, Value>>(ours)
      const columns = await result.columns()
      const gathered = gathering(isExport)
      for await (const row of result)
        gathered.add(
          columns.map(({ name, type }) => (type === 'timestamp' ? Number(row[name]) / 1000 : (row[name] as Cell))),
        )
      return gathered.all()
    },
    bytes: async () => sizeOf(directory, 'wal'),
    async close() {
      await db.close()
    },
  }
}

const tagObject = (host: number): Record<string, string> =>
  Object.fromEntries(tagsOf(host).map((value, i) => [tagNames[i]!, value]))

/** Each with an object of its own for its fields; tags are those of its host, which a program knows. */
function* rowObjects({ timeMs, host, values }: DataColumns): Generator<RowObject> {
  const tags = Array.from({ length: hosts }, (_, of) => tagObject(of))
  for (let row = 0; row < timeMs.length; row++) {
    const value = (field: number): number => values[field]![row]!
    yield {
      series: 'cpu',
      ts: timeMs[row]!,
      fields: {
        usage_user: value(0),
        usage_system: value(1),
        usage_idle: value(2),
        usage_nice: value(3),
        usage_iowait: value(4),
        usage_irq: value(5),
        usage_softirq: value(6),
        usage_steal: value(7),
        usage_guest: value(8),
        usage_guest_nice: value(9),
      },
      tags: tags[host[row]!]!,
    }
  }
}
