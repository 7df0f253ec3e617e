/**
 * Permits bound what is under way: bytes are taken before work is admitted and given back when it is done.
 *
 * Invariants:
 * 1. At most `max` are out at once; a request larger than `max` is granted alone.
 * 2. Waiters are served in order, so a large request is not starved by small ones.
 * 3. At most `waitingMax` requests wait; one more is refused with `overloaded`.
 */
import { assert } from './assert.ts'
import { SydraError } from './errors.ts'

export interface Permits {
  readonly max: number
  readonly inUse: number
  /** The most that was ever in use. */
  readonly peak: number
  readonly waiting: number
  /** Undefined when granted at once, else a promise that resolves when granted. */
  acquire(amount: number): Promise<void> | undefined
  release(amount: number): void
}

export function createPermits(max: number, waitingMax: number): Permits {
  let inUse = 0
  let peak = 0
  const queue: { readonly amount: number; readonly grant: () => void }[] = []

  const fits = (amount: number): boolean => inUse === 0 || inUse + amount <= max
  const take = (amount: number): void => {
    inUse += amount
    if (inUse > peak) peak = inUse
  }

  return {
    max,
    get inUse() {
      return inUse
    },
    get peak() {
      return peak
    },
    get waiting() {
      return queue.length
    },
    acquire(amount) {
      if (queue.length === 0 && fits(amount)) {
        take(amount)
        return undefined
      }
      if (queue.length >= waitingMax) {
        throw new SydraError('overloaded', `${queue.length} writers already wait for memory`, {
          hint: 'send less at once, or raise ingest.in_flight_max_bytes',
        })
      }
      return new Promise(grant => queue.push({ amount, grant }))
    },
    release(amount) {
      inUse -= amount
      assert(inUse >= 0, 'more permits given back than taken')
      while (queue.length > 0 && fits(queue[0]!.amount)) {
        const { amount: granted, grant } = queue.shift()!
        take(granted)
        grant()
      }
    },
  }
}
