/**
 * Times of a column to µs since the epoch, by the rules of rows (timestamp.ts), which settle what is not plainly right.
 *
 * A 64-bit integer is read as two halves: a BigInt a row would be an object a row.
 *
 *   ns, floored to µs   high · 2^32 + low = (1000 q + r) · 2^32 + low   ->   q · 2^32 + ⌊(r · 2^32 + low) / 1000⌋, both exact
 */
import { SydraError } from '../../lib/errors.ts'
import { placed } from './column-error.ts'
import type { TimeColumn } from './column-types.ts'
import { stretchRows } from './limits.ts'
import { timeOf } from './row-rules.ts'
import { type TimeSettings, timeUsMax } from './timestamp.ts'

/** Throws `invalid_timestamp` for the first time that is none. */
export function columnTimes(ts: TimeColumn, times: TimeSettings): Float64Array {
  const timeUs = new Float64Array(ts.length)
  if (ts.length === 0) return timeUs
  // the first time may settle the unit
  timeUs[0] = timeAt(ts, 0, times)
  if (ts instanceof Float64Array) fromNumbers(ts, times, timeUs)
  else if (ts instanceof BigInt64Array) fromIntegers(ts, times, timeUs)
  else for (let i = 1; i < ts.length; i++) timeUs[i] = timeAt(ts, i, times)
  return timeUs
}

function timeAt(ts: TimeColumn, at: number, times: TimeSettings): number {
  try {
    const timeUs = timeOf(ts[at], times)
    if (Number.isNaN(timeUs)) throw new SydraError('invalid_timestamp', 'a row of columns has a time')
    return timeUs
  } catch (error) {
    throw placed(`ts[${at}]`, error)
  }
}

const usPerUnit = { s: 1e6, ms: 1e3, us: 1, ns: 0 } as const

function fromNumbers(ts: Float64Array, times: TimeSettings, timeUs: Float64Array): void {
  const rule = plain(times)
  for (let from = 1; from < ts.length; from += stretchRows) {
    const to = Math.min(from + stretchRows, ts.length)
    for (let at = plainTimes(ts, from, to, rule, timeUs); at < to; at = plainTimes(ts, at + 1, to, rule, timeUs))
      timeUs[at] = timeAt(ts, at, times)
  }
}

/** Times of [from, to), up to the first that is not plainly right; gives where that is, or `to`. */
function plainTimes(
  ts: Float64Array,
  from: number,
  to: number,
  { min, max, factor }: Plain,
  timeUs: Float64Array,
): number {
  for (let i = from; i < to; i++) {
    const value = ts[i]!
    const magnitude = Math.abs(value)
    if (!(magnitude >= min && magnitude <= max && Math.trunc(value) === value)) return i
    // + 0 turns -0 into 0
    timeUs[i] = value * factor + 0
  }
  return to
}

function fromIntegers(ts: BigInt64Array, times: TimeSettings, timeUs: Float64Array): void {
  const words = new Int32Array(ts.buffer, ts.byteOffset, 2 * ts.length)
  const { scale } = times
  if (scale?.unit === 'ns') {
    // so near a bound as doubles may round, the rules decide
    const min = Number(scale.min) * (1 + 1e-12)
    const max = Number(scale.max) * (1 - 1e-12)
    for (let i = 1; i < ts.length; i++) {
      const high = words[2 * i + 1]!
      const low = words[2 * i]! >>> 0
      const magnitude = Math.abs(high * 2 ** 32 + low)
      const quotient = Math.floor(high / 1000)
      if (magnitude >= min && magnitude <= max)
        timeUs[i] = quotient * 2 ** 32 + Math.floor(((high - quotient * 1000) * 2 ** 32 + low) / 1000)
      else timeUs[i] = timeAt(ts, i, times)
    }
    return
  }
  const { min, max, factor } = plain(times)
  for (let i = 1; i < ts.length; i++) {
    const value = words[2 * i + 1]! * 2 ** 32 + (words[2 * i]! >>> 0)
    const magnitude = Math.abs(value)
    if (magnitude >= min && magnitude <= max && magnitude < timeUsMax) timeUs[i] = value * factor
    else timeUs[i] = timeAt(ts, i, times)
  }
}

interface Plain {
  readonly min: number
  readonly max: number
  readonly factor: number
}

/** Magnitudes of which a time is its value times the factor; none where there is more to it. */
function plain({ scale }: TimeSettings): Plain {
  if (scale === undefined || scale.unit === 'ns') return { min: 1, max: 0, factor: 0 }
  return { min: Number(scale.min), max: Number(scale.max), factor: usPerUnit[scale.unit] }
}
