/**
 * Replication of a metric into another database: every row, once, over restarts. The id of what was written last is all that has to be
 * kept; what was committed meanwhile is found in the log.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { filter, firstValueFrom, tap } from 'rxjs'
import { type Database, open } from 'sydradb'

const directory = await mkdtemp(join(tmpdir(), 'sydradb-replication-'))
const openPrimary = () => open(join(directory, 'primary'))
const openReplica = () => open(join(directory, 'replica'))
const count = async (db: Database) => (await db.query<{ n: number }>('select count(*) as n from cpu').first())?.n
const measure = (db: Database, from: number, to: number) =>
  db.ingest(
    Array.from({ length: to - from }, (_, i) => ({
      series: 'cpu',
      ts: new Date(Date.UTC(2026, 0, 1) + (from + i) * 1000),
      value: from + i,
      tags: { host: `web-${i % 3}` },
    })),
  )

/** Copies until everything up to the commit is there; gives the id to go on from. */
async function replicate(primary: Database, replica: Database, lsn: number, resumeFrom?: string): Promise<string> {
  let written = 0
  const rows = primary.live('select * from cpu', [], resumeFrom === undefined ? { history: 'all' } : { resumeFrom })
  const last = await firstValueFrom(
    rows.pipe(
      replica.into('cpu'),
      tap(one => {
        written += one.rows
      }),
      filter(one => one.lsn >= lsn),
    ),
  )
  console.log(`${written} rows copied`)
  return last.id
}

try {
  let id: string
  {
    await using primary = await openPrimary()
    await using replica = await openReplica()
    await measure(primary, 0, 1000)
    id = await replicate(primary, replica, primary.stats().lsn)
    // while nobody copies
    await measure(primary, 1000, 1200)
  }
  {
    await using primary = await openPrimary()
    await using replica = await openReplica()
    await replicate(primary, replica, primary.stats().lsn, id)
    console.log(`${await count(primary)} rows there, ${await count(replica)} rows here`)
  }
} finally {
  await rm(directory, { recursive: true })
}
