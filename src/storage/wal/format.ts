/**
 * The bytes of a write-ahead log file; `docs/format/wal.md` says the same in prose.
 *
 *   file    header  header again  frame frame … zeros (preallocated)
 *   header  magic 8 | version u32 | salt u32 | first LSN u64 | 0 u32 | CRC of the 28 bytes before        32 bytes
 *   frame   header CRC u32 | payload CRC u32 | payload bytes u32 | type u8 | 0 0 0 | LSN u64 | durable LSN u64
 *           payload | zeros to a multiple of 8
 *
 * Invariants:
 * 1. Numbers are little-endian. Frames begin at multiples of 8, the first at `framesStart`.
 * 2. Both CRCs of a frame start from the file's salt: bytes of another file, or of a user who wrote something that looks
 *    like a frame, do not pass. The header's CRC covers the payload's, so together they cover every byte of the frame.
 * 3. A header that passes tells the frame's extent and LSN even where its payload is damaged.
 * 4. LSNs start at 1, so zeros are no frame.
 */
import type { Checksums } from '../../lib/ports.ts'
import type { Lsn } from '../types.ts'

const fileHeaderBytes = 32
export const framesStart = 2 * fileHeaderBytes
export const frameHeaderBytes = 32
const frameAlignment = 8
/** Of what is written. */
export const walVersion = 2
/** The oldest that is read: its frames have no blocks of numbers. */
export const walVersionMin = 1
const magic = new TextEncoder().encode('SydraWAL')

/** No frame is ever larger, whatever the settings of the process that wrote it. */
export const frameBytesLimit = 2 ** 30

export interface FileHeader {
  readonly version: number
  readonly salt: number
  /** LSN of the file's first frame. */
  readonly firstLsn: Lsn
}

export interface FrameHeader {
  readonly payloadCrc: number
  readonly payloadBytes: number
  /** 1 to 255; what the payload holds. */
  readonly type: number
  readonly lsn: Lsn
  /** Every frame up to this LSN was known to be synced when this one was written. */
  readonly durableLsn: Lsn
}

export const currentName = 'current.wal'
export const rotatedName = (firstLsn: Lsn): string => `${String(firstLsn).padStart(16, '0')}.wal`
export const isWalName = (name: string): boolean => name === currentName || /^\d{16}\.wal$/.test(name)

/** Bytes the frame takes in the file. */
export const frameBytes = (payloadBytes: number): number =>
  frameHeaderBytes + Math.ceil(payloadBytes / frameAlignment) * frameAlignment

/** Two copies of the header, so that no single damaged byte costs the salt and with it every frame of the file. */
export function encodeFileHeader(header: FileHeader, checksums: Checksums): Uint8Array {
  const bytes = new Uint8Array(framesStart)
  const view = new DataView(bytes.buffer)
  bytes.set(magic)
  view.setUint32(8, header.version, true)
  view.setUint32(12, header.salt, true)
  setLsn(view, 16, header.firstLsn)
  view.setUint32(28, checksums.crc32(bytes.subarray(0, 28)), true)
  bytes.copyWithin(fileHeaderBytes, 0, fileHeaderBytes)
  return bytes
}

/** The header from the file's first `framesStart` bytes, or undefined when both copies are damaged or torn. */
export function decodeFileHeader(bytes: Uint8Array, checksums: Checksums): FileHeader | undefined {
  for (let at = 0; at + fileHeaderBytes <= bytes.length; at += fileHeaderBytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, fileHeaderBytes)
    if (!magic.every((byte, i) => byte === view.getUint8(i))) continue
    if (view.getUint32(28, true) !== checksums.crc32(bytes.subarray(at, at + 28))) continue
    return { version: view.getUint32(8, true), salt: view.getUint32(12, true), firstLsn: getLsn(view, 16) }
  }
  return undefined
}

/** Whether each of the two copies can be read. */
export function hasBothHeaders(bytes: Uint8Array, checksums: Checksums): boolean {
  const copies = [bytes.subarray(0, fileHeaderBytes), bytes.subarray(fileHeaderBytes, framesStart)]
  return copies.every(copy => decodeFileHeader(copy, checksums) !== undefined)
}

/** Writes header and padding around a payload that already stands at `bytes[frameHeaderBytes…]`; `bytes` is the frame. */
export function sealFrame(
  bytes: Uint8Array,
  header: Omit<FrameHeader, 'payloadCrc'>,
  salt: number,
  checksums: Checksums,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, frameHeaderBytes)
  bytes.fill(0, frameHeaderBytes + header.payloadBytes)
  view.setUint32(4, checksums.crc32(bytes.subarray(frameHeaderBytes), salt), true)
  view.setUint32(8, header.payloadBytes, true)
  view.setUint32(12, header.type, true)
  setLsn(view, 16, header.lsn)
  setLsn(view, 24, header.durableLsn)
  view.setUint32(0, checksums.crc32(bytes.subarray(4, frameHeaderBytes), salt), true)
}

/** The header at `bytes[at]`, or undefined when none is there. Cheap on zeros and on noise. */
export function decodeFrameHeader(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  salt: number,
  checksums: Checksums,
): FrameHeader | undefined {
  const type = view.getUint32(at + 12, true)
  if (type === 0 || type > 255) return undefined
  const payloadBytes = view.getUint32(at + 8, true)
  if (payloadBytes > frameBytesLimit) return undefined
  if (view.getUint32(at, true) !== checksums.crc32(bytes.subarray(at + 4, at + frameHeaderBytes), salt)) {
    return undefined
  }
  const lsn = getLsn(view, at + 16)
  const durableLsn = getLsn(view, at + 24)
  if (lsn === 0 || durableLsn >= lsn) return undefined
  return { payloadCrc: view.getUint32(at + 4, true), payloadBytes, type, lsn, durableLsn }
}

function setLsn(view: DataView, at: number, lsn: Lsn): void {
  view.setUint32(at, lsn >>> 0, true)
  view.setUint32(at + 4, Math.floor(lsn / 2 ** 32), true)
}

function getLsn(view: DataView, at: number): Lsn {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32
}
