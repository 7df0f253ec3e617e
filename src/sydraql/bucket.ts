/** The bucket function that a `time_bucket` call stands for. */
import { assert } from '../lib/assert.ts'
import type { Call } from './expression.ts'
import type { Bucket } from './plan.ts'
import { parseDuration } from './times.ts'

export const dayUs = 86_400e6

/** Multiples of a week begin on Monday: 1970-01-05. */
const firstMondayUs = 4 * dayUs

/**
 * `time_bucket(width, t [, origin | zone])` with a literal width (µs, or calendar text such as `1mo`) and a literal
 * origin (timestamp) or zone (text).
 */
export function bucketOf(call: Call): Bucket {
  const [width, , alignment] = call.args
  assert(call.name === 'time_bucket' && width?.kind === 'literal', 'a time_bucket with a literal width')
  const aligned = alignment?.kind === 'literal' ? alignment : undefined
  assert(aligned === alignment, 'a literal origin or zone')
  const zone = aligned?.type === 'string' ? String(aligned.value) : undefined
  const originUs = aligned?.type === 'timestamp' ? Number(aligned.value) : undefined
  if (width.type === 'string') {
    const months = parseDuration(String(width.value))?.months ?? 0
    assert(months > 0, 'a calendar width')
    return { kind: 'calendar', months, originUs: originUs ?? 0, zone: zone ?? 'UTC' }
  }
  const widthUs = Number(width.value)
  const fitsDays = widthUs % dayUs === 0 || dayUs % widthUs === 0
  if (zone !== undefined && !(zone === 'UTC' && fitsDays)) return { kind: 'zoned', widthUs, zone }
  return { kind: 'fixed', widthUs, originUs: originUs ?? (widthUs % (7 * dayUs) === 0 ? firstMondayUs : 0) }
}
