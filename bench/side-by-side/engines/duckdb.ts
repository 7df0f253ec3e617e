/** DuckDB in the process of its program (`@duckdb/node-api`): a table on disk, answers as its own columns. */
import { type Data, type Form, fields, fileOf, tagNames } from '../data.ts'
import { type Cell, gathering, type Program } from '../engine.ts'
import { sizeOf } from '../files.ts'
import type { SqlWords } from '../questions.ts'

const words: SqlWords = {
  bucket: seconds => `epoch_ms(time_bucket(interval ${seconds} second, time))`,
  timeMs: 'epoch_ms(time)',
  moment: ms => `make_timestamp(${ms * 1000})`,
  lastOfHosts: column => `select hostname, arg_max(${column}, time) from cpu group by hostname`,
  newestOfHosts: (columns, count) =>
    `select ${columns} from cpu qualify row_number() over (partition by hostname order by time desc) <= ${count}`,
  percentile: (column, share) => `quantile_cont(${column}, ${share})`,
}

export const duckdb: Program = async () => {
  const { DuckDBInstance, version } = await import('@duckdb/node-api')
  return async directory => {
    const instance = await DuckDBInstance.create(`${directory}/duckdb.db`)
    const connection = await instance.connect()
    const rowsOf = async (sql: string): Promise<Cell[][]> => {
      const answer = await connection.runAndReadAll(sql)
      return answer.getRows().map(row => row.map(cell => (typeof cell === 'bigint' ? Number(cell) : (cell as Cell))))
    }
    const typeOf = ({ values }: Data): string => (values === 'integer' ? 'bigint' : 'double')
    /** Durable with the checkpoint. */
    const read = async (data: Data, form: Form, columns: readonly string[], select: string): Promise<void> => {
      await connection.run(
        `create table cpu as select ${select}
       from read_json('${fileOf(data, form).path}', format = 'newline_delimited', columns = {${columns.join(', ')}})`,
      )
      await connection.run('checkpoint')
    }
    await connection.run('select 1')
    return {
      version: `DuckDB ${version()}`,
      pid: process.pid,
      durability: 'synced',
      ways: {
        'file wide': (data, timed) =>
          timed(() =>
            read(
              data,
              'flat',
              [
                `time: 'bigint'`,
                ...tagNames.map(name => `${name}: 'varchar'`),
                ...fields.map(name => `${name}: '${typeOf(data)}'`),
              ],
              'make_timestamp(time * 1000000) as time, * exclude (time)',
            ),
          ),
        'file narrow': (data, timed) =>
          timed(() =>
            read(
              data,
              'narrow',
              [
                `series: 'varchar'`,
                `ts: 'bigint'`,
                `value: '${typeOf(data)}'`,
                `tags: 'struct(${tagNames.map(name => `${name} varchar`).join(', ')})'`,
              ],
              'make_timestamp(ts * 1000) as time, series, value, tags',
            ),
          ),
      },
      settle: () => connection.run('checkpoint'),
      ask(question) {
        const sql = question.sql(words)
        return sql === undefined ? undefined : connection.runAndReadAll(sql)
      },
      async rows({ sql, isExport }) {
        const gathered = gathering(isExport)
        for (const row of await rowsOf(sql(words)!)) gathered.add(row)
        return gathered.all()
      },
      bytes: async () => sizeOf(directory),
      async close() {
        connection.closeSync()
        instance.closeSync()
      },
    }
  }
}
