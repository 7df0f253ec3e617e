/**
 * The results of an aggregation some of whose groups are in partitions: each partition is aggregated in turn, and what
 * overflows there in partitions of its own; the rows of all are sorted together.
 *
 * Invariants:
 * 1. A pass takes in the groups of at least one batch before it overflows: the work ends.
 * 2. One pass is in memory at a time; partitions not yet read wait in files.
 */
import type { Batch } from '../../columnar/batch.ts'
import type { AggregateNode } from '../../sydraql/plan.ts'
import type { Execution } from '../execution.ts'
import type { SortColumn } from '../sort/key-words.ts'
import { Sorter } from '../sort/sorter.ts'
import type { SpillRun } from '../spill/run.ts'
import type { Aggregation } from './aggregation.ts'
import { Aggregator, queryMemory } from './aggregator.ts'
import { Pass } from './pass.ts'

interface Partition {
  readonly run: SpillRun
  readonly level: number
}

export class PartitionedResults {
  readonly #aggregation: Aggregation
  readonly #execution: Execution
  readonly #sorter: Sorter
  readonly #waiting: Partition[] = []

  constructor(aggregation: Aggregation, execution: Execution) {
    const { node } = aggregation
    this.#aggregation = aggregation
    this.#execution = execution
    this.#sorter = new Sorter(node.schema, resultOrder(node), execution)
  }

  async add(results: AsyncGenerator<Batch, void, undefined>): Promise<void> {
    for await (const batch of results) await this.#sorter.add(batch)
  }

  /** All results in order, with those of the partitions. Ends in `close`. */
  async *with(partitions: readonly SpillRun[]): AsyncGenerator<Batch, void, undefined> {
    try {
      for (const run of partitions) this.#waiting.push({ run, level: 0 })
      for (let next = this.#waiting.pop(); next !== undefined; next = this.#waiting.pop()) await this.#aggregate(next)
      yield* this.#sorter.sorted()
    } finally {
      this.close()
    }
  }

  close(): void {
    this.#sorter.close()
    for (const { run } of this.#waiting.splice(0)) run.remove()
  }

  async #aggregate({ run, level }: Partition): Promise<void> {
    const aggregator = new Aggregator(this.#aggregation, queryMemory(this.#execution))
    const pass = new Pass(aggregator, level + 1, this.#execution)
    try {
      if (run.rows === 0) return
      for (const batch of run.blocks()) {
        pass.add(batch)
        if (pass.aggregator.isFull) await pass.makeRoom(() => {})
        await this.#execution.pace()
      }
      await this.add(pass.results(pass.aggregator.ended(Infinity)))
      if (pass.overflow === undefined) return
      for (const rest of pass.overflow.finish()) this.#waiting.push({ run: rest, level: level + 1 })
      pass.overflow = undefined
    } finally {
      run.remove()
      pass.close()
    }
  }
}

/** By bucket, then by the other keys, nulls last. */
function resultOrder({ keys }: AggregateNode): SortColumn[] {
  const order = keys.map((_, column): SortColumn => ({ column, descending: false, nulls: 'last' }))
  return order.sort(
    (a, b) => Number(keys[a.column]!.bucket === undefined) - Number(keys[b.column]!.bucket === undefined),
  )
}
