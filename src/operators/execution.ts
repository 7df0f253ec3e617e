/**
 * Execution: one run of a query — the caller's context, its memory account, and its turns on the event loop.
 *
 * Invariants:
 * 1. `held` is the sum of what each owner last said it holds; more than `memoryMaxBytes` throws `memory_limit`.
 * 2. `pace` throws the signal's reason once it is aborted, and never keeps the event loop longer than `turnMaxMs` plus
 *    the work between two calls.
 */
import { SydraError } from '../lib/errors.ts'
import type { ExecutionContext } from './operator.ts'

/** How long a query works before other events get their turn. */
const turnMaxMs = 8

export interface MemoryAccount {
  /** Says how many bytes this owner holds now. Throws `memory_limit`. */
  hold(owner: object, bytes: number): void
  release(owner: object): void
  readonly held: number
}

export interface Execution extends ExecutionContext {
  readonly memory: MemoryAccount
  /** Call it in every long loop, and wait for what it gives. */
  pace(): Promise<void> | undefined
}

export function startExecution(context: ExecutionContext): Execution {
  const { clock, timers, signal } = context
  let turnStartedMs = clock.monotonicMs()
  const giveTurn = () =>
    new Promise<void>(resolve => {
      timers.soon(() => {
        turnStartedMs = clock.monotonicMs()
        resolve()
      })
    })
  return {
    ...context,
    memory: memoryAccount(context.memoryMaxBytes),
    pace() {
      if (signal.aborted) throw abortError(signal)
      return clock.monotonicMs() - turnStartedMs < turnMaxMs ? undefined : giveTurn()
    },
  }
}

function abortError(signal: AbortSignal): SydraError {
  const reason: unknown = signal.reason
  return reason instanceof SydraError
    ? reason
    : new SydraError('cancelled', 'the query was cancelled', { cause: reason })
}

function memoryAccount(maxBytes: number): MemoryAccount {
  const holdings = new Map<object, number>()
  let held = 0
  return {
    get held() {
      return held
    },
    hold(owner, bytes) {
      held += bytes - (holdings.get(owner) ?? 0)
      holdings.set(owner, bytes)
      if (held > maxBytes)
        throw new SydraError('memory_limit', `the query needs more than ${Math.round(maxBytes / 1e6)} MB of memory`, {
          hint: 'narrow the time range, group by fewer values, or add a limit',
        })
    },
    release(owner) {
      held -= holdings.get(owner) ?? 0
      holdings.delete(owner)
    },
  }
}
