/**
 * The frame of a segment file: header first, trailer last, everything between them told by the footer.
 *
 *   header | chunks of the row groups | dictionary pages | footer | trailer
 *
 * The bytes are specified in docs/format/segment.md.
 *
 * Invariants:
 * 1. The sections follow each other without a gap, and a checksum covers every byte.
 * 2. The header says how long the file is, the trailer which header it belongs to: a cut file, or two halves of
 *    different files, are recognised before anything else is read.
 */
import type { Checksums } from '../../lib/ports.ts'
import { ByteReader, ByteWriter, DamageError } from '../codecs/bytes.ts'
import { rollupWidthsUs } from '../rollup/widths.ts'
import type { Lsn } from '../types.ts'

export const groupRowsMax = 12_288
/** About so many rows a group has where it may choose. */
export const groupRowsWanted = 8192
/** Times within a group differ by at most this much, so that differences are exact. */
export const groupSpanUsMax = Number.MAX_SAFE_INTEGER

const headerMagic = 'SYDRASEG'
const trailerMagic = 'SYDRAEND'
const version = 1
export const headerFixedLength = 100
/** Segments that one merge may write. */
export const mergePartsMax = 2 ** 15 - 1
/** Names of replaced inputs are bounded, so that a damaged length cannot ask for gigabytes. */
export const headerBytesMax = 16 * 1024 * 1024
export const trailerLength = 32

export type SegmentKind = { readonly kind: 'rows' } | { readonly kind: 'rollup'; readonly level: number }

export interface SegmentHeader {
  readonly kind: SegmentKind
  readonly dedupe: 'merge' | 'none'
  /** Written by the last merge of its window. */
  readonly settled: boolean
  /** Segments that the same merge wrote, this one among them; 0 for a flush. */
  readonly parts: number
  readonly minTimeUs: number
  readonly maxTimeUs: number
  readonly minLsn: Lsn
  readonly maxLsn: Lsn
  /** Which retention rule the whole file falls under; 0 is the default one. */
  readonly retentionClass: number
  /** The catalog whose ordinals the file uses: 16 bytes. */
  readonly incarnation: Uint8Array
  readonly rows: number
  readonly seriesCount: number
  /** Of the whole file. */
  readonly bytes: number
  /** Ids of the segments this one was merged from; empty for a flush. */
  readonly replaced: readonly string[]
}

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text)
const hasMagic = (bytes: Uint8Array, at: number, magic: string): boolean =>
  ascii(magic).every((byte, i) => bytes[at + i] === byte)

/** Bytes the header takes: the same whatever the values of its fixed fields. */
export function headerLength(replaced: readonly string[]): number {
  return headerFixedLength + replacedBytes(replaced).length + 4
}

function replacedBytes(replaced: readonly string[]): Uint8Array {
  const out = new ByteWriter()
  for (const id of replaced) out.text(id)
  return out.written()
}

export function encodeHeader(header: SegmentHeader, checksums: Checksums): Uint8Array {
  const names = replacedBytes(header.replaced)
  const out = new ByteWriter(headerFixedLength + names.length + 4)
  out.raw(ascii(headerMagic))
  out.u16(version)
  out.u8(header.kind.kind === 'rows' ? 0 : 1)
  out.u8(header.kind.kind === 'rows' ? 0 : header.kind.level)
  out.u8(0) // sort key: metric, series, time
  out.u8(header.dedupe === 'merge' ? 0 : 1)
  out.u16(header.parts * 2 + (header.settled ? 1 : 0))
  out.u32(headerFixedLength + names.length + 4)
  out.u32(header.retentionClass)
  out.raw(header.incarnation)
  out.f64(header.minTimeUs)
  out.f64(header.maxTimeUs)
  out.u64(header.minLsn)
  out.u64(header.maxLsn)
  out.u64(header.rows)
  out.u64(header.bytes)
  out.u32(header.seriesCount)
  out.u32(header.replaced.length)
  out.u32(names.length)
  out.raw(names)
  out.u32(checksums.crc32(out.written()))
  return out.written()
}

