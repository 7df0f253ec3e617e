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
import { repairDirectory } from './engine/recovery/repair.ts'
import { verifyDirectory, verifyResult } from './engine/recovery/verify.ts'
import {
  collectIn,
  hasSnapshots as haveIn,
  snapshotsIn as listIn,
  type RestoreDirectoryOptions,
  restoreDirectory as restoreInto,
} from './engine/snapshots/directories.ts'
import type { GarbageReport, RestoreReport, Snapshot } from './engine/snapshots/types.ts'
import { inlineWorkers } from './lib/inline-workers.ts'
import { memoryFiles } from './lib/memory-files.ts'
import { nodePorts } from './lib/node/ports.ts'
import type { Ports } from './lib/ports.ts'
import { parseSettings, type Settings, type SettingsInput } from './lib/settings.ts'
import type { Database, Repair, VerifyOptions, VerifyResult } from './types.ts'

export type { Batch, Column, ColumnInfo, Schema, ValueType } from './columnar/batch.ts'
export type { RestoreDirectoryOptions } from './engine/snapshots/directories.ts'
export type * from './engine/snapshots/types.ts'
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
  const settings = settingsOf(options)
  return openDatabase(settings, portsFor(settings, injected))
}

/**
 * Verifies the files of a database that no process has open: every checksum, order, statistic and reference. Changes
 * nothing.
 *
 * @throws `directory_in_use` naming the holder's pid, `not_found`, `unsupported_version`, `io_error`
 * @example
 * const { ok, damaged } = await verify('./data').all()
 */
export function verify(
  options: string | SettingsInput,
  { signal }: VerifyOptions = {},
  injected: Partial<Ports> = {},
): VerifyResult {
  const settings = settingsOf(options)
  const ports = portsFor(settings, injected)
  return verifyResult(verifyDirectory(ports, settings.dataDir, { signal }), ports)
}

/**
 * Repairs what `verify` finds damaged in a database that no process has open: what is broken is set aside under another
 * name, what can still be read of it takes its place. `onRepair` is told of each step once it is durable.
 *
 * @throws `directory_in_use`, `not_found`, `unsupported_version`, `disk_full`, `io_error`
 */
export function repair(
  options: string | SettingsInput,
  onRepair: (repair: Repair) => void = () => {},
  { signal }: VerifyOptions = {},
  injected: Partial<Ports> = {},
): Promise<void> {
  const settings = settingsOf(options)
  return repairDirectory(settings, portsFor(settings, injected), onRepair, { signal })
}

/**
 * Makes a directory that no process has open the database that a snapshot in `source` keeps: one or the other, whatever crash
 * comes. It gets an id of its own.
 *
 * @throws `not_found`, `already_exists` unless told to `replace`, `corrupt_object`, `directory_in_use`, `disk_full`, `io_error`
 * @example
 * await restoreDirectory('/backup/sydradb', './data', { ref: 'monday' })
 */
export const restoreDirectory = (
  source: string,
  directory: string,
  options: RestoreDirectoryOptions = {},
  injected: Partial<Ports> = {},
): Promise<RestoreReport> => restoreInto({ ...nodePorts(), ...injected }, source, directory, options)

/** The snapshots in a directory: a database's that nobody has open, or copies. Newest first. */
export const snapshotsIn = (directory: string, injected: Partial<Ports> = {}): Snapshot[] =>
  listIn({ ...nodePorts(), ...injected }, directory)

/** Whether there are snapshots in the directory, or were. */
export const hasSnapshots = (directory: string, injected: Partial<Ports> = {}): boolean =>
  haveIn({ ...nodePorts(), ...injected }, directory)

/** Forgets snapshots of a directory that nobody has open, and removes what no other needs. */
export const collectGarbage = (
  directory: string,
  { forget = [], signal }: { readonly forget?: readonly string[]; readonly signal?: AbortSignal } = {},
  injected: Partial<Ports> = {},
): Promise<GarbageReport> => collectIn({ ...nodePorts(), ...injected }, directory, forget, { signal })

const settingsOf = (options: string | SettingsInput): Settings =>
  parseSettings(typeof options === 'string' ? { dataDir: options } : options)

function portsFor({ dataDir }: Settings, injected: Partial<Ports>): Ports {
  // Another thread sees no files but the disk's.
  const own = injected.files === undefined ? {} : { workers: inlineWorkers }
  return {
    ...nodePorts(),
    ...(dataDir === ':memory:' ? { files: memoryFiles(), workers: inlineWorkers } : own),
    ...injected,
  }
}
