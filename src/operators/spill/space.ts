/**
 * Temporary files of queries: where a sort or a group-by goes on when its memory is full.
 *
 *   <dataDir>/tmp/<query>-<number>.run     appended to, then read by position, then removed
 *
 * Invariants:
 * 1. Files live as long as their query: `close` removes what is left, and so does an abort, whoever still reads then gets
 *    the reason. What a crash leaves is removed when the database is opened (`removeTemporaryFiles`).
 * 2. All files of a query together hold at most `bytesMax`; more is `memory_limit`, a full device is `disk_full`.
 * 3. A short read is an error: nobody sees bytes that were not written.
 */
import { cancellation } from '../../lib/cancel.ts'
import { SydraError } from '../../lib/errors.ts'
import { fileError } from '../../lib/file-errors.ts'
import { type FileHandle, type FileSystem, isFileSystemError } from '../../lib/ports.ts'
import { megabytes } from '../../lib/text.ts'

/** The temporary files of one query. */
export interface Spill {
  /** Bytes its files hold now. */
  readonly heldBytes: number
  /** Bytes written so far. */
  readonly writtenBytes: number
  /** Makes an empty file. */
  create(): TemporaryFile
  /** Removes all files; more calls do nothing. */
  close(): void
}

export interface TemporaryFile {
  readonly size: number
  /** Appends. Throws `memory_limit` beyond the query's limit, `disk_full` when the device has no room. */
  write(bytes: Uint8Array): void
  /** Gives the descriptor back until the next read or write: many files may wait at once. */
  rest(): void
  /** Fills `target` or throws `io_error`. */
  read(target: Uint8Array, position: number): void
  /** Doing it twice is allowed. */
  remove(): void
}

export interface SpillLimits {
  readonly memoryMaxBytes: number
  /** What one query's files may hold together. */
  readonly bytesMax: number
}

export interface SpillSpace {
  /** For one query; an abort of the signal closes it. */
  open(signal: AbortSignal): Spill
}

const directoryOf = (dataDir: string): string => `${dataDir}/tmp`

/** The database's spill space; nothing is made before the first file. */
export function spillSpace(files: FileSystem, dataDir: string, limits: SpillLimits): SpillSpace {
  let queries = 0
  return { open: signal => openSpill(files, directoryOf(dataDir), `${++queries}`, limits, signal) }
}

/** Removes what a crash has left. What cannot be removed now is overwritten, or tried again at the next opening. */
export function removeTemporaryFiles(files: FileSystem, dataDir: string): void {
  const directory = directoryOf(dataDir)
  if (!files.exists(directory)) return
  for (const name of files.list(directory)) quietly(() => files.remove(`${directory}/${name}`))
}

function openSpill(
  files: FileSystem,
  directory: string,
  query: string,
  { bytesMax, memoryMaxBytes }: SpillLimits,
  signal: AbortSignal,
): Spill {
  const alive = new Set<TemporaryFile>()
  let made = 0
  const bytes: SpilledBytes = { held: 0, written: 0 }
  let isOpen = true

  const checkOpen = (): void => {
    if (isOpen) return
    throw cancellation(signal.reason, 'the query has ended')
  }

  const take = (count: number): void => {
    if (bytes.held + count > bytesMax)
      throw new SydraError(
        'memory_limit',
        `the query needs more than ${megabytes(memoryMaxBytes)} of memory and ${megabytes(bytesMax)} of temporary files`,
        {
          hint: 'narrow the time range, group by fewer values, add a limit, or raise query.memory_max_bytes or query.spill_max_bytes',
        },
      )
    bytes.held += count
    bytes.written += count
  }

  const create = (): TemporaryFile => {
    checkOpen()
    const path = `${directory}/${query}-${++made}.run`
    let handle: FileHandle | undefined
    let size = 0
    const opened = (): FileHandle => (handle ??= files.open(path, 'open'))
    const attempt = <T>(work: () => T): T => {
      checkOpen()
      try {
        return work()
      } catch (error) {
        throw spillError(error, bytes.held)
      }
    }
    const file: TemporaryFile = {
      get size() {
        return size
      },
      write(added) {
        checkOpen()
        take(added.length)
        attempt(() => opened().write(added, size))
        size += added.length
      },
      rest() {
        handle?.close()
        handle = undefined
      },
      read(target, position) {
        const count = attempt(() => opened().read(target, position))
        if (count < target.length) throw new SydraError('io_error', `${path} ends before what was written to it`)
      },
      remove() {
        if (!alive.delete(file)) return
        bytes.held -= size
        file.rest()
        quietly(() => files.remove(path))
      },
    }
    attempt(() => {
      if (made === 1) begin()
      opened().truncate(0)
    })
    alive.add(file)
    return file
  }

  const close = (): void => {
    if (!isOpen) return
    isOpen = false
    signal.removeEventListener('abort', close)
    for (const file of alive) file.remove()
  }
  /** Most queries never need a file. */
  const begin = (): void => {
    files.makeDirectory(directory)
    signal.addEventListener('abort', close, { once: true })
  }
  return new QuerySpill(bytes, create, close)
}

interface SpilledBytes {
  held: number
  written: number
}

class QuerySpill implements Spill {
  readonly #bytes: SpilledBytes
  readonly create: () => TemporaryFile
  readonly close: () => void

  constructor(bytes: SpilledBytes, create: () => TemporaryFile, close: () => void) {
    this.#bytes = bytes
    this.create = create
    this.close = close
  }

  get heldBytes(): number {
    return this.#bytes.held
  }
  get writtenBytes(): number {
    return this.#bytes.written
  }
}

function spillError(error: unknown, heldBytes: number): SydraError {
  const problem = fileError(error, 'cannot use the temporary files of a query')
  if (problem.code !== 'disk_full') return problem
  return new SydraError('disk_full', `no room for a query's temporary files, which hold ${megabytes(heldBytes)}`, {
    cause: error,
    hint: 'free space on the device, narrow the query, or give it more memory (query.memory_max_bytes)',
  })
}

/** A file that cannot be removed is in nobody's way. */
function quietly(work: () => void): void {
  try {
    work()
  } catch (error) {
    if (!isFileSystemError(error)) throw error
  }
}
