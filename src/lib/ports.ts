/**
 * The engine's view of the machine. Everything outside `lib/node/` and `surfaces/` reaches files, clocks, randomness
 * and timers through these ports, so that the whole engine runs on simulated ones, and one day in a browser.
 *
 * Reads and writes are synchronous: a page-cache read or write costs microseconds, while a thread-pool round trip
 * costs 150. Only what waits for the device — `dataSync`, `syncDirectory` — is asynchronous.
 */

/** Failures of the file system are `Error`s with the POSIX name in `code`: `ENOENT`, `EEXIST`, `ENOSPC`, `EIO`, … */
export interface FileSystemError extends Error {
  readonly code: string
}

export const isFileSystemError = (error: unknown): error is FileSystemError =>
  error instanceof Error &&
  typeof (error as Partial<FileSystemError>).code === 'string' &&
  /^E[A-Z0-9]+$/.test((error as FileSystemError).code)

/** An open file. */
export interface FileHandle {
  /** Size in bytes. */
  size(): number
  /** Reads up to `target.length` bytes at `position`; returns how many (less only at the end of the file). */
  read(target: Uint8Array, position: number): number
  /** Writes all of `bytes` at `position` or throws; after a throw any prefix may have been written. */
  write(bytes: Uint8Array, position: number): void
  truncate(size: number): void
  /** Resolves when data and size are durable (fdatasync). */
  dataSync(): Promise<void>
  /** Closing twice is allowed. */
  close(): void
}

/** `read` an existing file, `create` a new one (fails with `EEXIST`), `open` for both, made when absent. */
export type OpenMode = 'read' | 'create' | 'open'

/**
 * Files and directories. Paths use `/` and are absolute or relative to the process, exactly as given. What fails throws, or
 * rejects with, a `FileSystemError`.
 */
export interface FileSystem {
  /** A log writes zeros ahead of itself in steps of this many bytes, for cheaper syncs; 0 where syncs cost nothing. */
  readonly preallocateBytes: number
  open(path: string, mode: OpenMode): FileHandle
  /** Atomically replaces `to`. Durable after `syncDirectory` of its parent. */
  rename(from: string, to: string): void
  remove(path: string): void
  /**
   * Gives the file a second name, which must be new (`EEXIST`). Durable after `syncDirectory` of its parent. Where there are no
   * links it throws another code: `EPERM`, `EXDEV`, `ENOTSUP`, `EMLINK`.
   */
  link(from: string, to: string): void
  /** Makes the directory and its parents; existing ones are fine. */
  makeDirectory(path: string): void
  /** Names in the directory, sorted; `ENOENT` when there is none. */
  list(path: string): string[]
  exists(path: string): boolean
  /** Resolves when names made, renamed or removed in the directory are durable. */
  syncDirectory(path: string): Promise<void>
}

/** What time it is. */
export interface Clock {
  /** Wall clock: microseconds since the epoch, UTC. May jump. */
  nowUs(): number
  /** Milliseconds since some fixed moment; never goes back. */
  monotonicMs(): number
}

/** Bytes that nobody can guess. */
export interface Random {
  /** Fills `target` and returns it. */
  bytes(target: Uint8Array): Uint8Array
}

/** When things are done later. */
export interface Timers {
  /** A one-shot timer; the returned function cancels it. A `background` timer does not keep the process alive: for upkeep that no one waits for. */
  after(delayMs: number, task: () => void, background?: boolean): () => void
  /** Runs the task after I/O that is ready has had its turn (setImmediate). */
  soon(task: () => void): void
}

export interface Checksums {
  /** CRC-32 (IEEE), continuing from `seed`. */
  crc32(bytes: Uint8Array, seed?: number): number
}

export interface Compression {
  compress(bytes: Uint8Array): Uint8Array
  /** Throws when the input is damaged or would give more than `lengthMax` bytes. */
  decompress(bytes: Uint8Array, lengthMax: number): Uint8Array
}

/** A BLAKE3 hash under way. */
export interface Blake3Hash {
  update(bytes: Uint8Array): void
  /** The 32 bytes; the hash is over. */
  digest(): Uint8Array
  /** Gives up a hash that is not asked for. Calling it after `digest` is allowed. */
  dispose(): void
}

export interface Blake3 {
  hash(): Blake3Hash
}

export interface Process {
  readonly pid: number
  /** An opaque token that tells one run of a pid from another (its start time), or undefined when no such process lives. */
  startToken(pid: number): string | undefined
}

/** How much a line of the log matters. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
/** Where lines of the log go. */
export type Logger = (level: LogLevel, message: string, details?: Readonly<Record<string, unknown>>) => void

/** What a task in another thread has of the machine. */
export type WorkerPorts = Pick<Ports, 'files' | 'clock' | 'timers' | 'checksums' | 'zstd'>

export interface WorkerContext<P> {
  /** The caller's. A task in another thread gets its own of the same kind. */
  readonly ports: WorkerPorts
  /** When it is aborted, the task stops at its next turn, or at once with its thread. */
  readonly signal: AbortSignal
  progress(progress: P): void
}

/** Work that may be done in another thread: a function from plain data to plain data, and where to find it there. */
export interface WorkerTask<I, R, P> {
  /** `import.meta.url` of the module that exports the task. */
  readonly module: string
  /** The name of the export. */
  readonly name: string
  /**
   * Whether others wait for it: its thread does not give way to them then, and stays for a while, warm for the next such task.
   * Default: upkeep, in a thread of its own.
   */
  readonly isAwaited?: boolean
  /** Memory of the result that the thread hands over; all else is copied. */
  handsOver?(result: R): ArrayBuffer[]
  run(input: I, context: WorkerContext<P>): Promise<R>
}

export interface Workers {
  /**
   * Runs the task, in another thread where there are threads; one that runs another task is not waited for. Rejects with what
   * the task rejects with: a `SydraError` as such. When the signal is aborted it rejects with its reason, after the task has
   * stopped for good.
   */
  run<I, R, P>(task: WorkerTask<I, R, P>, input: I, context: WorkerContext<P>): Promise<R>
}

export interface Ports {
  readonly files: FileSystem
  readonly clock: Clock
  readonly random: Random
  readonly timers: Timers
  readonly checksums: Checksums
  readonly zstd: Compression
  readonly blake3: Blake3
  readonly workers: Workers
  readonly process: Process
  readonly log: Logger
}
