/**
 * Postings: one entry per distinct (metric, tag key, tag value), with the series that carry it.
 *
 *   posting   metric  key  value code   last series  count
 *      0        0      0       0             7         3       7 -> 4 -> 0
 *
 * The list itself is a chain through the series table: each tag of a series names the previous series with the same
 * posting. Adding a series touches nothing else, and a posting of one series costs no list object.
 *
 * Invariants:
 * 1. A posting's series are chained newest first, so ordinals descend; `count` is the chain's length.
 * 2. The table of codes is at most three quarters full.
 */
import { mix, tableSize, U32List } from './packed.ts'

export class Postings {
  readonly metric: U32List
  readonly key: U32List
  readonly value: U32List
  /** Newest series + 1. */
  readonly last = new U32List()
  readonly count = new U32List()
  #slots: Uint32Array

  constructor(metric = new U32List(), key = new U32List(), value = new U32List()) {
    this.metric = metric
    this.key = key
    this.value = value
    this.#slots = new Uint32Array(0)
    const size = metric.length
    this.last.reserve(size)
    this.last.length = size
    this.count.reserve(size)
    this.count.length = size
    this.#rehash()
  }

  get size(): number {
    return this.metric.length
  }

  get byteLength(): number {
    const { metric, key, value, last, count } = this
    return [metric, key, value, last, count].reduce((sum, list) => sum + list.byteLength, this.#slots.byteLength)
  }

  /** The posting, or -1. */
  find(metric: number, key: number, value: number): number {
    const slots = this.#slots
    const mask = slots.length - 1
    for (let slot = hash(metric, key, value) & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const posting = slots[slot]! - 1
      if (this.value.data[posting] === value && this.metric.data[posting] === metric && this.key.data[posting] === key)
        return posting
    }
    return -1
  }

  add(metric: number, key: number, value: number): number {
    const posting = this.size
    this.metric.push(metric)
    this.key.push(key)
    this.value.push(value)
    this.last.push(0)
    this.count.push(0)
    if (this.size * 4 > this.#slots.length * 3) this.#rehash()
    else this.#place(posting)
    return posting
  }

  #place(posting: number): void {
    const mask = this.#slots.length - 1
    let slot = hash(this.metric.data[posting]!, this.key.data[posting]!, this.value.data[posting]!) & mask
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
    this.#slots[slot] = posting + 1
  }

  #rehash(): void {
    this.#slots = new Uint32Array(tableSize(this.size + 1))
    for (let posting = 0; posting < this.size; posting++) this.#place(posting)
  }
}

const hash = (metric: number, key: number, value: number): number => mix(mix(mix(0, metric), key), value) >>> 0
