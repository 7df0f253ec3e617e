/**
 * What the text writers share: tables, whole numbers as digits, and how the format at hand writes null and quotes.
 *
 * Invariant: every writer takes the address to write at and returns the one behind its text; stores may overrun by 15 bytes.
 */

const quads: usize = 4352 // "0000" … "9999"
export const powers: usize = 45056 // 617 × u128: 10^k for k in [-292, 324], see write-numbers.ts
export const minuteText: usize = 55040
export const digitText: usize = 55168
export const spanText: usize = 55232

/** Times and non-finite numbers stand in quotes. */
export let quotes: bool = true
let nullLength: usize = 4
const nullBytes: u32 = 0x6c6c756e

export function setFormat(quoted: bool): void {
  quotes = quoted
  nullLength = quoted ? 4 : 0
}

@inline
export function writeNull(p: usize): usize {
  store<u32>(p, nullBytes)
  return p + nullLength
}

/** Fills the table; once per instance. */
export function fillQuads(): void {
  for (let i: u32 = 0; i < 10000; i++) {
    const at = quads + (<usize>i << 2)
    store<u8>(at, 48 + i / 1000)
    store<u8>(at, 48 + ((i / 100) % 10), 1)
    store<u8>(at, 48 + ((i / 10) % 10), 2)
    store<u8>(at, 48 + (i % 10), 3)
  }
}

@inline
export function quad(value: u32): u32 {
  return load<u32>(quads + (<usize>value << 2))
}

@inline
export function eightDigits(p: usize, value: u32): void {
  const high = value / 10000
  store<u32>(p, quad(high))
  store<u32>(p, quad(value - high * 10000), 4)
}

@inline
export function upToFourDigits(p: usize, value: u32): usize {
  const length: u32 = value < 10 ? 1 : value < 100 ? 2 : value < 1000 ? 3 : 4
  store<u32>(p, quad(value) >> ((4 - length) << 3))
  return p + <usize>length
}

@inline
function upToEightDigits(p: usize, value: u32): usize {
  if (value < 10000) return upToFourDigits(p, value)
  const high = value / 10000
  p = upToFourDigits(p, high)
  store<u32>(p, quad(value - high * 10000))
  return p + 4
}

@inline
export function integer(p: usize, value: u64): usize {
  return value < 10000 ? upToFourDigits(p, <u32>value) : longInteger(p, value)
}

function longInteger(p: usize, value: u64): usize {
  if (value < 100000000) return upToEightDigits(p, <u32>value)
  const high = value / 100000000
  const low = <u32>(value - high * 100000000)
  if (high < 100000000) p = upToEightDigits(p, <u32>high)
  else {
    const top = high / 100000000
    p = upToEightDigits(p, <u32>top)
    eightDigits(p, <u32>(high - top * 100000000))
    p += 8
  }
  eightDigits(p, low)
  return p + 8
}
