/** SQLite in the process of its program (`better-sqlite3`, WAL): rows as arrays. */
import { columnsOf, fields, hosts, tagNames, tagsOf } from '../data.ts'
import { type Cell, gathering, type Program } from '../engine.ts'
import { sizeOf } from '../files.ts'
import type { Question, SqlWords } from '../questions.ts'

const words: SqlWords = {
  bucket: seconds => `(time - time % ${seconds}) * 1000`,
  timeMs: 'time * 1000',
  moment: ms => String(ms / 1000),
  // hosts by hopping through the primary key: https://www.sqlite.org/lang_with.html#recursive_common_table_expressions
  lastOfHosts: column =>
    `with recursive hosts(name) as (
       select min(hostname) from cpu union all
       select (select min(hostname) from cpu where hostname > name) from hosts where name is not null)
     select name, (select ${column} from cpu where hostname = name order by time desc limit 1) from hosts where name is not null`,
  newestOfHosts: (columns, count) =>
    `select ${columns} from (select *, row_number() over (partition by hostname order by time desc) n from cpu) where n <= ${count}`,
  percentile: () => undefined,
}
const rowsPerTransaction = 100_000
const names = ['time', ...tagNames, ...fields]

export const sqlite: Program = async () => {
  const { default: Database } = await import('better-sqlite3')
  return async directory => {
    const db = new Database(`${directory}/sqlite.db`)
    db.pragma('journal_mode = wal')
    db.pragma('synchronous = full')
    db.prepare('select count(*) from sqlite_master').get()
    const sqlOf = ({ sql }: Question): string | undefined => sql(words)
    return {
      version: `SQLite ${db.prepare('select sqlite_version()').raw().get()}`,
      pid: process.pid,
      durability: 'synced',
      ways: {
        async rows(data, timed) {
          const type = data.values === 'integer' ? 'integer' : 'real'
          const columns = [
            'time integer',
            ...tagNames.map(name => `${name} text`),
            ...fields.map(name => `${name} ${type}`),
          ]
          db.exec(`create table cpu (${columns.join(', ')}, primary key (hostname, time)) without rowid`)
          const insert = db.prepare(`insert into cpu values (${names.map(() => '?').join(', ')})`)
          const { timeMs, host, values } = columnsOf(data)
          const tags = Array.from({ length: hosts }, (_, of) => tagsOf(of))
          await timed(async () => {
            db.exec('begin')
            for (let row = 0; row < data.rows; row++) {
              const own = values.map(column => column[row]!)
              insert.run([timeMs[row]! / 1000, ...tags[host[row]!]!, ...own])
              if ((row + 1) % rowsPerTransaction === 0) db.exec('commit; begin')
            }
            db.exec('commit')
          })
        },
      },
      async settle() {
        db.pragma('wal_checkpoint(truncate)')
        db.exec('create index if not exists cpu_time on cpu (time); analyze')
      },
      ask(question) {
        const sql = sqlOf(question)
        return sql === undefined ? undefined : Promise.resolve(db.prepare(sql).raw().all())
      },
      async rows(question) {
        const gathered = gathering(question.isExport)
        for (const row of db.prepare(sqlOf(question)!).raw().iterate()) gathered.add(row as Cell[])
        return gathered.all()
      },
      bytes: async () => sizeOf(directory),
      async close() {
        db.close()
      },
    }
  }
}
