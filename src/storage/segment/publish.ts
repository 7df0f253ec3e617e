/**
 * Publishing segments: whole and durable under their names, or not there at all.
 *
 *   <path>.tmp written, fdatasync -> renamed -> directories synced, innermost last
 *
 * Invariants:
 * 1. When it resolves, the files and every directory on their paths are durable.
 * 2. It may be repeated after any failure: what an earlier try left is overwritten.
 */

import { SydraError } from '../../lib/errors.ts'
import type { FileSystem, Ports } from '../../lib/ports.ts'
import { isFileSystemError } from '../../lib/ports.ts'
import { removeQuietly } from '../../lib/remove-quietly.ts'
import type { SegmentSink } from './encode.ts'

/** Files with this ending are left from tries that failed; recovery removes them. */
export const temporarySuffix = '.tmp'

/** `window` is a name that `partition` gives, `id` is unique in the database. */
export const segmentPath = (window: string, id: string): string => `segments/${window}/${id}.seg`

/** A segment file under its temporary name. */
export interface UnpublishedSegment extends SegmentSink {
  /** Relative to the data directory. */
  readonly path: string
  /** Makes what was written durable; nothing is written any more. */
  sync(): Promise<void>
  /** Gives the file its name. Durable when the directories are synced. */
  rename(): void
  /** Removes what is there under the temporary name. Never throws. */
  discard(): void
}

/** Throws `disk_full`, `io_error`, as its methods do. */
export function createSegment(files: FileSystem, dataDir: string, path: string): UnpublishedSegment {
  const told = <T>(task: () => T): T => {
    try {
      return task()
    } catch (error) {
      throw unwritten(error, path)
    }
  }
  const target = `${dataDir}/${path}`
  const temporary = target + temporarySuffix
  const discardFile = (): void => {
    removeQuietly(files, temporary)
  }
  const file = told(() => {
    files.makeDirectory(`${dataDir}/${directoriesOf(path).at(-1)}`)
    return files.open(temporary, 'open')
  })
  try {
    told(() => file.truncate(0))
  } catch (error) {
    file.close()
    discardFile()
    throw error
  }
  return {
    path,
    write: (bytes, position) => told(() => file.write(bytes, position)),
    truncate: length => told(() => file.truncate(length)),
    async sync() {
      try {
        await file.dataSync()
      } catch (error) {
        throw unwritten(error, path)
      } finally {
        file.close()
      }
    },
    rename: () => told(() => files.rename(temporary, target)),
    discard() {
      file.close()
      discardFile()
    },
  }
}

/** Throws `disk_full`, `io_error`: what has no name yet is gone then. */
export async function publishAll(
  files: FileSystem,
  dataDir: string,
  segments: readonly UnpublishedSegment[],
): Promise<void> {
  try {
    for (const segment of segments) await segment.sync()
    for (const segment of segments) segment.rename()
    // Even a directory that was there may be new to the disk: an earlier try may have made it and failed.
    const directories = new Set(segments.flatMap(({ path }) => directoriesOf(path)))
    for (const directory of [dataDir, ...[...directories].sort().map(each => `${dataDir}/${each}`)])
      await files.syncDirectory(directory)
  } catch (error) {
    for (const segment of segments) segment.discard()
    throw unwritten(error, segments[0]?.path ?? dataDir)
  }
}

/** Throws `disk_full`, `io_error`. `path` is relative to the data directory. */
export async function publishSegment(
  { files }: Pick<Ports, 'files'>,
  dataDir: string,
  path: string,
  bytes: Uint8Array,
): Promise<void> {
  const segment = createSegment(files, dataDir, path)
  try {
    segment.write(bytes, 0)
  } catch (error) {
    segment.discard()
    throw error
  }
  await publishAll(files, dataDir, [segment])
}

function unwritten(error: unknown, path: string): unknown {
  if (!isFileSystemError(error)) return error
  const code = error.code === 'ENOSPC' || error.code === 'EDQUOT' ? 'disk_full' : 'io_error'
  return new SydraError(code, `segment ${path} could not be written: ${error.message}`, { cause: error })
}

/** `segments/all/1.seg` -> `segments`, `segments/all`: sorted, the outer come first. */
function directoriesOf(path: string): string[] {
  const parts = path.split('/').slice(0, -1)
  return parts.map((_, i) => parts.slice(0, i + 1).join('/'))
}
