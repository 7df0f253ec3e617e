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
import type { Stoppable } from './lib/cancel.ts'
import { inlineWorkers } from './lib/inline-workers.ts'
import { memoryFiles } from './lib/memory-files.ts'
import { nodePorts } from './lib/node/ports.ts'
import type { Clock, FileSystem, Logger, Ports, Random, Timers } from './lib/ports.ts'
import { parseSettings, type Settings } from './lib/settings.ts'
import type { SettingsInput } from './lib/settings-types.ts'
import type { Database, Repair, VerifyResult } from './types.ts'

export type {
  Batch,
  BooleanColumn,
  Column,
  ColumnInfo,
  Dictionary,
  NumberColumn,
  Schema,
  StringColumn,
  ValueType,
} from './columnar/batch.ts'
export type { RestoreDirectoryOptions } from './engine/snapshots/directories.ts'
export type * from './engine/snapshots/types.ts'
export type { Stoppable } from './lib/cancel.ts'
export {
  type ErrorCode,
  type ErrorCodeInfo,
  type ErrorDetails,
  type ErrorJson,
  errorCodes,
  type Position,
  SydraError,
} from './lib/errors.ts'
export type { FirmPart, GivingPart, MemoryPart, MemoryStatistics, PartStatistics } from './lib/memory-account.ts'
export { toReadable } from './lib/node/streams.ts'
export type {
  Clock,
  FileHandle,
  FileSystem,
  FileSystemError,
  Logger,
  LogLevel,
  OpenMode,
  Random,
  Timers,
} from './lib/ports.ts'
export type { RollupWidth } from './lib/rollup-widths.ts'
export type * from './lib/settings-types.ts'
export { version } from './lib/version.ts'
export { type StreamOptions, type TextSource, toWebStream } from './lib/web-stream.ts'
export type { LiveStrategy } from './operators/live/types.ts'
export type { CompactionReason, MergeProgress, MergeResult } from './storage/compaction/job.ts'
export type { ChunkPoolStatistics, SizeClassStatistics } from './storage/memtable/chunk-memory.ts'
export type {
  FieldInfo,
  FieldRows,
  FieldType,
  Lsn,
  MetricInfo,
  MetricRows,
  RollupMeta,
  RowBatch,
  SegmentMeta,
  Tags,
} from './storage/types.ts'
export type { Completion, CompletionItem } from './sydraql/editor/complete.ts'
export type { Diagnostic } from './sydraql/editor/diagnose.ts'
export type * from './types.ts'

/** What is not a setting: a signal that ends the call, and parts of the machine that are replaced. */
export interface OpenOptions extends Stoppable {
  /** Where files are: by default the disk, or memory for ':memory:'. */
  readonly files?: FileSystem | undefined
  /** What time it is: of `now()`, of rows without a time, of retention. */
  readonly clock?: Clock | undefined
  /** When things are done later; to be replaced together with the clock. */
  readonly timers?: Timers | undefined
  /** Of ids. */
  readonly random?: Random | undefined
  /** Where the log goes: by default nowhere. */
  readonly log?: Logger | undefined
}

/**
 * Opens the database in a directory, which is made when absent; `':memory:'` keeps everything in memory.
 * Replays what the last run had not flushed. One process at a time may have a directory open.
 *
 * @param options the directory, or settings (units are in their names)
 * @throws `directory_in_use` naming the holder's pid, `unknown_setting`, `invalid_setting`, `unsupported_version`, `disk_full`,
 * `io_error`, `cancelled`; what is damaged is left out or made anew, and told by `events$`
 * @example
 * await using db = await open({ dataDir: './data', fsync: 'interval' }, { log: (level, message) => console.error(level, message) })
 */
export async function open(options: string | SettingsInput = {}, given: OpenOptions = {}): Promise<Database> {
  const settings = settingsOf(options)
  return openDatabase(settings, portsFor(settings, given), { signal: given.signal })
}

/**
 * Verifies the files of a database that no process has open: every checksum, order, statistic and reference. Changes
 * nothing.
 *
 * @throws `directory_in_use` naming the holder's pid, `not_found`, `unsupported_version`, `io_error`, `cancelled`
 * @example
 * const { ok, damaged } = await verify('./data').all()
 */
export function verify(options: string | SettingsInput, given: OpenOptions = {}): VerifyResult {
  const settings = settingsOf(options)
  const ports = portsFor(settings, given)
  return verifyResult(verifyDirectory(ports, settings.dataDir, given), ports)
}

/**
 * Repairs what `verify` finds damaged in a database that no process has open: what is broken is set aside under another
 * name, what can still be read of it takes its place. `onRepair` is told of each step once it is durable.
 *
 * @throws `directory_in_use`, `not_found`, `unsupported_version`, `disk_full`, `io_error`, `cancelled`, which leaves the rest for
 * the next time
 * @example
 * await repair('./data', ({ path, action, message }) => console.log(path, action, message))
 */
export function repair(
  options: string | SettingsInput,
  onRepair: (repair: Repair) => void = () => {},
  given: OpenOptions = {},
): Promise<void> {
  const settings = settingsOf(options)
  return repairDirectory(settings, portsFor(settings, given), onRepair, given)
}

/**
 * Makes a directory that no process has open the database that a snapshot in `source` keeps: one or the other, whatever crash
 * comes. It gets an id of its own.
 *
 * @throws `not_found`, `already_exists` unless told to `replace`, `corrupt_object`, `directory_in_use`, `disk_full`, `io_error`,
 * `cancelled`
 * @example
 * await restoreDirectory('/backup/sydradb', './data', { ref: 'monday' })
 */
export function restoreDirectory(
  source: string,
  directory: string,
  options: RestoreDirectoryOptions = {},
): Promise<RestoreReport> {
  return restoreInto(nodePorts(), source, directory, options)
}

/**
 * The snapshots in a directory: a database's that nobody has open, or copies. Newest first.
 *
 * @throws `not_found` where there are none, `corrupt_object`, `io_error`
 */
export function snapshotsIn(directory: string): Snapshot[] {
  return listIn(nodePorts(), directory)
}

/** Whether there are snapshots in the directory, or were. */
export function hasSnapshots(directory: string): boolean {
  return haveIn(nodePorts(), directory)
}

/** Options of `collectGarbage`. */
export interface GarbageOptions extends Stoppable {
  /** Names that are forgotten first. */
  readonly forget?: readonly string[] | undefined
}

/**
 * Forgets snapshots of a directory that nobody has open, and removes what no other needs.
 *
 * @throws `not_found`, `directory_in_use`, `corrupt_object`, `io_error`, `cancelled`
 * @example
 * const { removedBytes } = await collectGarbage('/backup/sydradb', { forget: ['monday'] })
 */
export function collectGarbage(directory: string, options: GarbageOptions = {}): Promise<GarbageReport> {
  return collectIn(nodePorts(), directory, options.forget ?? [], options)
}

const settingsOf = (options: string | SettingsInput): Settings =>
  parseSettings(typeof options === 'string' ? { dataDir: options } : options)

function portsFor({ dataDir }: Settings, { signal, ...given }: OpenOptions): Ports {
  const parts = Object.fromEntries(Object.entries(given).filter(([, part]) => part !== undefined)) as Partial<Ports>
  const inMemory = { files: memoryFiles(), workers: inlineWorkers }
  // Another thread sees no files but the disk's.
  const own = dataDir === ':memory:' ? inMemory : parts.files === undefined ? {} : { workers: inlineWorkers }
  return { ...nodePorts(), ...own, ...parts }
}
