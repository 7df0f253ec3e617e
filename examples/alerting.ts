/**
 * Alerting. The query says what is worth an alert: `having` keeps the hosts that are too busy, so that a row that comes into the
 * result is an alert, and one that leaves it is the all-clear. RxJS says what becomes of it.
 */
import { firstValueFrom, mergeMap, share } from 'rxjs'
import { open } from 'sydradb'

await using db = await open(':memory:')
const measure = (second: number, host: string, usage: number) =>
  db.ingest([{ series: 'cpu', ts: new Date(Date.UTC(2026, 0, 1, 0, 0, second)), value: usage, tags: { host } }])

await measure(0, 'web-1', 35)

const busy = db.live<{ 'tag.host': string; usage: number | null }>(
  'select tag.host, last(value) as usage from cpu group by tag.host having last(value) > 90',
)
const alerts = busy.pipe(
  mergeMap(event => {
    if (event.kind === 'snapshot') return event.rows.map(row => `${row['tag.host']} is at ${row.usage} %`)
    if (event.kind !== 'delta') return []
    return [
      ...event.added.map(row => `${row['tag.host']} is at ${row.usage} %`),
      ...event.changed.map(row => `${row['tag.host']} is still busy, at ${row.usage} %`),
      ...event.removed.map(row => `${row['tag.host']} is well again`),
    ]
  }),
  share(),
)
// here goes whatever wakes somebody up; concatMap would wait for each message to be sent
alerts.subscribe(text => console.log(text))

const readings = [
  ['web-1', 95],
  ['web-2', 92],
  ['web-1', 97],
  ['web-2', 40],
  ['web-1', 12],
] as const
for (const [index, [host, usage]] of readings.entries()) {
  // only so that each reading here is an alert of its own: those of one moment are told as one change
  const told = firstValueFrom(alerts)
  await measure(index + 1, host, usage)
  await told
}
