/**
 * The catalog log: record batches since the last checkpoint, each durable before the next is written.
 *
 *   header  magic (8) | version (u32) | incarnation (16) | salt (u32) | crc (u32)
 *   frame   magic (u32) | length (u32) | crc (u32, seeded by the salt; covers length and batch) | batch
 *
 * Invariants:
 * 1. A log appears under its name complete with header and durable; a bad header is damage, never a torn write.
 * 2. A frame is written only when all before it are durable. So a bad frame with a good one behind it is damage, and a
 *    bad end is a torn tail, which opening cuts.
 * 3. After a failed sync the file is not written again: what is durable in it is unknown until it is reopened.
 */
import { assert } from '../../lib/assert.ts'
import { SydraError } from '../../lib/errors.ts'
import type { FileHandle, Ports } from '../../lib/ports.ts'
import { contentsOf, readWhole } from '../../lib/read-whole.ts'
import { fromHex, toHex } from '../../lib/text.ts'
import { ByteReader, ByteWriter, DamageError } from '../codecs/bytes.ts'
import { unsupportedVersion } from '../unsupported-version.ts'

export const logName = 'catalog.log'
const logMagic = 'SYDRACLG'
const logVersion = 1
const headerBytes = 36
const frameMagic = 0x4652_4353 // "SCRF"
const frameHeaderBytes = 12

export type LogPorts = Pick<Ports, 'files' | 'checksums' | 'random'>

export interface CatalogLog {
  readonly incarnation: string
  /** Its size: where the next frame goes. */
  readonly bytes: number
  /** False once a sync failed, or a failed write could not be undone. */
  readonly usable: boolean
  /** Resolves when the batch is durable. */
  append(batch: Uint8Array): Promise<void>
  /**
   * Resolves when what was read at opening is durable: a process that ended before its sync may have left it in the page cache
   * alone. It is written again, as a system that failed the sync takes its pages for clean (see `wal/repair.ts`).
   */
  settle(): Promise<void>
  close(): void
}

/** Puts an empty log in place of the one there may be. */
export async function createLog(ports: LogPorts, directory: string, incarnation: string): Promise<CatalogLog> {
  const { files, checksums, random } = ports
  const salt = new ByteReader(random.bytes(new Uint8Array(4))).u32()
  const header = new ByteWriter(headerBytes)
  header.raw(encoder.encode(logMagic))
  header.u32(logVersion)
  header.raw(fromHex(incarnation))
  header.u32(salt)
  header.u32(checksums.crc32(header.take()))
  const path = `${directory}/${logName}`
  const temporary = `${path}.tmp`
  if (files.exists(temporary)) files.remove(temporary)
  const file = files.open(temporary, 'create')
  try {
    file.write(header.take(), 0)
    await file.dataSync()
    files.rename(temporary, path)
    await files.syncDirectory(directory)
  } catch (error) {
    file.close()
    throw error
  }
  return openedLog(ports, file, incarnation, salt, headerBytes)
}

/**
 * Opens the log, hands each batch to `apply`, tells where they end, and cuts a torn tail. Throws `corrupt_catalog` where it is damaged;
 * `apply` reports a batch that does not fit by a `DamageError`.
 */
export function openLog(
  ports: LogPorts,
  directory: string,
  apply: (batch: Uint8Array, incarnation: string) => void,
  applied: (end: number) => void,
): CatalogLog {
  const path = `${directory}/${logName}`
  const file = ports.files.open(path, 'open')
  try {
    const bytes = contentsOf(file)
    const { incarnation, salt, frames, end, goodBehind } = decodeLog(ports, path, bytes)
    for (const { at, batch } of frames) {
      try {
        apply(batch, incarnation)
      } catch (error) {
        if (!(error instanceof DamageError)) throw error
        throw corrupt(path, at + frameHeaderBytes + error.offset, error.message)
      }
    }
    if (goodBehind) throw corrupt(path, end, damagedFrame)
    applied(end)
    if (end < bytes.length) file.truncate(end)
    return openedLog(ports, file, incarnation, salt, end)
  } catch (error) {
    file.close()
    throw error
  }
}

export const damagedFrame = 'a frame before a good one is damaged'

export interface LogFrame {
  readonly at: number
  readonly batch: Uint8Array
}

export interface DecodedLog {
  readonly incarnation: string
  readonly salt: number
  /** Up to the first that is none. */
  readonly frames: readonly LogFrame[]
  /** Where they end. */
  readonly end: number
  /** Whether a good frame comes behind: then what is at `end` is damaged, not torn. */
  readonly goodBehind: boolean
}

