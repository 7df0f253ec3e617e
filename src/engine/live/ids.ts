/**
 * Event ids: where in time a subscriber is, and of what.
 *
 *   3f9c2a1b0d4e5f60.1042.1767225600000        incarnation.lsn.tick
 *
 * Invariants:
 * 1. An incarnation stands for one query with its parameters and columns, over one history of commits: with a restore, and
 *    with an opening that may have lost commits, LSNs begin to mean something else. Ids of others are never resumed from.
 * 2. The tick is `now()` in ms where the query depends on it, else 0. Neither number ever goes back within an incarnation.
 */
import type { Blake3 } from '../../lib/ports.ts'
import { toHex } from '../../lib/text.ts'
import type { Lsn } from '../../storage/types.ts'

/** How far a result goes. */
export interface Position {
  readonly lsn: Lsn
  readonly tick: number
}

/** Whether nothing of `b` is missing in `a`. */
export const reaches = (a: Position, b: Position): boolean => a.lsn >= b.lsn && a.tick >= b.tick

const incarnationBytes = 8

/** Of everything that must be the same for ids to mean the same. */
export function incarnationOf(blake3: Blake3, parts: readonly unknown[]): string {
  const hash = blake3.hash()
  hash.update(new TextEncoder().encode(JSON.stringify(parts)))
  return toHex(hash.digest().subarray(0, incarnationBytes))
}

export const eventId = (incarnation: string, { lsn, tick }: Position): string => `${incarnation}.${lsn}.${tick}`

/** undefined for an id of another incarnation, and for what is none. */
export function positionOf(id: string, incarnation: string): Position | undefined {
  const match = /^([0-9a-f]+)\.(\d{1,16})\.(\d{1,16})$/.exec(id)
  if (match?.[1] !== incarnation) return undefined
  const position = { lsn: Number(match[2]), tick: Number(match[3]) }
  return Number.isSafeInteger(position.lsn) && Number.isSafeInteger(position.tick) ? position : undefined
}
