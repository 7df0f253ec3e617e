/**
 * Execution: one run of a query — the caller's context, its memory account, and its turns on the event loop.
 *
 * Invariants:
 * 1. `held` is the sum of what each owner last said it holds; more than `memoryMaxBytes` throws `memory_limit`.
 *    Owners that can spill do so at `spillingShare` of it, so that those that cannot find room; each may keep a
 *    `floorShare` in any case, so that it gets on. The same holds for what all queries may hold together.
 * 2. `pace` throws the signal's reason once it is aborted, and never keeps the event loop longer than `turnMaxMs` plus
 *    the work between two calls.
 */
import { refuseCancelled } from '../lib/cancel.ts'
import { SydraError } from '../lib/errors.ts'
import type { QueryMemory } from '../lib/memory-account.ts'
import { megabytes } from '../lib/text.ts'
import type { ExecutionContext } from './operator.ts'
import type { TimeSpan } from './scan/windows.ts'

/** How long a query works before other events get their turn. */
const turnMaxMs = 8
/** Arrays double when they grow: at half the limit there is room for that. */
const spillingShare = 1 / 2
const floorShare = 1 / 16

export interface MemoryAccount {
  /** Says how many bytes this owner holds now. Throws `memory_limit`. */
  hold(owner: object, bytes: number): void
  /**
   * The same for an owner that can spill: false when it should. Throws only where the query has no temporary files, or all
   * queries together leave not even the floor. `toSpill`: what it takes to spill.
   */
  tryHold(owner: object, bytes: number, toSpill?: number): boolean
  release(owner: object): void
  readonly held: number
  /** The most that was held at once. */
  readonly peak: number
}

export interface Execution extends ExecutionContext {
  readonly memory: MemoryAccount
  /** Scans give the rows of this time alone; undefined: all that they are asked for. */
  readonly span?: TimeSpan | undefined
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
    memory: new QueryAccount(context.memoryMaxBytes, context.spill !== undefined, context.sharedMemory),
    pace() {
      refuseCancelled(signal, 'the query was cancelled')
      return clock.monotonicMs() - turnStartedMs < turnMaxMs ? undefined : giveTurn()
    },
  }
}

class QueryAccount implements MemoryAccount {
  readonly #maxBytes: number
  readonly #spills: boolean
  readonly #shared: QueryMemory | undefined
  readonly #holdings = new Map<object, number>()
  #held = 0
  #peak = 0

  constructor(maxBytes: number, spills: boolean, shared: QueryMemory | undefined) {
    this.#maxBytes = maxBytes
    this.#spills = spills
    this.#shared = shared
  }

  get held(): number {
    return this.#held
  }
  get peak(): number {
    return this.#peak
  }

  hold(owner: object, bytes: number): void {
    const shared = this.#shared
    if (this.#set(owner, bytes) > 0 && shared?.isOver) throw shared.refusal()
    if (this.#held > this.#maxBytes)
      throw new SydraError('memory_limit', `the query needs more than ${megabytes(this.#maxBytes)} of memory`, {
        hint: 'narrow the time range, group by fewer values, or add a limit',
      })
  }

  tryHold(owner: object, bytes: number, toSpill = 0): boolean {
    if (!this.#spills) {
      this.hold(owner, bytes)
      return true
    }
    const shared = this.#shared
    const more = this.#set(owner, bytes)
    if (bytes > this.#maxBytes * floorShare)
      return this.#held <= (this.#maxBytes - toSpill) * spillingShare && !shared?.isShort
    if (more > 0 && shared?.isOver) throw shared.refusal()
    return true
  }

  release(owner: object): void {
    const bytes = this.#holdings.get(owner) ?? 0
    this.#holdings.delete(owner)
    this.#held -= bytes
    this.#shared?.grow(-bytes)
  }

  /** Returns by how much it grew. */
  #set(owner: object, bytes: number): number {
    const more = bytes - (this.#holdings.get(owner) ?? 0)
    if (more === 0) return 0
    this.#held += more
    if (this.#held > this.#peak) this.#peak = this.#held
    this.#holdings.set(owner, bytes)
    this.#shared?.grow(more)
    return more
  }
}
