/**
 * The pace of one query's steps: what takes long rests, so that live queries leave time for everything else.
 *
 * Invariants:
 * 1. Steps that read everything begin `live.rerun_ms` apart at least, and take a tenth of the time at most. Others that go on
 *    beside the event loop take half of it.
 * 2. While it rests, a round is asked for at the end of the rest.
 */
import type { Timers } from '../../lib/ports.ts'

/** Parts of the time of which a step takes one. */
const rerunParts = 10
const stepParts = 2

export class Pace {
  readonly #timers: Timers
  readonly #rerunMs: number
  readonly #wake: () => void
  #restUntilMs = 0
  #alarm: (() => void) | undefined

  constructor(timers: Timers, rerunMs: number, wake: () => void) {
    this.#timers = timers
    this.#rerunMs = rerunMs
    this.#wake = wake
  }

  /** A step is over. */
  ended(startedMs: number, endedMs: number, isRerun: boolean): void {
    const tookMs = endedMs - startedMs
    this.#restUntilMs = startedMs + (isRerun ? Math.max(this.#rerunMs, rerunParts * tookMs) : stepParts * tookMs)
  }

  isResting(nowMs: number): boolean {
    const leftMs = this.#restUntilMs - nowMs
    if (leftMs <= 0) return false
    const wake = (): void => {
      this.#alarm = undefined
      this.#wake()
    }
    // not in the background: subscribers wait for what has been committed
    this.#alarm ??= this.#timers.after(leftMs, wake)
    return true
  }

  stop(): void {
    this.#alarm?.()
    this.#alarm = undefined
  }
}
