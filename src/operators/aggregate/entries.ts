/**
 * Which entries each group has, for states that keep entries of all groups in the order they came: chains from the newest to
 * the oldest, made when a group's entries are first asked for, and continued since. States that nobody asks pay nothing.
 */
import { grownCodes } from './state.ts'

export class EntriesByGroup {
  /** By group its newest entry, and by entry the one before it of its group: + 1, 0 where there is none. */
  #newest: Uint32Array = new Uint32Array(0)
  #before: Uint32Array = new Uint32Array(0)
  #size = 0

  get byteLength(): number {
    return this.#newest.byteLength + this.#before.byteLength
  }

  /** Takes in the entries that came since, of `size` in all. */
  extend(size: number, groups: number, groupOf: (entry: number) => number): void {
    if (this.#size === size) return
    this.#newest = grownCodes(this.#newest, groups)
    this.#before = grownCodes(this.#before, size)
    for (let entry = this.#size; entry < size; entry++) {
      const group = groupOf(entry)
      this.#before[entry] = this.#newest[group]!
      this.#newest[group] = entry + 1
    }
    this.#size = size
  }

  /** -1: it has none. */
  newest(group: number): number {
    return group < this.#newest.length ? this.#newest[group]! - 1 : -1
  }
  /** The next older of the same group; -1: that was the oldest. */
  before(entry: number): number {
    return this.#before[entry]! - 1
  }
}
