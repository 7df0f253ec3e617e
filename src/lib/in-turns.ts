/** Long work in turns: a generator yields where it may pause, and others have the event loop every `turnMs`. */
import type { SydraError } from './errors.ts'
import type { Ports } from './ports.ts'

const turnMs = 5

export interface Turns {
  readonly ports: Pick<Ports, 'clock' | 'timers'>
  /** What ends the work, asked wherever it may pause. */
  readonly stopped?: (() => SydraError | undefined) | undefined
}

/** Runs the steps to their end. Throws what they throw, and what `stopped` gives. */
export async function inTurns<T>({ ports, stopped }: Turns, steps: Generator<void, T>): Promise<T> {
  try {
    let startedMs = ports.clock.monotonicMs()
    for (;;) {
      const reason = stopped?.()
      if (reason !== undefined) throw reason
      const step = steps.next()
      if (step.done === true) return step.value
      if (ports.clock.monotonicMs() - startedMs < turnMs) continue
      await new Promise<void>(resolve => ports.timers.soon(resolve))
      startedMs = ports.clock.monotonicMs()
    }
  } finally {
    steps.return(undefined as T)
  }
}
