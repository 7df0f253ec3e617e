/** What live queries keep: about how much memory that is, and what they say when it is too much. */
import { SydraError } from '../../lib/errors.ts'
import { megabytes } from '../../lib/text.ts'
import type { LiveRow } from './types.ts'

/** An array's head, and its place in another. */
const rowBytes = 40
/** A number on the heap, or a reference. */
const valueBytes = 16

export function bytesOfRows(rows: Iterable<LiveRow>): number {
  let bytes = 0
  for (const row of rows) {
    bytes += rowBytes + row.length * valueBytes
    for (const value of row) if (typeof value === 'string') bytes += value.length
  }
  return bytes
}

export const tooMuchKept = (bytesMax: number): SydraError =>
  new SydraError('memory_limit', `the live query keeps more than ${megabytes(bytesMax)}`, {
    hint: 'narrow it by time, tags or a limit, group by less, or raise live.memory_max_bytes',
  })
