/** Ours as a server: the answer as NDJSON, read to its end. */
import { startServer } from '../../harness.ts'
import { type Data, type Form, fileOf } from '../data.ts'
import { type Cell, type Program, summing } from '../engine.ts'
import { sizeOf } from '../files.ts'
import { drained, fileSent, textOf } from './client.ts'

export const sydradbHttp: Program = async () => async directory => {
  const server = await startServer(directory)
  const address = `${server.url}/api/v1/sydraql`
  const headers = { accept: 'application/x-ndjson' }
  const ingest = `${server.url}/api/v1/ingest`
  const asNdjson = { 'content-type': 'application/x-ndjson' }
  const sent = async (data: Data, form: Form, rows: number): Promise<void> => {
    const answer = JSON.parse(await fileSent(ingest, fileOf(data, form).path, asNdjson)) as { ingested: number }
    if (answer.ingested !== rows) throw new Error(`stored ${answer.ingested} of ${rows} rows`)
  }
  return {
    version: 'SydraDB over HTTP',
    pid: server.pid,
    durability: 'synced',
    ways: {
      'http wide': (data, timed) => timed(() => sent(data, 'wide', data.rows)),
      'http narrow': (data, timed) => timed(() => sent(data, 'narrow', data.points)),
    },
    async settle() {
      for (const what of ['flush', 'compact']) await textOf(`${server.url}/api/v1/${what}`, '')
    },
    form: 'wide',
    append: body => textOf(ingest, body, asNdjson),
    ask: ({ ours }) => drained(address, ours, headers),
    async rows({ ours, isExport }) {
      const text = await textOf(address, ours, headers)
      const [head, ...lines] = text
        .trimEnd()
        .split('\n')
        .map(line => JSON.parse(line))
      const columns = head.columns as { readonly name: string; readonly type: string }[]
      const rows = lines
        .slice(0, -1)
        .map(row => columns.map(({ name, type }): Cell => (type === 'timestamp' ? Date.parse(row[name]) : row[name])))
      if (isExport !== true) return rows
      const sum = summing()
      for (const row of rows) sum.add(row)
      return sum.sums()
    },
    bytes: async () => sizeOf(directory, 'wal'),
    close: () => server.stop(),
  }
}
