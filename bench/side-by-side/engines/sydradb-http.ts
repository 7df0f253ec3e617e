/** Ours as a server: the answer as NDJSON, read to its end. */
import { startServer } from '../../harness.ts'
import { post } from '../../post.ts'
import { fileOf } from '../data.ts'
import { type Cell, type OpenEngine, summing } from '../engine.ts'
import { sizeOf } from '../files.ts'

export const openSydradbHttp: OpenEngine = async directory => {
  const server = await startServer(directory)
  const ask = (sql: string): Promise<Response> =>
    fetch(`${server.url}/api/v1/sydraql`, { method: 'POST', body: sql, headers: { accept: 'application/x-ndjson' } })
  return {
    version: 'SydraDB over HTTP',
    pid: server.pid,
    async load(data) {
      const started = performance.now()
      const answer = JSON.parse(await post(server.url, fileOf(data, 'wide').path)) as { ingested: number }
      const seconds = (performance.now() - started) / 1000
      if (answer.ingested !== data.rows) throw new Error(`stored ${answer.ingested} of ${data.rows} rows`)
      await fetch(`${server.url}/api/v1/flush`, { method: 'POST' })
      await (await fetch(`${server.url}/api/v1/compact`, { method: 'POST' })).text()
      return seconds
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
    bytes: async () => sizeOf(directory, 'wal'),
    close: () => server.stop(),
  }
}
