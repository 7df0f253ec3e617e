/**
 * What the database does, as Observables: `committed$` tells of each commit, once it is durable and before its writer is told;
 * `events$` of the engine. An audit trail, figures by window, and a wait for the disk.
 */
import { bufferCount, filter, firstValueFrom, map, ReplaySubject } from 'rxjs'
import { open } from 'sydradb'

await using db = await open(':memory:')

// an audit trail: LSNs have no gaps, so that one who keeps the last knows whether something is missing
const trail: string[] = []
db.committed$.subscribe(({ kind, lsn, rows, deleted }) => {
  trail.push(kind === 'rows' ? `${lsn}: ${rows} rows` : `${lsn}: deleted from ${deleted!.metric}`)
})

// figures of ten commits, and at last of the rest; by time it would be bufferTime(1000)
db.committed$
  .pipe(
    filter(({ kind }) => kind === 'rows'),
    map(({ rows }) => rows),
    bufferCount(10),
  )
  .subscribe(rows => console.log(`${rows.length} commits of ${rows.reduce((sum, count) => sum + count, 0)} rows`))

const flushes = new ReplaySubject<number>()
db.events$.subscribe(event => {
  if (event.kind === 'flushed') flushes.next(event.rows)
})

for (let i = 0; i < 12; i++) {
  await db.ingest(Array.from({ length: i + 1 }, (_, n) => ({ series: 'cpu', ts: new Date(i * 1000 + n), value: n })))
}
await db.query('delete from cpu where time >= ? and time < ?', [new Date(0), new Date(1000)]).all()
await db.flush()

console.log(`flushed ${await firstValueFrom(flushes)} rows`)
console.log(trail.slice(-2).join('\n'))
