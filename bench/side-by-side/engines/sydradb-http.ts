/** Ours as a server: the answer as NDJSON, read to its end. */
import { startServer } from '../../harness.ts'
import { post } from '../../post.ts'
import { type Data, type Form, fileOf } from '../data.ts'
import { type Cell, type Program, summing } from '../engine.ts'
import { sizeOf } from '../files.ts'

export const sydradbHttp: Program = async () => async directory => {
  const server = await startServer(directory)
  const ask = (sql: string): Promise<Response> =>
    fetch(`${server.url}/api/v1/sydraql`, { method: 'POST', body: sql, headers: { accept: 'application/x-ndjson' } })
  const sent = async (data: Data, form: Form, rows: number): Promise<void> => {
    const answer = JSON.parse(await post(server.url, fileOf(data, form).path)) as { ingested: number }
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
      for (const what of ['flush', 'compact'])
        await (await fetch(`${server.url}/api/v1/${what}`, { method: 'POST' })).text()
    },
    async ask({ ours }) {
      let bytes = 0
      for await (const chunk of (await ask(ours)).body!) bytes += chunk.length
      return bytes
    },
    async rows({ ours, isExport }) {
      const text = await (await ask(ours)).text()
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
    bytes: () => sizeOf(directory, 'wal'),
    close: () => server.stop(),
  }
}
