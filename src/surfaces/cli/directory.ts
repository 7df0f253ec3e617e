/** The engine in this process, on a directory, as a command's target. */
import { open, version } from '../../index.ts'
import type { Settings } from '../../lib/settings.ts'
import { ingestBody } from '../ingest-body.ts'
import { snakeCase } from '../snake-case.ts'
import { followDatabase } from './live-client.ts'
import { ownSnapshots } from './snapshot-target.ts'
import type { Target } from './target.ts'

export async function openDirectory(settings: Settings): Promise<Target> {
  const db = await open(settings)
  return {
    sql: (text, params, { format, epoch, signal }) =>
      db.query(text, params, signal === undefined ? {} : { signal }).text({ format, epoch }),
    follow: followDatabase(db),
    ingest: (source, options) => ingestBody(db, source, options),
    compact: options => db.compact(options),
    snapshots: ownSnapshots(db),
    stats: async () => snakeCase({ version, dataDir: db.dataDir, ...db.stats() }),
    close: () => db.close(),
  }
}
