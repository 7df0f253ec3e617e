/**
 * Publishing a segment: whole and durable under its name, or not there at all.
 *
 *   <path>.tmp written, fdatasync -> renamed -> directories synced, innermost last
 *
 * Invariants:
 * 1. When it resolves, the file and every directory on its path are durable.
 * 2. It may be repeated after any failure: what an earlier try left is overwritten.
 */

import { SydraError } from '../../lib/errors.ts'
import type { Ports } from '../../lib/ports.ts'
import { isFileSystemError } from '../../lib/ports.ts'

/** Files with this ending are left from tries that failed; recovery removes them. */
export const temporarySuffix = '.tmp'

/** `window` is a name that `partition` gives, `id` is unique in the database. */
export const segmentPath = (window: string, id: string): string => `segments/${window}/${id}.seg`

/** Throws `disk_full`, `io_error`. `path` is relative to the data directory. */
export async function publishSegment(
  { files }: Pick<Ports, 'files'>,
  dataDir: string,
  path: string,
  bytes: Uint8Array,
): Promise<void> {
  const directories = directoriesOf(path).map(directory => `${dataDir}/${directory}`)
  const target = `${dataDir}/${path}`
  const temporary = target + temporarySuffix
  try {
    files.makeDirectory(directories.at(-1) ?? dataDir)
    const file = files.open(temporary, 'open')
    try {
      file.truncate(0)
      file.write(bytes, 0)
      await file.dataSync()
    } finally {
      file.close()
    }
    files.rename(temporary, target)
    // Even a directory that was there may be new to the disk: an earlier try may have made it and failed.
    for (const directory of [dataDir, ...directories]) await files.syncDirectory(directory)
  } catch (error) {
    if (files.exists(temporary)) removeQuietly(files, temporary)
    if (!isFileSystemError(error)) throw error
    const code = error.code === 'ENOSPC' || error.code === 'EDQUOT' ? 'disk_full' : 'io_error'
    throw new SydraError(code, `segment ${path} could not be written: ${error.message}`, { cause: error })
  }
}

/** `segments/all/1.seg` -> `segments`, `segments/all`. */
function directoriesOf(path: string): string[] {
  const parts = path.split('/').slice(0, -1)
  return parts.map((_, i) => parts.slice(0, i + 1).join('/'))
}

function removeQuietly(files: Ports['files'], path: string): void {
  try {
    files.remove(path)
  } catch {
    // The first failure is the one to tell; recovery removes what is left.
  }
}
