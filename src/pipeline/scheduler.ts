/** An RxJS scheduler on the engine's own clock and timers, so that pipelines run on simulated time too. */
import { type SchedulerAction, type SchedulerLike, Subscription } from 'rxjs'
import type { Clock, Timers } from '../lib/ports.ts'

export function portScheduler(clock: Clock, timers: Timers): SchedulerLike {
  class PortAction<T> extends Subscription implements SchedulerAction<T> {
    readonly #work: (this: SchedulerAction<T>, state?: T) => void
    #cancel: (() => void) | undefined

    constructor(work: (this: SchedulerAction<T>, state?: T) => void) {
      super(() => this.#cancel?.())
      this.#work = work
    }

    schedule(state?: T, delayMs = 0): Subscription {
      this.#cancel?.()
      if (this.closed) return this
      // In the background: a pending flush keeps no process alive, for the WAL has its rows.
      const task = (): void => {
        this.#cancel = undefined
        if (!this.closed) this.#work.call(this, state)
      }
      this.#cancel = timers.after(delayMs, task, true)
      return this
    }
  }
  return {
    now: () => clock.monotonicMs(),
    schedule: <T>(work: (this: SchedulerAction<T>, state?: T) => void, delayMs = 0, state?: T) =>
      new PortAction(work).schedule(state, delayMs),
  }
}
