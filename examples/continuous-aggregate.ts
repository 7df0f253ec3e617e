/**
 * A continuous aggregate: minutes are written as they change, so that they are there, and small, when the rows they were made from
 * are long gone.
 *
 *   cpu ─► live query, by minute and host ─► cpu_1m
 */
import { filter, firstValueFrom, share } from 'rxjs'
import { open } from 'sydradb'

await using db = await open(':memory:')
const at = (minute: number, second: number) => new Date(Date.UTC(2026, 0, 1, 12, minute, second))
const measure = (ts: Date, host: string, usage: number) =>
  db.ingest([{ series: 'cpu', ts, fields: { usage }, tags: { host } }])

await measure(at(0, 10), 'web-1', 20)

const written = db
  .live(
    `select time_bucket(1m, time) as minute, tag.host, avg(usage) as avg, max(usage) as max, count(*) as n
     from cpu group by minute, tag.host`,
  )
  // what is told here is in cpu_1m: keep the last `id`, and after a restart go on with { resumeFrom: id }
  .pipe(db.into('cpu_1m'), share())
written.subscribe()

await measure(at(0, 40), 'web-1', 40)
await measure(at(1, 5), 'web-2', 70)
await measure(at(1, 10), 'web-1', 50)
// a late row: its minute is worked out anew
const { lsn } = db.stats()
await measure(at(0, 50), 'web-1', 90)
await firstValueFrom(written.pipe(filter(one => one.lsn > lsn)))

const minutes = () =>
  db.query<{ time: Date; 'tag.host': string; avg: number; max: number; n: number }>('select * from cpu_1m', [], {
    time: 'date',
  })
for await (const { time, 'tag.host': host, avg, max, n } of minutes())
  console.log(`${time.toISOString().slice(11, 16)}  ${host}  avg ${avg}  max ${max}  of ${n}`)

// retention would do this, after some days
await db.query('delete from cpu where time >= ? and time < ?', [at(0, 0), at(2, 0)]).all()
const { rows } = await minutes().all()
console.log(`without any row of cpu: ${rows.length} minutes`)
