/**
 * Numbers of a row frame as bytes: decimals and integers as offsets of one, two or four bytes, anything else as it is.
 *
 *   column   0 raw f64 | 1 step: first, step (f64) | 2 offsets u32 from an f64, no longer written | 3 blocks
 *   block    of 1,024 values, the last of fewer; the kernels write it (`kernels/offsets.ts`):
 *            bytes of an offset u8 (0, 1, 2, 4) | exponent i8 | smallest f64 | offsets     or     8 | raw f64
 *
 * Invariants:
 * 1. Decoding gives the same bits: a form is chosen only after it was checked row by row.
 * 2. What is encoded depends on the values alone, not on other columns or frames.
 */
import { blockRowsMax, type Kernels } from '../../kernels/kernels.ts'
import { type Cursor, damaged, type FrameBytes } from './row-columns.ts'

export type NumberKind = 'times' | 'integers' | 'floats'
export type NumberKernels = Pick<Kernels, 'encodeOffsets'>

/** Of what is read; 10^22 is the last power that a double has exactly. */
const exponentMax = 22
const powersOfTen = Float64Array.from({ length: exponentMax + 1 }, (_, exponent) => Number(`1e${exponent}`))

export function encodeNumbers(values: Float64Array, kind: NumberKind, kernels: NumberKernels, out: FrameBytes): void {
  if (kind !== 'floats' && encodeStep(values, out)) return
  out.u8(3)
  for (let from = 0; from < values.length; from += blockRowsMax) {
    const count = Math.min(blockRowsMax, values.length - from)
    out.fill(1 + 8 * count, (bytes, at) => kernels.encodeOffsets(values, from, count, kind === 'times', bytes, at))
  }
}

function encodeStep(values: Float64Array, out: FrameBytes): boolean {
  const length = values.length
  if (length < 2) return false
  const first = values[0]!
  const step = values[1]! - first
  for (let i = 0; i < length; i++) {
    const value = values[i]!
    if (first + i * step !== value || (value === 0 && 1 / value < 0)) return false
  }
  out.u8(1)
  out.f64(first)
  out.f64(step)
  return true
}

// ---- decoding -----------------------------------------------------------------------------------------------------

export function decodeNumbers(from: Cursor, length: number): Float64Array {
  const form = from.u8()
  if (form > 3) throw damaged(`number form ${form}`)
  const values = from.memory.float64(length)
  if (form === 0) return from.fill(values)
  if (form === 3) {
    for (let at = 0; at < length; at += blockRowsMax)
      decodeBlock(from, values.subarray(at, Math.min(at + blockRowsMax, length)))
    return values
  }
  const first = from.f64()
  if (form === 1) {
    const step = from.f64()
    for (let i = 0; i < length; i++) values[i] = first + i * step
    return values
  }
  const stored = from.fill(from.memory.uint32(length))
  for (let i = 0; i < length; i++) values[i] = first + stored[i]!
  return values
}

const rawWidth = 8
const words8 = new Uint8Array(blockRowsMax)
const words16 = new Uint16Array(blockRowsMax)
const words32 = new Uint32Array(blockRowsMax)

function decodeBlock(from: Cursor, into: Float64Array): void {
  const width = from.u8()
  if (width === rawWidth) {
    from.fill(into)
    return
  }
  const exponent = (from.u8() << 24) >> 24
  if (Math.abs(exponent) > exponentMax) throw damaged(`exponent ${exponent}`)
  const least = from.f64()
  const { length } = into
  // one of them is 1, which changes nothing
  const up = exponent < 0 ? powersOfTen[-exponent]! : 1
  const down = exponent < 0 ? 1 : powersOfTen[exponent]!
  if (width === 0) into.fill((least * up) / down)
  else if (width === 1) spread8(from.fill(words8.subarray(0, length)), least, up, down, into)
  else if (width === 2) spread16(from.fill(words16.subarray(0, length)), least, up, down, into)
  else if (width === 4) spread32(from.fill(words32.subarray(0, length)), least, up, down, into)
  else throw damaged(`offsets of ${width} bytes`)
}

// One function a type: the loops stay monomorphic.

function spread8(words: Uint8Array, least: number, up: number, down: number, into: Float64Array): void {
  for (let i = 0; i < into.length; i++) into[i] = ((least + words[i]!) * up) / down
}

function spread16(words: Uint16Array, least: number, up: number, down: number, into: Float64Array): void {
  for (let i = 0; i < into.length; i++) into[i] = ((least + words[i]!) * up) / down
}

function spread32(words: Uint32Array, least: number, up: number, down: number, into: Float64Array): void {
  for (let i = 0; i < into.length; i++) into[i] = ((least + words[i]!) * up) / down
}
