/**
 * Permits bound what is under way: bytes are taken before work is admitted and given back when it is done.
 *
 * Invariants:
 * 1. At most `max` are out at once; a request larger than `max` is granted alone.
 * 2. Waiters are served in order, so a large request is not starved by small ones.
 * 3. At most `waitingMax` requests wait; one more is refused with `overloaded`. One that is cancelled waits no more.
 */
import { assert } from './assert.ts'
import { cancellation } from './cancel.ts'
import { SydraError } from './errors.ts'

export interface Permits {
  readonly max: number
  readonly inUse: number
  /** The most that was ever in use. */
  readonly peak: number
  readonly waiting: number
  /** Undefined when granted at once, else a promise that resolves when granted, unless the signal ends the waiting before. */
  acquire(amount: number, signal?: AbortSignal): Promise<void> | undefined
  release(amount: number): void
}

interface Waiter {
  readonly amount: number
  grant(): void
}

export function createPermits(max: number, waitingMax: number): Permits {
  let inUse = 0
  let peak = 0
  const queue: Waiter[] = []

  const fits = (amount: number): boolean => inUse === 0 || inUse + amount <= max
  const take = (amount: number): void => {
    inUse += amount
    if (inUse > peak) peak = inUse
  }

  const serve = (): void => {
    while (queue.length > 0 && fits(queue[0]!.amount)) {
      const { amount, grant } = queue.shift()!
      take(amount)
      grant()
    }
  }
  const wait = (amount: number, signal: AbortSignal | undefined): Promise<void> =>
    new Promise((resolve, reject) => {
      const onAbort = (): void => {
        const index = queue.indexOf(waiter)
        queue.splice(index, 1)
        reject(cancellation(signal?.reason))
        if (index === 0) serve()
      }
      const waiter: Waiter = {
        amount,
        grant() {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        },
      }
      queue.push(waiter)
      if (signal?.aborted) onAbort()
      else signal?.addEventListener('abort', onAbort, { once: true })
    })

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
    acquire(amount, signal) {
      if (queue.length === 0 && fits(amount)) {
        take(amount)
        return undefined
      }
      if (queue.length >= waitingMax) {
        throw new SydraError('overloaded', `${queue.length} writers already wait for memory`, {
          hint: 'send less at once, or raise ingest.in_flight_max_bytes',
        })
      }
      return wait(amount, signal)
    },
    release(amount) {
      inUse -= amount
      assert(inUse >= 0, 'more permits given back than taken')
      serve()
    },
  }
}
