/** ClickHouse as a server (Debian: `clickhouse-server`), over its HTTP interface. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { type Data, fields, fileOf, tagNames } from '../data.ts'
import { type Cell, gathering, type Program, type Rows } from '../engine.ts'
import { sizeOf } from '../files.ts'
import type { Question, SqlWords } from '../questions.ts'
import { drained, fileSent, linesOf, textOf } from './client.ts'
import { freePort, programNamed, startProgram } from './server.ts'

export const words: SqlWords = {
  bucket: seconds => `toUInt64(intDiv(toUInt32(time), ${seconds})) * ${seconds * 1000}`,
  timeMs: 'toUInt64(toUInt32(time)) * 1000',
  moment: ms => `toDateTime(${ms / 1000})`,
  lastOfHosts: column => `select hostname, argMax(${column}, time) from cpu group by hostname`,
  newestOfHosts: (columns, count) => `select ${columns} from cpu order by time desc limit ${count} by hostname`,
  // quantileExactInclusive came after 18.16
  percentile: () => undefined,
}

const configOf = (directory: string, port: number): string => `<yandex>
  <logger><level>error</level><log>${directory}/server.log</log><errorlog>${directory}/errors.log</errorlog></logger>
  <http_port>${port}</http_port>
  <listen_host>127.0.0.1</listen_host>
  <path>${directory}/data/</path>
  <tmp_path>${directory}/tmp/</tmp_path>
  <users_config>${directory}/users.xml</users_config>
  <default_profile>default</default_profile>
  <default_database>default</default_database>
  <mark_cache_size>268435456</mark_cache_size>
  <timezone>UTC</timezone>
</yandex>
`
const users = `<yandex>
  <profiles><default><max_memory_usage>4000000000</max_memory_usage></default></profiles>
  <users><default><password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default></users>
  <quotas><default></default></quotas>
</yandex>
`

export const numberType = ({ values }: Data): string => (values === 'integer' ? 'Int64' : 'Float64')

/** A row of ten fields as columns; `time` is the type of its time. */
export const columnsOf = (data: Data, time: string): string =>
  [
    `time ${time}`,
    ...tagNames.map(name => `${name} String`),
    ...fields.map(name => `${name} ${numberType(data)}`),
  ].join(', ')

/** Sorted as the questions go through it. */
export const tableOf = (data: Data): string =>
  `create table cpu (${columnsOf(data, 'DateTime')}) engine = MergeTree partition by toYYYYMM(time) order by (hostname, time)`

/** Parts that were merged stay on the disk for some minutes. */
export const bytesOfParts = `select sum(bytes_on_disk) from system.parts where active and table = 'cpu'`

/** TabSeparated: times are ms, texts begin with no digit. */
const rowOfTsv = (line: string): Cell[] =>
  line.split('\t').map(cell => (cell === '\\N' ? null : /^-?[\d.]/.test(cell) ? Number(cell) : cell))
export const rowsOfTsv = (text: string): Rows => text.split('\n').slice(0, -1).map(rowOfTsv)

export const clickhouse: Program = async () => {
  const program = programNamed('clickhouse-server')
  return async directory => {
    const port = await freePort()
    mkdirSync(`${directory}/data`, { recursive: true })
    writeFileSync(`${directory}/users.xml`, users)
    writeFileSync(`${directory}/config.xml`, configOf(directory, port))
    const url = `http://127.0.0.1:${port}/`
    const server = await startProgram(program, [`--config-file=${directory}/config.xml`], url)
    const version = (await textOf(url, 'select version()')).trim()
    const sqlOf = ({ sql }: Question): string | undefined => sql(words)
    return {
      version: `ClickHouse ${version}`,
      pid: server.pid,
      durability: 'written',
      ways: {
        async 'http wide'(data, timed) {
          await textOf(url, tableOf(data))
          const insert = `${url}?query=${encodeURIComponent('insert into cpu format JSONEachRow')}`
          await timed(() => fileSent(insert, fileOf(data, 'flat').path))
        },
      },
      settle: () => textOf(url, 'optimize table cpu final'),
      ask(question) {
        const sql = sqlOf(question)
        return sql === undefined ? undefined : drained(url, `${sql} format TSV`)
      },
      async rows(question) {
        const gathered = gathering(question.isExport)
        for await (const line of linesOf(url, `${sqlOf(question)} format TSV`)) gathered.add(rowOfTsv(line))
        return gathered.all()
      },
      bytes: async () => ({ ...sizeOf(`${directory}/data`), settled: Number(await textOf(url, bytesOfParts)) }),
      close: () => server.stop(),
    }
  }
}
