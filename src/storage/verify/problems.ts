/** Problems from errors, and what to do about each. */
import { type ErrorCode, SydraError } from '../../lib/errors.ts'
import { SegmentDamage } from '../segment/segment-file.ts'
import type { FileProblem } from './types.ts'

export const repairAdvice = 'run `sydradb verify --repair` while the database is closed'
export const rollupAdvice = '`verify --repair` drops it: nothing is lost, it can be made again'
export const nothingToDo = 'nothing to do'

export const damage = (message: string, advice = repairAdvice, offset?: number): FileProblem => ({
  severity: 'damage',
  message,
  offset,
  advice,
})

export const note = (message: string, advice = nothingToDo): FileProblem => ({
  severity: 'note',
  message,
  offset: undefined,
  advice,
})

/** The problem of a file that is told by one of these codes; what else is thrown says nothing about the file. */
export function problemOf(error: unknown, codes: readonly ErrorCode[], advice = repairAdvice): FileProblem {
  if (!(error instanceof SydraError) || !codes.includes(error.code)) throw error
  if (error instanceof SegmentDamage) return damage(error.what, advice, error.offset)
  // Errors of manifest, catalog and log name the byte in their text.
  const place = /(?:byte|offset) (\d+)/.exec(error.message)?.[1]
  return damage(error.message, advice, place === undefined ? undefined : Number(place))
}
