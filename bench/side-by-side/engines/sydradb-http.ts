/** Ours as a server: the answer as NDJSON, read to its end. */
import { startServer } from '../../harness.ts'
import { type Data, type Form, fileOf } from '../data.ts'
import { type Cell, gathering, type Program } from '../engine.ts'
import { sizeOf } from '../files.ts'
import { drained, fileSent, linesOf, textOf } from './client.ts'

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
      const gathered = gathering(isExport)
      let columns: readonly { readonly name: string; readonly type: string }[] | undefined
      /** The line before: the last is no row. */
      let row: Record<string, Cell> | undefined
      for await (const line of linesOf(address, ours, headers)) {
        const next = JSON.parse(line)
        if (columns === undefined) columns = next.columns as typeof columns
        else {
          const last = row
          if (last !== undefined)
            gathered.add(
              columns!.map(({ name, type }) => (type === 'timestamp' ? Date.parse(String(last[name])) : last[name]!)),
            )
          row = next
        }
      }
      return gathered.all()
    },
    bytes: async () => sizeOf(directory, 'wal'),
    close: () => server.stop(),
  }
}
