/**
 * A windowed join of two live queries: how many of the visits of a minute became orders. Each side is kept true by the database, late
 * rows included; RxJS keeps the two beside each other.
 */
import { combineLatest, first, map, type OperatorFunction, scan } from 'rxjs'
import { type LiveEvent, open } from 'sydradb'

interface PerMinute {
  minute: Date
  n: number
}

await using db = await open(':memory:')
const at = (minute: number, second: number) => new Date(Date.UTC(2026, 0, 1, 12, minute, second))
const happened = (series: string, ...times: Date[]) => db.ingest(times.map(ts => ({ series, ts, value: 1 })))

/** The rows of a live query after each of its events, by minute. */
const byMinute: OperatorFunction<LiveEvent<PerMinute>, ReadonlyMap<number, number>> = scan(
  (before: ReadonlyMap<number, number>, event) => {
    const rows = new Map(event.kind === 'snapshot' ? [] : before)
    if (event.kind === 'snapshot') for (const { minute, n } of event.rows) rows.set(Number(minute), n)
    if (event.kind === 'delta') {
      for (const { minute } of event.removed) rows.delete(Number(minute))
      for (const { minute, n } of [...event.added, ...event.changed]) rows.set(Number(minute), n)
    }
    return rows
  },
  new Map<number, number>(),
)

await happened('visit', at(0, 1), at(0, 20), at(0, 40), at(1, 5))
await happened('purchase', at(0, 59))

const perMinute = (metric: string) =>
  db.live<PerMinute>(`select time_bucket(1m, time) as minute, count(*) as n from ${metric} group by minute`, [], {
    time: 'date',
  })
const conversion = combineLatest([perMinute('visit').pipe(byMinute), perMinute('purchase').pipe(byMinute)]).pipe(
  map(([visits, orders]) =>
    [...visits]
      .map(([minute, n]) => ({ minute, visits: n, orders: orders.get(minute) ?? 0 }))
      .sort((a, b) => a.minute - b.minute),
  ),
)

const complete = new Promise<void>(resolve =>
  conversion
    // an application would go on; this one knows what it waits for
    .pipe(first(minutes => minutes.length === 3 && minutes.every(({ visits, orders }) => visits === 4 && orders > 0)))
    .subscribe(minutes => {
      for (const { minute, visits, orders } of minutes)
        console.log(`${new Date(minute).toISOString().slice(11, 16)}  ${orders} of ${visits}`)
      resolve()
    }),
)
await happened('purchase', at(1, 30), at(2, 10), at(2, 50))
await happened('visit', at(2, 0), at(2, 1), at(2, 2), at(2, 3), at(1, 6), at(1, 7), at(1, 8))
// a visit that is told late, of a minute long gone
await happened('visit', at(0, 30))
await complete
