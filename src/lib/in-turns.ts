/** Long work in turns: a generator yields where it may pause, and others have the event loop after each turn. */
import type { SydraError } from './errors.ts'
import type { Ports } from './ports.ts'

const turnMsDefault = 5
/** A round of the event loop in which others did less was not wanted. */
const idleMs = 0.5

export interface Turns {
  readonly ports: Pick<Ports, 'clock' | 'timers'>
  /** What ends the work, asked wherever it may pause. */
  readonly stopped?: (() => SydraError | undefined) | undefined
  /** How long a turn is at least; default 5 ms. */
  readonly turnMs?: number
  /** Others get so much of a turn's time after it, while they have something to do; default 0: one round of the event loop. */
  readonly othersShare?: number
}

/** Runs the steps to their end. Throws what they throw, and what `stopped` gives. */
export async function inTurns<T>(
  { ports: { clock, timers }, stopped, turnMs = turnMsDefault, othersShare = 0 }: Turns,
  steps: Generator<void, T>,
): Promise<T> {
  try {
    let startedMs = clock.monotonicMs()
    for (;;) {
      const reason = stopped?.()
      if (reason !== undefined) throw reason
      const step = steps.next()
      if (step.done === true) return step.value
      let nowMs = clock.monotonicMs()
      const tookMs = nowMs - startedMs
      if (tookMs < turnMs) continue
      const untilMs = nowMs + othersShare * tookMs
      for (let beforeMs = -Infinity; nowMs <= untilMs && nowMs - beforeMs >= idleMs; ) {
        beforeMs = nowMs
        await new Promise<void>(resolve => timers.soon(resolve))
        nowMs = clock.monotonicMs()
      }
      startedMs = nowMs
    }
  } finally {
    steps.return(undefined as T)
  }
}
