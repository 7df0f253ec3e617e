/** DuckDB in the process of its program (`@duckdb/node-api`): a table on disk, answers as its own columns. */
import { fields, fileOf, tagNames } from '../data.ts'
import { type Cell, type OpenEngine, summing } from '../engine.ts'
import { sizeOf } from '../files.ts'
import type { SqlWords } from '../questions.ts'

const words: SqlWords = {
  bucket: seconds => `epoch_ms(time_bucket(interval ${seconds} second, time))`,
  timeMs: 'epoch_ms(time)',
  moment: ms => `make_timestamp(${ms * 1000})`,
  newest: column => `arg_max(${column}, time)`,
  percentile: (column, share) => `quantile_cont(${column}, ${share})`,
}

export const openDuckdb: OpenEngine = async directory => {
  const { DuckDBInstance, version } = await import('@duckdb/node-api')
  const instance = await DuckDBInstance.create(`${directory}/duckdb.db`)
  const connection = await instance.connect()
  const rowsOf = async (sql: string): Promise<Cell[][]> => {
    const answer = await connection.runAndReadAll(sql)
    return answer.getRows().map(row => row.map(cell => (typeof cell === 'bigint' ? Number(cell) : (cell as Cell))))
  }
  return {
    version: `DuckDB ${version()}`,
    pid: process.pid,
    async load(data) {
      const columns = [
        `time: 'bigint'`,
        ...tagNames.map(name => `${name}: 'varchar'`),
        ...fields.map(name => `${name}: '${data.values === 'integer' ? 'bigint' : 'double'}'`),
      ]
      const started = performance.now()
      await connection.run(
        `create table cpu as select make_timestamp(time * 1000000) as time, * exclude (time)
         from read_json('${fileOf(data, 'flat').path}', format = 'newline_delimited', columns = {${columns.join(', ')}})`,
      )
      await connection.run('checkpoint')
      return (performance.now() - started) / 1000
    },
    ask(question) {
      const sql = question.sql(words)
      return sql === undefined ? undefined : connection.runAndReadAll(sql)
    },
    async rows({ sql, isExport }) {
      const rows = await rowsOf(sql(words)!)
      if (isExport !== true) return rows
      const sum = summing()
      for (const row of rows) sum.add(row)
      return sum.sums()
    },
    bytes: async () => sizeOf(directory),
    async close() {
      connection.closeSync()
      instance.closeSync()
    },
  }
}
