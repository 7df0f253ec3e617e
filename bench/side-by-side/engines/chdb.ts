/**
 * chDB, ClickHouse in the process of its program: answers as Arrow. It takes half a GB on the disk, so that it is not among what
 * `npm ci --prefix bench` brings: `npm i --prefix bench --no-save chdb@3.4.0`.
 */
import { type Data, type Form, fileOf, tagNames } from '../data.ts'
import { gathering, type Program } from '../engine.ts'
import { sizeOf } from '../files.ts'
import type { Question } from '../questions.ts'
import { bytesOfParts, columnsOf, numberType, rowsOfTsv, tableOf, words as wordsOf18 } from './clickhouse.ts'

const words = {
  ...wordsOf18,
  percentile: (column: string, share: number): string => `quantileExactInclusive(${share})(${column})`,
}

export const chdb: Program = async () => {
  const { Session } = await import('chdb')
  return async directory => {
    const session = new Session(`${directory}/data`)
    const text = async (sql: string, format = 'TSV'): Promise<string> =>
      (await session.queryAsync(sql, { format })).text()
    const version = (await text('select version()')).trim()
    const sqlOf = ({ sql }: Question): string => sql(words)!
    const read = (data: Data, form: Form, columns: string, select: string): Promise<string> =>
      text(`insert into cpu select ${select} from file('${fileOf(data, form).path}', JSONEachRow, '${columns}')`)
    return {
      version: `chDB ${version}`,
      pid: process.pid,
      durability: 'written',
      ways: {
        async 'file wide'(data, timed) {
          await text(tableOf(data))
          await timed(() => read(data, 'flat', columnsOf(data, 'UInt32'), '*'))
        },
        async 'file narrow'(data, timed) {
          const tags = `tags Tuple(${tagNames.map(name => `${name} String`).join(', ')})`
          const value = `value ${numberType(data)}`
          await text(
            `create table cpu (time DateTime64(3), series String, ${value}, ${tags}) engine = MergeTree order by (series, tags.hostname, time)`,
          )
          await timed(() =>
            read(
              data,
              'narrow',
              `series String, ts UInt64, ${value}, ${tags}`,
              'toDateTime64(ts / 1000, 3), series, value, tags',
            ),
          )
        },
      },
      settle: () => text('optimize table cpu final'),
      ask: question => session.queryAsync(sqlOf(question), { format: 'ArrowStream' }),
      async rows(question) {
        const gathered = gathering(question.isExport)
        for (const row of rowsOfTsv(await text(sqlOf(question)))) gathered.add(row)
        return gathered.all()
      },
      bytes: async () => ({ ...sizeOf(`${directory}/data`), settled: Number(await text(bytesOfParts)) }),
      async close() {
        session.close()
      },
    }
  }
}
