/**
 * The files of a log directory: `current.wal`, which takes frames, and `<first LSN>.wal`, which are full.
 *
 * What counts is the header: a file keeps its place in the sequence whatever it is called. The name only stands in where
 * the header cannot be read.
 */
import { SydraError } from '../../lib/errors.ts'
import { fileError } from '../../lib/file-errors.ts'
import type { FileSystem, Ports } from '../../lib/ports.ts'
import { readWhole } from '../../lib/read-whole.ts'
import type { Lsn } from '../types.ts'
import {
  currentName,
  decodeFileHeader,
  framesStart,
  hasBothHeaders,
  isWalName,
  rotatedName,
  walVersion,
  walVersionMin,
} from './format.ts'

/** A log file as recovery found it and as the writer goes on with it. */
export interface LogFile {
  path: string
  readonly version: number
  readonly salt: number
  readonly firstLsn: Lsn
  /** LSN of the last frame; below `firstLsn` while there is none. */
  lastLsn: Lsn
  /** Where the last frame ends. */
  end: number
}

export interface FoundFile extends LogFile {
  /** False: neither copy of the header can be read, so no frame in it can be told from noise. */
  readonly readable: boolean
  /** Both copies of the header are there. */
  readonly isHeaderWhole: boolean
}

export const currentPath = (directory: string): string => `${directory}/${currentName}`

/** Where to move a full file; another file never has to give way. */
export function freeRotatedPath(files: FileSystem, directory: string, firstLsn: Lsn): string {
  let lsn = firstLsn
  while (files.exists(`${directory}/${rotatedName(lsn)}`)) lsn++
  return `${directory}/${rotatedName(lsn)}`
}

/** The files in log order. Throws `corrupt_wal` for one that a newer version wrote, `io_error`. */
export function findLogFiles(ports: Ports, directory: string): FoundFile[] {
  try {
    ports.files.makeDirectory(directory)
    const names = ports.files.list(directory).filter(isWalName)
    const found = names.map(name => readHeader(ports, directory, name))
    const last = (file: FoundFile) => (file.path === currentPath(directory) ? 1 : 0)
    return found.sort((a, b) => a.firstLsn - b.firstLsn || last(a) - last(b))
  } catch (error) {
    throw fileError(error, `cannot read ${directory}`)
  }
}

function readHeader(ports: Ports, directory: string, name: string): FoundFile {
  const path = `${directory}/${name}`
  const bytes = readWhole(ports.files, path, framesStart)
  const header = decodeFileHeader(bytes, ports.checksums)
  if (header !== undefined && (header.version < walVersionMin || header.version > walVersion)) {
    throw new SydraError('corrupt_wal', `${path} has format version ${header.version}`, {
      hint: `this version of SydraDB reads versions ${walVersionMin} to ${walVersion}: open the directory with the version that wrote it`,
    })
  }
  const named = name === currentName ? Number.MAX_SAFE_INTEGER : Number.parseInt(name, 10)
  const firstLsn = header?.firstLsn ?? named
  return {
    path,
    version: header?.version ?? walVersion,
    salt: header?.salt ?? 0,
    firstLsn,
    lastLsn: firstLsn - 1,
    end: framesStart,
    readable: header !== undefined,
    isHeaderWhole: header !== undefined && hasBothHeaders(bytes, ports.checksums),
  }
}
