/**
 * Rows → text: a small interpreter that writes staged columns row by row as UTF-8, for JSON, NDJSON and CSV alike.
 *
 *   columns  descriptors of 32 bytes: kind, prefix (address, length), values, validity, decimals last seen
 *   cell     prefix bytes (`,` or `"value":` …), then the value or the null text
 *   row      its cells, then the suffix (`]`, `}\n`, `\r\n`)
 *
 * Invariants:
 * 1. A cell is written only if it fits with `cellSlack` bytes to spare; else `write` stops before it and can be resumed.
 * 2. Nothing outside the regions below is written; string entries may be read up to 31 bytes past their end.
 */
import { fillQuads, powers, setFormat, writeNull } from './write-digits'
import { number } from './write-numbers'
import { forgetTime, time } from './write-times'

export { powers }

// ---- memory layout, known to write-kernel.ts through these exports; 4352 to 55296 are in write-digits.ts -------------

/** Row, column and out position where `write` stopped and resumes. */
export const state: usize = 4096
export const descriptors: usize = 65536
export const columnsMax: i32 = 2048
export const prefixes: usize = 131072
export const prefixesEnd: usize = 196608
export const heap: usize = 196608
export const heapEnd: usize = 1245184
export const staging: usize = 1245184
export const stagingEnd: usize = 2293760
export const out: usize = 2293760
export const outEnd: usize = 2555904

/** More than any number or time with its quotes takes, and the overrun of 16-byte stores. */
const cellSlack: usize = 128

// ---- column kinds and what `write` returns -------------------------------------------------------------------------

const kindNumber: u32 = 0
const kindBoolean: u32 = 1
const kindString: u32 = 2
// times: write-times.ts

const done: i32 = 0
const full: i32 = 1
const outside: i32 = 2

let suffix: u16 = 0
let suffixLength: usize = 0

/** Fills the tables; once per instance. */
export function init(): void {
  fillQuads()
}

/** `quoted`: times and non-finite numbers are JSON strings, null is `null`; else both bare and null empty. */
export function begin(quoted: bool, suffixBytes: u32, suffixCount: u32): void {
  setFormat(quoted)
  forgetTime()
  suffix = <u16>suffixBytes
  suffixLength = suffixCount
}

/**
 * Writes rows [state.row, rows) from `state.column` on. Returns `done`, `full` (take the text, set the out position
 * back, call again) or `outside` (the cell's string is not in kernel memory: the caller writes it and steps over).
 */
export function write(rows: u32, columns: u32): i32 {
  let row = load<u32>(state)
  let column = load<u32>(state, 4)
  let p = <usize>load<u32>(state, 8)
  let result = done
  while (row < rows) {
    let at = descriptors + (<usize>column << 5)
    while (column < columns) {
      const prefixLength = <usize>load<u32>(at, 8)
      if (p + prefixLength + cellSlack > outEnd) {
        result = full
        break
      }
      const kind = load<u32>(at)
      const valid = <usize>load<u32>(at, 16)
      const values = <usize>load<u32>(at, 12)
      if (valid != 0 && load<u8>(valid + row) == 0) {
        p = copy(p, <usize>load<u32>(at, 4), prefixLength)
        p = writeNull(p)
      } else if (kind == kindNumber) {
        p = copy(p, <usize>load<u32>(at, 4), prefixLength)
        p = number(p, at, load<f64>(values + (<usize>row << 3)))
      } else if (kind == kindString) {
        const entry = <usize>load<u32>(values + (<usize>row << 2))
        if (entry == 0) {
          result = outside
          break
        }
        const length = <usize>load<u32>(entry)
        if (p + prefixLength + length + cellSlack > outEnd) {
          result = full
          break
        }
        p = copy(p, <usize>load<u32>(at, 4), prefixLength)
        p = copy(p, entry + 4, length)
      } else {
        p = copy(p, <usize>load<u32>(at, 4), prefixLength)
        if (kind == kindBoolean) p = boolean(p, load<u8>(values + row))
        else p = time(p, kind, load<f64>(values + (<usize>row << 3)))
      }
      column++
      at += 32
    }
    if (result != done) break
    store<u16>(p, suffix)
    p += suffixLength
    column = 0
    row++
  }
  store<u32>(state, row)
  store<u32>(state, column, 4)
  store<u32>(state, <u32>p, 8)
  return result
}

/** Copies in 16-byte steps, up to 15 bytes too many; long strings with one bulk copy. */
@inline
function copy(p: usize, from: usize, length: usize): usize {
  v128.store(p, v128.load(from))
  if (length > 16) copyLong(p, from, length)
  return p + length
}

function copyLong(p: usize, from: usize, length: usize): void {
  if (length > 256) memory.copy(p, from, length)
  else for (let i: usize = 16; i < length; i += 16) v128.store(p + i, v128.load(from + i))
}

@inline
function boolean(p: usize, value: u8): usize {
  if (value != 0) {
    store<u32>(p, 0x65757274)
    return p + 4
  }
  store<u32>(p, 0x736c6166)
  store<u8>(p, 101, 4)
  return p + 5
}
