/**
 * The numbers of block headers: integers of up to 53 bits and a sign.
 *
 *   byte 0: bits 0-2 further bytes, bit 3 sign, bits 4-7 the magnitude's low four; then its other bytes, low first
 *
 * Invariant: nothing is read at or beyond `end`; what is no such number is a `BlockError`.
 */
import { BlockError } from './kernels.ts'

/** Bytes that the integer takes: 1 below 2^4, 2 below 2^12, … 8. */
export function numberBytes(value: number): number {
  let magnitude = value < 0 ? -value : value
  let bytes = 1
  for (magnitude = Math.floor(magnitude / 16); magnitude >= 1; magnitude = Math.floor(magnitude / 256)) bytes++
  return bytes
}

export function writeNumber(out: Uint8Array, at: number, value: number): number {
  const magnitude = value < 0 ? -value : value
  let rest = Math.floor(magnitude / 16)
  let next = at + 1
  while (rest >= 1) {
    out[next++] = rest % 256
    rest = Math.floor(rest / 256)
  }
  out[at] = (next - at - 1) | (value < 0 ? 8 : 0) | ((magnitude % 16) << 4)
  return next
}

/** Where the next field of the header being read begins. */
export const cursor = { at: 0 }

export function readNumber(bytes: Uint8Array, end: number): number {
  if (cursor.at >= end) throw new BlockError('block is cut short')
  const first = bytes[cursor.at++]!
  const more = first & 7
  if (end - cursor.at < more) throw new BlockError('block is cut short')
  let magnitude = 0
  for (let i = more - 1; i >= 0; i--) magnitude = magnitude * 256 + bytes[cursor.at + i]!
  cursor.at += more
  magnitude = magnitude * 16 + (first >> 4)
  if (magnitude > Number.MAX_SAFE_INTEGER) throw new BlockError('block has a number beyond 2^53')
  if ((first & 8) === 0) return magnitude
  if (magnitude === 0) throw new BlockError('block has a negative zero')
  return -magnitude
}

export function readCount(bytes: Uint8Array, end: number, max: number): number {
  const value = readNumber(bytes, end)
  if (value < 1 || value > max) throw new BlockError(`block has a count of ${value}`)
  return value
}
