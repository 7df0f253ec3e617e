/** SQLite in the process of its program (`better-sqlite3`, WAL): rows as arrays. */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { fields, fileOf, tagNames } from '../data.ts'
import { type OpenEngine, type Rows, summing } from '../engine.ts'
import { sizeOf } from '../files.ts'
import type { Question, SqlWords } from '../questions.ts'

const words: SqlWords = {
  bucket: seconds => `(time - time % ${seconds}) * 1000`,
  timeMs: 'time * 1000',
  moment: ms => String(ms / 1000),
  // bare columns are of the row with the maximum: https://www.sqlite.org/lang_select.html#bareagg
  newest: column => `${column}, max(time)`,
  percentile: () => undefined,
}
const rowsPerTransaction = 100_000
const names = ['time', ...tagNames, ...fields]

export const openSqlite: OpenEngine = async directory => {
  const { default: Database } = await import('better-sqlite3')
  const db = new Database(`${directory}/sqlite.db`)
  db.pragma('journal_mode = wal')
  db.pragma('synchronous = full')
  const sqlOf = ({ sql }: Question): string | undefined => sql(words)
  return {
    version: `SQLite ${db.prepare('select sqlite_version()').raw().get()}`,
    pid: process.pid,
    async load(data) {
      const type = data.values === 'integer' ? 'integer' : 'real'
      const columns = [
        'time integer',
        ...tagNames.map(name => `${name} text`),
        ...fields.map(name => `${name} ${type}`),
      ]
      db.exec(`create table cpu (${columns.join(', ')}, primary key (hostname, time)) without rowid`)
      db.exec('create index cpu_time on cpu (time)')
      const insert = db.prepare(`insert into cpu values (${names.map(name => `@${name}`).join(', ')})`)
      const started = performance.now()
      let rows = 0
      db.exec('begin')
      for await (const line of createInterface({ input: createReadStream(fileOf(data, 'flat').path) })) {
        insert.run(JSON.parse(line))
        if (++rows % rowsPerTransaction === 0) db.exec('commit; begin')
      }
      db.exec('commit')
      const seconds = (performance.now() - started) / 1000
      db.pragma('wal_checkpoint(truncate)')
      db.exec('analyze')
      return seconds
    },
    ask(question) {
      const sql = sqlOf(question)
      return sql === undefined ? undefined : Promise.resolve(db.prepare(sql).raw().all())
    },
    async rows(question) {
      const statement = db.prepare(sqlOf(question)!).raw()
      if (question.isExport !== true) {
        // the newest value comes with the time that chose it
        const rows = statement.all() as unknown as Rows
        return question.id === 'Q8' ? rows.map(row => row.slice(0, 2)) : rows
      }
      const sum = summing()
      for (const row of statement.iterate()) sum.add(row as unknown[])
      return sum.sums()
    },
    bytes: async () => sizeOf(directory),
    async close() {
      db.close()
    },
  }
}
