/**
 * `sydradb serve`: opens the directory, listens, and on SIGINT or SIGTERM drains, flushes and closes.
 *
 * The one line on stdout says that it is ready; everything else is JSON lines on stderr. A second signal ends the process
 * at once: what was acknowledged is in the WAL.
 */
import { pino } from 'pino'
import { open } from '../../index.ts'
import type { Logger } from '../../lib/ports.ts'
import type { Settings } from '../../lib/settings.ts'
import type { EngineEvent } from '../../types.ts'
import { createHttpServer } from '../http/server.ts'
import { BrokenPipe, writeOut } from './output.ts'
import { stopSignal } from './signals.ts'

/** Events that somebody should do something about. */
const loud: ReadonlySet<EngineEvent['kind']> = new Set([
  'wal-corruption',
  'segment-quarantined',
  'segment-damaged',
  'rebuilt',
  'flush-failed',
  'read-only',
])

export async function serve(settings: Settings): Promise<void> {
  const logger = pino({ name: 'sydradb' }, pino.destination({ dest: 2, sync: true }))
  const log: Logger = (level, message, details) => logger[level](details ?? {}, message)

  const stopped = stopSignal()
  const db = await open(settings, { log })
  const events = db.events$.subscribe(event => log(loud.has(event.kind) ? 'error' : 'info', event.kind, { ...event }))
  try {
    const server = await createHttpServer(db, settings, log)
    try {
      await announce(`sydradb listening on ${server.address} (data in ${settings.dataDir})\n`)
      log('info', `${await stopped}: draining`)
    } finally {
      await server.close()
    }
  } finally {
    await db.close()
    events.unsubscribe()
  }
}

/** A server goes on without a reader of its line. */
async function announce(line: string): Promise<void> {
  try {
    await writeOut(line)
  } catch (error) {
    if (!(error instanceof BrokenPipe)) throw error
  }
}
