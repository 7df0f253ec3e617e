/** `sydradb serve`: opens the directory, listens, and on SIGINT or SIGTERM drains, flushes and closes. */
import process from 'node:process'
import { pino } from 'pino'
import { open } from '../../index.ts'
import type { Logger } from '../../lib/ports.ts'
import type { Settings } from '../../lib/settings.ts'
import { createHttpServer } from '../http/server.ts'

export async function serve(settings: Settings, _options: object): Promise<void> {
  const logger = pino({ name: 'sydradb' }, pino.destination({ dest: 2, sync: true }))
  const log: Logger = (level, message, details) => logger[level](details ?? {}, message)

  const db = await open(settings, { log })
  const events = db.events$.subscribe(event => {
    const loud = ['wal-corruption', 'segment-quarantined', 'flush-failed', 'read-only'].includes(event.kind)
    log(loud ? 'error' : 'info', event.kind, event)
  })
  try {
    const server = await createHttpServer(db, settings, log)
    process.stdout.write(`sydradb listening on ${server.address} (data in ${settings.dataDir})\n`)
    const signal = await new Promise<string>(resolve => {
      for (const name of ['SIGINT', 'SIGTERM']) process.once(name, resolve)
    })
    log('info', `${signal}: draining`)
    await server.close()
  } finally {
    await db.close()
    events.unsubscribe()
  }
}
