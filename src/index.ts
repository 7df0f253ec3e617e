/**
 * SydraDB: a streaming time-series and event database.
 *
 * @example
 * import { open } from 'sydradb'
 *
 * await using db = await open('./data')
 * await db.ingest([{ series: 'cpu', value: 0.5, tags: { host: 'a' } }])
 * for await (const row of db.query('select time, value from cpu where tag.host = ?', ['a'])) console.log(row)
 */
import { openDatabase } from './database.ts'
import { memoryFiles } from './lib/memory-files.ts'
import { nodePorts } from './lib/node/ports.ts'
import type { Ports } from './lib/ports.ts'
import { parseSettings, type SettingsInput } from './lib/settings.ts'
import type { Database } from './types.ts'

export type { Batch, Column, ColumnInfo, Schema, ValueType } from './columnar/batch.ts'
export { type ErrorCode, errorCodes, type Position, SydraError } from './lib/errors.ts'
export type { Ports } from './lib/ports.ts'
export type { Settings, SettingsInput } from './lib/settings.ts'
export { version } from './lib/version.ts'
export type { Completion, CompletionItem } from './sydraql/editor/complete.ts'
export type { Diagnostic } from './sydraql/editor/diagnose.ts'
export type * from './types.ts'

/**
 * Opens the database in a directory, which is made when absent; `':memory:'` keeps everything in memory.
 * Replays what the last run had not flushed. One process at a time may have a directory open.
 *
 * @param options the directory, or settings (units are in their names; see docs/settings)
 * @param injected parts of the machine to replace: file system, clock, logger, …
 * @throws `directory_in_use` naming the holder's pid, `unknown_setting`, `invalid_setting`, `corrupt_manifest`, `io_error`
 */
export async function open(options: string | SettingsInput = {}, injected: Partial<Ports> = {}): Promise<Database> {
  const settings = parseSettings(typeof options === 'string' ? { dataDir: options } : options)
  const inMemory = settings.dataDir === ':memory:'
  const ports = { ...nodePorts(), ...(inMemory ? { files: memoryFiles() } : {}), ...injected }
  return openDatabase(settings, ports)
}
