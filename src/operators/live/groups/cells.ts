/**
 * The cells that are kept, and which of them a step uses.
 *
 * Invariants:
 * 1. Memory is short: cells that the step does not use go, the least lately used first.
 * 2. Where there are buckets, few cells stay that nobody uses.
 */
import type { TimeRange } from '../../../sydraql/plan.ts'
import type { Cell, GroupChanges } from './cell.ts'
import { KeptMemory } from './memory.ts'

const cellsMax = 16

export class Cells {
  readonly memory: KeptMemory
  readonly #most: number
  /** By where they begin, the least lately used first. */
  readonly #cells = new Map<number, Cell>()
  #used: Cell[] = []
  #step = 0

  /** `isOne`: there is one cell of all time. */
  constructor(bytesMax: number, isOne: boolean) {
    this.memory = new KeptMemory(bytesMax, () => this.#dropOldest(0))
    this.#most = isOne ? 1 : cellsMax
  }

  beginStep(): void {
    this.#step++
  }

  has(range: TimeRange): boolean {
    return this.#cells.has(range.fromUs)
  }

  /** Uses the cell. */
  get(range: TimeRange): Cell | undefined {
    const cell = this.#cells.get(range.fromUs)
    if (cell !== undefined && cell.usedIn !== this.#step) this.#use(cell)
    return cell
  }

  add(cell: Cell): void {
    this.#use(cell)
  }

  within(range: TimeRange): Cell[] {
    return [...this.#cells.values()].filter(cell => cell.range.fromUs < range.toUs && range.fromUs < cell.range.toUs)
  }

  drop(cell: Cell): void {
    cell.release()
    this.#cells.delete(cell.range.fromUs)
    const index = this.#used.indexOf(cell)
    if (index >= 0) this.#used.splice(index, 1)
  }

  /** Appends what the step has changed in the cells that it used. */
  endStep(changes: GroupChanges): void {
    for (const cell of this.#used) cell.takeChanges(changes)
    const used = this.#used
    this.#used = []
    for (const cell of used) if (cell.isStale) this.drop(cell)
    this.#dropOldest(this.#most)
  }

  clear(): void {
    for (const cell of this.#cells.values()) cell.release()
    this.#cells.clear()
    this.#used = []
  }

  #use(cell: Cell): void {
    cell.begin(this.#step)
    this.#used.push(cell)
    this.#cells.delete(cell.range.fromUs)
    this.#cells.set(cell.range.fromUs, cell)
  }

  #dropOldest(most: number): void {
    for (const cell of this.#cells.values()) {
      if (this.#cells.size <= most || cell.usedIn === this.#step) return
      this.drop(cell)
    }
  }
}
