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
 */
import { CodeSlots } from './code-slots.ts'
import { mix, U32List } from './packed.ts'

export class Postings {
  readonly metric: U32List
  readonly key: U32List
  readonly value: U32List
  /** Newest series + 1. */
  readonly last = new U32List()
  readonly count = new U32List()
  /** Made when it is first asked for. */
  #slots: CodeSlots | undefined

  constructor(metric = new U32List(), key = new U32List(), value = new U32List()) {
    this.metric = metric
    this.key = key
    this.value = value
    const size = metric.length
    this.last.reserve(size)
    this.last.length = size
    this.count.reserve(size)
    this.count.length = size
  }

  get size(): number {
    return this.metric.length
  }

  get byteLength(): number {
    const { metric, key, value, last, count } = this
    return [metric, key, value, last, count].reduce((sum, list) => sum + list.byteLength, this.#slots?.byteLength ?? 0)
  }

  /** The posting, or -1. */
  find(metric: number, key: number, value: number): number {
    const slots = (this.#slots ??= this.#hashed())
    const hashed = hash(metric, key, value)
    for (let posting = slots.first(hashed); posting >= 0; posting = slots.next(hashed))
      if (this.value.data[posting] === value && this.metric.data[posting] === metric && this.key.data[posting] === key)
        return posting
    return -1
  }

  /** The caller has checked that it is new. */
  add(metric: number, key: number, value: number): number {
    const posting = this.size
    this.metric.push(metric)
    this.key.push(key)
    this.value.push(value)
    this.last.push(0)
    this.count.push(0)
    if (this.#slots?.hasRoomFor(this.size)) this.#slots.add(hash(metric, key, value), posting)
    else this.#slots = this.#hashed()
    return posting
  }

  /** A table of all postings. */
  #hashed(): CodeSlots {
    const slots = new CodeSlots(this.size)
    const { metric, key, value } = this
    for (let posting = 0; posting < this.size; posting++)
      slots.add(hash(metric.data[posting]!, key.data[posting]!, value.data[posting]!), posting)
    return slots
  }
}

const hash = (metric: number, key: number, value: number): number => mix(mix(mix(0, metric), key), value)
