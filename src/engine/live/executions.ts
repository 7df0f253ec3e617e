/**
 * Executions of one live query: how its steps, its snapshots and whatever else it reads run over a pinned version.
 *
 * Invariants:
 * 1. What executions hold is in the account of all queries from their beginning to the end of the last activity.
 * 2. An abort reaches all that have no signal of their own; those that begin afterwards belong to the next attempt.
 */
import type { QueryMemory } from '../../lib/memory-account.ts'
import type { Ports } from '../../lib/ports.ts'
import type { Settings } from '../../lib/settings.ts'
import { type Execution, startExecution } from '../../operators/execution.ts'
import type { Moment } from '../../operators/live/types.ts'
import { newReadStatistics } from '../../storage/read-statistics.ts'
import { batchRows } from '../queries/engine.ts'
import type { Storage } from '../recovery/open-storage.ts'

export interface ExecutionEngine {
  readonly settings: Settings
  readonly ports: Pick<Ports, 'clock' | 'timers'>
  readonly storage: Pick<Storage, 'catalog' | 'kernels' | 'duplicates' | 'memory'>
}

export class Executions {
  readonly #engine: ExecutionEngine
  #memory: QueryMemory | undefined
  #abort = new AbortController()
  #activities = 0

  constructor(engine: ExecutionEngine) {
    this.#engine = engine
  }

  /** Something runs that may open executions; the returned function ends it. */
  begin(): () => void {
    this.#activities++
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      if (--this.#activities > 0) return
      this.#memory?.close()
      this.#memory = undefined
    }
  }

  /** What runs ends with the reason. */
  abort(reason: unknown): void {
    this.#abort.abort(reason)
    this.#abort = new AbortController()
  }

  /** `signal`: what ends it instead of `abort`. */
  open({ version }: Moment, signal = this.#abort.signal): Execution {
    const { settings, ports, storage } = this.#engine
    const { catalog, kernels, duplicates, memory } = storage
    this.#memory ??= memory.openQuery()
    return startExecution({
      version,
      catalog,
      kernels,
      clock: ports.clock,
      timers: ports.timers,
      signal,
      batchRows,
      memoryMaxBytes: settings.query.memoryMaxBytes,
      sharedMemory: this.#memory,
      duplicates,
      read: newReadStatistics(),
      operators: [],
    })
  }
}
