/** The files of a data directory, by what they are. Paths are relative to it. */
import { type FileSystem, isFileSystemError } from '../lib/ports.ts'
import { isSetAside } from './set-aside.ts'

/** Names in the directory; none where it is missing or no directory. */
export function namesIn(files: FileSystem, path: string): string[] {
  try {
    return files.list(path)
  } catch (error) {
    if (isFileSystemError(error) && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return []
    throw error
  }
}

/** What lies in the directories of `parent`: `segments` -> `segments/2024-03-01/0000000001.seg`, … */
function filesUnder(files: FileSystem, dataDir: string, parent: string): string[] {
  const below = (path: string): string[] => namesIn(files, `${dataDir}/${path}`).map(name => `${path}/${name}`)
  return below(parent).flatMap(below)
}

/** Segments, and those that are not whole yet. */
export const segmentFiles = (files: FileSystem, dataDir: string): string[] =>
  filesUnder(files, dataDir, 'segments').filter(path => !isSetAside(path))

/** Damaged files that were kept. */
export const filesSetAside = (files: FileSystem, dataDir: string): string[] =>
  [
    ...namesIn(files, dataDir),
    ...namesIn(files, `${dataDir}/wal`).map(name => `wal/${name}`),
    ...filesUnder(files, dataDir, 'segments'),
    ...filesUnder(files, dataDir, 'objects'),
    ...namesIn(files, `${dataDir}/refs`).map(name => `refs/${name}`),
  ].filter(isSetAside)
