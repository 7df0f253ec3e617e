/**
 * Repair makes the directory what the scan found worth keeping: one sequence of frames, durable, nothing behind it.
 *
 * Invariants:
 * 1. When it is done, everything replayed is durable and nothing that was cut can come back.
 * 2. It may be cut short anywhere: the next scan finds the same frames and repairs the same.
 * 3. What may not have reached the device is written again before it is synced: a system that failed an fdatasync takes
 *    its pages for clean and will not write them by itself (Rebello et al., "Can Applications Recover from fsync
 *    Failures?", USENIX ATC 2020).
 * 4. Each file has both copies of its header: the next damage to one of them is the first.
 * 5. Bytes that may be someone's frames, but cannot be read, are set aside as `<name>.damaged`, not deleted.
 */
import { fileError } from '../../lib/file-errors.ts'
import { directoryOf } from '../../lib/paths.ts'
import type { FileHandle, Ports } from '../../lib/ports.ts'
import { setAside } from '../set-aside.ts'
import type { Lsn } from '../types.ts'
import { encodeFileHeader, frameBytes, framesStart } from './format.ts'
import { FrameReader } from './frame-reader.ts'
import { currentPath, type FoundFile, freeRotatedPath, type LogFile } from './log-files.ts'
import type { WalEvent, WalScan } from './scan.ts'

const copyBytes = 2 ** 20

/** The files to keep, in log order; only the last may be `current.wal`. Throws `io_error`, `disk_full`. */
export async function repairLog(
  ports: Ports,
  directory: string,
  scan: WalScan,
  onEvent: (event: WalEvent) => void,
): Promise<LogFile[]> {
  try {
    const kept = scan.files.filter((file, index) => index <= scan.keptFile && file.readable)
    for (const [index, file] of [...scan.files.entries()].reverse()) {
      if (kept.includes(file)) continue
      // A file within the sequence that cannot be read was reported as corruption when the scan passed it.
      dropFile(ports, file, index > scan.keptFile ? onEvent : () => {})
    }
    const last = kept.at(-1)
    for (const file of kept) {
      if (file.path === currentPath(directory) && file !== last) {
        const path = freeRotatedPath(ports.files, directory, file.firstLsn)
        ports.files.rename(file.path, path)
        file.path = path
      }
      await settleFile(ports, file, file === last, scan.durableLsn, onEvent)
    }
    await ports.files.syncDirectory(directory)
    await ports.files.syncDirectory(directoryOf(directory))
    return kept
  } catch (error) {
    throw fileError(error, `cannot repair ${directory}`)
  }
}

/** Takes a file out of the log: one behind the torn place, or one whose header is gone. */
function dropFile(ports: Ports, file: FoundFile, onEvent: (event: WalEvent) => void): void {
  const used = reading(ports, file, reader => reader.usedEnd(framesStart))
  if (used > framesStart) onEvent({ kind: 'wal-truncated', path: file.path, offset: 0, bytes: used })
  if (used > framesStart && !file.readable) setAside(ports.files, file.path)
  else ports.files.remove(file.path)
}

/** Cuts the tail of the last file, and makes durable what may not be. */
async function settleFile(
  ports: Ports,
  file: FoundFile,
  isLast: boolean,
  durableLsn: Lsn,
  onEvent: (event: WalEvent) => void,
): Promise<void> {
  const { used, cut, doubtful } = reading(ports, file, reader => ({
    used: isLast ? reader.usedEnd(file.end) : file.end,
    cut: isLast && reader.size > file.end,
    doubtful: doubtfulFrom(reader, file, durableLsn),
  }))
  if (used > file.end) {
    onEvent({ kind: 'wal-truncated', path: file.path, offset: file.end, bytes: used - file.end })
  }
  if (!cut && doubtful === file.end && file.isHeaderWhole) return
  const handle = ports.files.open(file.path, 'open')
  try {
    if (cut) handle.truncate(file.end)
    // The good copy is written over with what it holds: wherever this is torn, one of them stays.
    if (!file.isHeaderWhole) handle.write(encodeFileHeader(file, ports.checksums), 0)
    writeAgain(handle, doubtful, file.end)
    await handle.dataSync()
  } finally {
    handle.close()
  }
}

function reading<T>(ports: Ports, { path, salt }: FoundFile, read: (reader: FrameReader) => T): T {
  const reader = new FrameReader(ports, path, salt)
  try {
    return read(reader)
  } finally {
    reader.close()
  }
}

/** The offset from which on frames were not known to be durable; the end when all were. */
function doubtfulFrom(reader: FrameReader, file: FoundFile, durableLsn: Lsn): number {
  if (file.lastLsn <= durableLsn) return file.end
  if (file.firstLsn > durableLsn) return 0
  let offset = reader.scan(framesStart)
  while (offset !== undefined && offset < file.end) {
    const header = reader.header(offset)!
    if (header.lsn > durableLsn) return offset
    offset = reader.scan(offset + frameBytes(header.payloadBytes))
  }
  return file.end
}

function writeAgain(handle: FileHandle, from: number, to: number): void {
  const buffer = new Uint8Array(Math.min(copyBytes, Math.max(0, to - from)))
  for (let at = from; at < to; at += buffer.length) {
    const bytes = buffer.subarray(0, Math.min(buffer.length, to - at))
    handle.write(bytes.subarray(0, handle.read(bytes, at)), at)
  }
}