/** How long the header is that begins with `fixed`. */
export function declaredHeaderLength(fixed: Uint8Array): number {
  if (fixed.length < headerFixedLength || !hasMagic(fixed, 0, headerMagic)) throw new DamageError('not a segment', 0)
  const reader = new ByteReader(fixed, 8)
  const found = reader.u16()
  if (found !== version) throw new DamageError(`segment format version ${found} is unknown`, 8)
  reader.take(6)
  const length = reader.u32()
  if (length < headerFixedLength + 4 || length > headerBytesMax) throw new DamageError('header length', 16)
  return length
}

export function decodeHeader(bytes: Uint8Array, checksums: Checksums): SegmentHeader {
  const length = declaredHeaderLength(bytes)
  if (length > bytes.length) throw new DamageError('the file ends in its header', bytes.length)
  const reader = new ByteReader(bytes, 10, length)
  const crcAt = length - 4
  if (new ByteReader(bytes, crcAt, length).u32() !== checksums.crc32(bytes.subarray(0, crcAt)))
    throw new DamageError('checksum of the header', 0)

  const kindCode = reader.u8()
  const level = reader.u8()
  const sortKey = reader.u8()
  const dedupe = reader.u8()
  const merge = reader.u16()
  if (kindCode > 1 || sortKey !== 0 || dedupe > 1) throw new DamageError('unknown kind of segment', 10)
  reader.take(4)
  const retentionClass = reader.u32()
  const incarnation = reader.raw(16).slice()
  const minTimeUs = reader.f64()
  const maxTimeUs = reader.f64()
  const minLsn = reader.u64()
  const maxLsn = reader.u64()
  const rows = reader.u64()
  const fileBytes = reader.u64()
  const seriesCount = reader.u32()
  const replacedCount = reader.u32()
  const namesLength = reader.u32()
  if (namesLength !== crcAt - headerFixedLength || replacedCount > namesLength)
    throw new DamageError('header length', 96)
  const replaced = Array.from({ length: replacedCount }, () => reader.text(namesLength))
  if (reader.at !== crcAt) throw new DamageError('header length', reader.at)
  if (kindCode === 1 && (level >= rollupWidthsUs.length || replacedCount !== 1)) throw new DamageError('rollup', 11)
  if (!(Number.isSafeInteger(minTimeUs) && Number.isSafeInteger(maxTimeUs) && minTimeUs <= maxTimeUs))
    throw new DamageError('time range', 40)
  return {
    kind: kindCode === 0 ? { kind: 'rows' } : { kind: 'rollup', level },
    dedupe: dedupe === 0 ? 'merge' : 'none',
    settled: merge % 2 === 1,
    parts: merge >> 1,
    minTimeUs,
    maxTimeUs,
    minLsn,
    maxLsn,
    retentionClass,
    incarnation,
    rows,
    seriesCount,
    bytes: fileBytes,
    replaced,
  }
}

export interface SegmentTrailer {
  readonly footerAt: number
  readonly footerLength: number
  readonly footerCrc: number
  /** Checksum of the header, which ties the two ends together. */
  readonly headerCrc: number
}

export function encodeTrailer(trailer: SegmentTrailer, checksums: Checksums, out: ByteWriter): void {
  const from = out.length
  out.u64(trailer.footerAt)
  out.u32(trailer.footerLength)
  out.u32(trailer.footerCrc)
  out.u32(trailer.headerCrc)
  out.u32(checksums.crc32(out.written(from)))
  out.raw(ascii(trailerMagic))
}

/** The trailer of a file of `fileBytes`, of which `bytes` are the last 32. */
export function decodeTrailer(bytes: Uint8Array, fileBytes: number, checksums: Checksums): SegmentTrailer {
  if (!hasMagic(bytes, 24, trailerMagic)) throw new DamageError('the end of the file is missing', 24)
  const reader = new ByteReader(bytes)
  const footerAt = reader.u64()
  const footerLength = reader.u32()
  const footerCrc = reader.u32()
  const headerCrc = reader.u32()
  if (reader.u32() !== checksums.crc32(bytes.subarray(0, 20))) throw new DamageError('checksum of the trailer', 0)
  if (footerAt + footerLength + trailerLength !== fileBytes) throw new DamageError('place of the footer', 0)
  return { footerAt, footerLength, footerCrc, headerCrc }
}