/** Throws `corrupt_catalog` when the header is damaged. */
export function decodeLog(ports: Pick<Ports, 'checksums'>, path: string, bytes: Uint8Array): DecodedLog {
  const header = readHeader(ports, path, bytes)
  const frames: LogFrame[] = []
  let end = headerBytes
  for (;;) {
    const batch = frameAt(ports, bytes, end, header.salt)
    if (batch === undefined) break
    frames.push({ at: end, batch })
    end += frameHeaderBytes + batch.length
  }
  const goodBehind = framesBehind(ports, bytes, end + 1, header.salt).next().done !== true
  return { ...header, frames, end, goodBehind }
}

/** All batches that can be read, damaged ones passed over; undefined when the header is damaged. */
export function salvageLog(
  ports: Pick<Ports, 'files' | 'checksums'>,
  directory: string,
): { readonly incarnation: string; readonly batches: readonly Uint8Array[] } | undefined {
  const path = `${directory}/${logName}`
  if (!ports.files.exists(path)) return undefined
  const bytes = readWhole(ports.files, path)
  try {
    const { incarnation, salt } = readHeader(ports, path, bytes)
    return { incarnation, batches: [...framesBehind(ports, bytes, headerBytes, salt)] }
  } catch (error) {
    if (error instanceof SydraError && error.code === 'corrupt_catalog') return undefined
    throw error
  }
}

function* framesBehind(ports: Pick<Ports, 'checksums'>, bytes: Uint8Array, from: number, salt: number) {
  for (let at = from; at < bytes.length; ) {
    const batch = frameAt(ports, bytes, at, salt)
    if (batch !== undefined) yield batch
    at += batch === undefined ? 1 : frameHeaderBytes + batch.length
  }
}

function readHeader(
  { checksums }: Pick<Ports, 'checksums'>,
  path: string,
  bytes: Uint8Array,
): { readonly incarnation: string; readonly salt: number } {
  if (bytes.length < headerBytes) throw corrupt(path, 0, 'the header is incomplete')
  const reader = new ByteReader(bytes)
  if (String.fromCharCode(...reader.raw(8)) !== logMagic) throw corrupt(path, 0, 'this is no catalog log')
  const version = reader.u32()
  const incarnation = toHex(reader.raw(16))
  const salt = reader.u32()
  if (reader.u32() !== checksums.crc32(bytes.subarray(0, headerBytes - 4)))
    throw corrupt(path, 0, 'the header is damaged')
  if (version !== logVersion) throw unsupportedVersion(path, version, logVersion)
  return { incarnation, salt }
}

function frameAt(
  { checksums }: Pick<Ports, 'checksums'>,
  bytes: Uint8Array,
  at: number,
  salt: number,
): Uint8Array | undefined {
  if (bytes[at] !== (frameMagic & 0xff) || bytes.length - at < frameHeaderBytes) return undefined
  const reader = new ByteReader(bytes, at)
  if (reader.u32() !== frameMagic) return undefined
  const length = reader.u32()
  const crc = reader.u32()
  if (length > bytes.length - reader.at) return undefined
  const batch = reader.raw(length)
  const seeded = checksums.crc32(bytes.subarray(at + 4, at + 8), salt)
  return checksums.crc32(batch, seeded) === crc ? batch : undefined
}

function openedLog(ports: LogPorts, file: FileHandle, incarnation: string, salt: number, end: number): CatalogLog {
  let usable = true
  let bytes = end
  return {
    incarnation,
    get bytes() {
      return bytes
    },
    get usable() {
      return usable
    },
    async append(batch) {
      assert(usable, 'a log whose sync failed is not written again')
      const head = new ByteWriter(frameHeaderBytes)
      head.u32(frameMagic)
      head.u32(batch.length)
      const seeded = ports.checksums.crc32(head.bytes.subarray(4, 8), salt)
      head.u32(ports.checksums.crc32(batch, seeded))
      try {
        file.write(head.written(), bytes)
        file.write(batch, bytes + frameHeaderBytes)
      } catch (error) {
        usable = cutBack(file, bytes)
        throw error
      }
      usable = false
      try {
        await file.dataSync()
      } catch (error) {
        // The bytes may be readable and yet never reach the device: the next process must not build on them.
        cutBack(file, bytes)
        throw error
      }
      usable = true
      bytes += frameHeaderBytes + batch.length
    },
    async settle() {
      const read = new Uint8Array(bytes)
      file.write(read.subarray(0, file.read(read, 0)), 0)
      await file.dataSync()
    },
    close: () => file.close(),
  }
}

/** Removes what a failed append left. False when that failed too. */
function cutBack(file: FileHandle, size: number): boolean {
  try {
    file.truncate(size)
    return true
  } catch {
    return false
  }
}

export const corrupt = (path: string, offset: number, what: string): SydraError =>
  new SydraError('corrupt_catalog', `${path}, offset ${offset}: ${what}`, {
    hint: 'the catalog can be rebuilt from the segments',
  })

const encoder = new TextEncoder()
