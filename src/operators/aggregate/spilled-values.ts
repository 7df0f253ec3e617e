/**
 * Spilled values: what a state that keeps values could not hold, sorted by group and value in temporary files, from which
 * the groups' results are read in one pass.
 *
 *   drain: state -> rows (group, value, rows)          results: the same ascending -> a fold per group and output
 */
import type { Batch, Schema, ValueType } from '../../columnar/batch.ts'
import { type Scalar, valueAt } from '../../columnar/value.ts'
import { assert } from '../../lib/assert.ts'
import type { Execution } from '../execution.ts'
import type { SortColumn } from '../sort/key-words.ts'
import { Sorter } from '../sort/sorter.ts'
import type { Aggregator, Output, Slot } from './aggregator.ts'
import type { Value } from './sorted-folds.ts'
import { grownNumbers, noGroup } from './state.ts'

const ascending = (column: number): SortColumn => ({ column, descending: false, nulls: 'last' })
const byGroupAndValue = [ascending(0), ascending(1)]

/** Rows copied at once to the next sorter. */
const keptRowsMax = 8192

export class SpilledValues {
  readonly #aggregator: Aggregator
  readonly #slot: Slot
  readonly #outputs: readonly Output[]
  readonly #execution: Execution
  readonly #schema: Schema
  #sorter: Sorter
  /** By group, how many values it has, each as often as it is there. */
  #counts = new Float64Array(0)

  constructor(aggregator: Aggregator, slot: Slot, type: ValueType, execution: Execution) {
    this.#aggregator = aggregator
    this.#slot = slot
    this.#outputs = aggregator.outputs.filter(output => output.slot === slot)
    this.#execution = execution
    this.#schema = [
      { name: 'group', type: 'integer', nullable: false },
      { name: 'value', type, nullable: false },
      { name: 'rows', type: 'integer', nullable: false },
    ]
    this.#sorter = new Sorter(this.#schema, byGroupAndValue, execution)
  }

  /** Empties the state. */
  async drain(): Promise<void> {
    const { state } = this.#slot
    assert(state.drain !== undefined, 'a state that can be drained')
    for (const { length, groups, values, rows } of state.drain()) {
      const counts = rows ?? new Float64Array(length).fill(1)
      await this.#add(Float64Array.from(groups.subarray(0, length)), values, counts, length)
      await this.#execution.pace()
    }
    state.release?.()
    this.#slot.state = this.#slot.create()
  }

  /**
   * Works out the outputs of these groups. The values of others stay, their groups renumbered by `places`.
   * Before the groups are dropped.
   */
  async results(groups: Uint32Array, places: Uint32Array): Promise<void> {
    await this.drain()
    const size = this.#aggregator.table.size
    const wanted = new Uint8Array(size)
    for (const group of groups) wanted[group] = 1
    const counts = this.#counts
    const sorter = this.#sorter
    this.#counts = new Float64Array(0)
    this.#sorter = new Sorter(this.#schema, byGroupAndValue, this.#execution)
    const folds = this.#outputs.map(output => {
      const fold = output.ofSorted!()
      fold.begin(0)
      // What a group without values has.
      const known: Scalar[] = new Array(size).fill(fold.finish())
      output.known = known
      return { fold, known }
    })
    let open = -1
    const finishGroup = () => {
      if (open >= 0) for (const { fold, known } of folds) known[open] = fold.finish()
    }
    try {
      for await (const batch of sorter.sorted()) {
        const [groupColumn, values, rows] = batch.columns
        for (let row = 0; row < batch.length; row++) {
          const group = groupColumn!.values[row]!
          if (wanted[group] === 0) continue
          if (group !== open) {
            finishGroup()
            open = group
            for (const { fold } of folds) fold.begin(counts[group]!)
          }
          const value = valueAt(values!, row) as Value
          for (const { fold } of folds) fold.add(value, rows!.values[row]!)
        }
        await this.#keep(batch, wanted, places)
      }
      finishGroup()
    } finally {
      sorter.close()
    }
  }

  close(): void {
    this.#sorter.close()
  }

  /** The rows of groups that are not wanted yet. */
  async #keep({ columns, length }: Batch, wanted: Uint8Array, places: Uint32Array): Promise<void> {
    const groups = columns[0]!.values
    const kept: number[] = []
    for (let row = 0; row < length; row++) if (wanted[groups[row]!] === 0) kept.push(row)
    for (let from = 0; from < kept.length; from += keptRowsMax) {
      const selection = Uint32Array.from(kept.slice(from, from + keptRowsMax))
      const renumbered = new Float64Array(length)
      for (const row of selection) {
        renumbered[row] = places[groups[row]!]!
        assert(renumbered[row] !== noGroup, 'a group that stays')
      }
      await this.#add(renumbered, columns[1]!, columns[2]!.values as Float64Array, length, selection)
    }
  }

  #add(
    groups: Float64Array,
    values: Batch['columns'][number],
    rows: Float64Array,
    length: number,
    selection?: Uint32Array,
  ): Promise<void> | undefined {
    const count = selection?.length ?? length
    for (let k = 0; k < count; k++) {
      const row = selection === undefined ? k : selection[k]!
      const group = groups[row]!
      if (group >= this.#counts.length)
        this.#counts = grownNumbers(this.#counts, group + 1) as Float64Array<ArrayBuffer>
      this.#counts[group]! += rows[row]!
    }
    const columns = [
      { type: 'integer', values: groups, valid: undefined } as const,
      values,
      { type: 'integer', values: rows, valid: undefined } as const,
    ]
    return this.#sorter.add({ length, columns, selection })
  }
}
