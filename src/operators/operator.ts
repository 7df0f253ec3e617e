/**
 * The contract of every operator: one async generator over column batches.
 *
 * Invariants:
 * 1. A batch is borrowed until the consumer pulls again (see columnar/batch.ts).
 * 2. Returning early (`return()` on the generator) closes the inputs, which releases their pins.
 * 3. Cancellation, the yield to the event loop, timing and counts are wrapped around every operator in one place
 *    (`instrument.ts`); no operator looks at the signal itself, except inside a loop that can run long without a pull.
 */
import type { ArrayMemory } from '../columnar/arena.ts'
import type { Batch } from '../columnar/batch.ts'
import type { Kernels } from '../kernels/kernels.ts'
import type { QueryMemory } from '../lib/memory-account.ts'
import type { Clock, Timers } from '../lib/ports.ts'
import type { CatalogReader } from '../storage/catalog/types.ts'
import type { ReadStatistics, Version } from '../storage/types.ts'
import type { Spill } from './spill/space.ts'

export type BatchStream = AsyncGenerator<Batch, void, undefined>

/** An operator of a physical plan; its identity is what counts. */
export interface Operator {
  readonly name: string
}

export interface OperatorStatistics {
  readonly name: string
  readonly operator: Operator
  rowsOut: number
  batches: number
  /** Time inside this operator and its inputs. */
  elapsedMs: number
}

/** What one execution of a query shares among its operators. */
export interface ExecutionContext {
  readonly version: Version
  /** What scans of a snapshot read; needed by plans with such scans only. */
  readonly versionAt?: ((ref: string) => Version) | undefined
  readonly catalog: CatalogReader
  readonly kernels: Kernels
  readonly clock: Clock
  readonly timers: Timers
  /** Aborted when the consumer is gone or the query timed out; `reason` is then a `SydraError`. */
  readonly signal: AbortSignal
  /** Rows an output batch aims at. */
  readonly batchRows: number
  /** Rows a time window of a scan aims at: what a scan holds at once. Default 262,144. */
  readonly windowRowsMax?: number | undefined
  /** Bytes the query may hold in sorts, groups and windows; beyond it `memory_limit`, but for what can spill. */
  readonly memoryMaxBytes: number
  /** What it takes of the memory of all queries; undefined where nobody counts. */
  readonly sharedMemory?: QueryMemory | undefined
  /** Temporary files of this query, in which sorts and groups go on; undefined where there are none. */
  readonly spill?: Spill | undefined
  /** Where its arrays are, all of which are done with when it has ended; undefined: each is its own. */
  readonly arrays?: ArrayMemory | undefined
  readonly duplicates: 'last' | 'first'
  readonly read: ReadStatistics
  readonly operators: OperatorStatistics[]
}
