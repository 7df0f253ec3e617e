/**
 * The series, as columns: about 40 bytes a series and 8 a tag, whatever the number.
 *
 *   series 0 | metric | id (2 words) | end of its tags ──┐
 *   tags     | posting | previous series + 1 with the same posting | …
 *
 * Invariants:
 * 1. An ordinal is the index of arrival and never changes.
 * 2. Tags of a series are in canonical order; the postings name metric, key and value.
 * 3. Ids are unique; the table of ids is at most three quarters full.
 */
import { tableSize, U32List } from './packed.ts'
import type { Postings } from './postings.ts'

export interface SeriesColumns {
  readonly metric: U32List
  readonly idLow: U32List
  readonly idHigh: U32List
  readonly tagsEnd: U32List
  readonly tagPosting: U32List
}

/** Ordinals kept in lists made for `seriesWithTag`. */
const cachedOrdinalsMax = 1 << 20

export class SeriesTable implements SeriesColumns {
  readonly metric: U32List
  readonly idLow: U32List
  readonly idHigh: U32List
  readonly tagsEnd: U32List
  readonly tagPosting: U32List
  readonly #tagPrevious = new U32List()
  readonly #postings: Postings
  #slots: Uint32Array
  readonly #lists = new Map<number, Uint32Array>()
  #cachedOrdinals = 0

  /** With columns: takes them over and chains their tags. */
  constructor(postings: Postings, columns: SeriesColumns = emptyColumns()) {
    this.metric = columns.metric
    this.idLow = columns.idLow
    this.idHigh = columns.idHigh
    this.tagsEnd = columns.tagsEnd
    this.tagPosting = columns.tagPosting
    this.#postings = postings
    this.#slots = new Uint32Array(0)
    this.#rehash()
    this.#tagPrevious.reserve(this.tagPosting.length)
    for (let series = 0, at = 0; series < this.size; series++) {
      for (; at < this.tagsEnd.data[series]!; at++) this.#chain(series, this.tagPosting.data[at]!)
    }
  }

  get size(): number {
    return this.metric.length
  }
  tagsStart(series: number): number {
    return series === 0 ? 0 : this.tagsEnd.data[series - 1]!
  }

  get byteLength(): number {
    const lists = [this.metric, this.idLow, this.idHigh, this.tagsEnd, this.tagPosting, this.#tagPrevious]
    return lists.reduce((sum, list) => sum + list.byteLength, this.#slots.byteLength + this.#cachedOrdinals * 4)
  }

  /** The series with this id, or -1. */
  find(idLow: number, idHigh: number): number {
    const slots = this.#slots
    const mask = slots.length - 1
    for (let slot = idLow & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const series = slots[slot]! - 1
      if (this.idLow.data[series] === idLow && this.idHigh.data[series] === idHigh) return series
    }
    return -1
  }

  /** The caller has checked that the id is new. */
  add(metric: number, idLow: number, idHigh: number, tags: Uint32Array): number {
    const series = this.size
    this.metric.push(metric)
    this.idLow.push(idLow)
    this.idHigh.push(idHigh)
    for (let i = 0; i < tags.length; i++) {
      this.tagPosting.push(tags[i]!)
      this.#chain(series, tags[i]!)
    }
    this.tagsEnd.push(this.tagPosting.length)
    if (this.size * 4 > this.#slots.length * 3) this.#rehash()
    else this.#place(series)
    return series
  }

  /** Ordinals of the series with this posting, ascending; the array stays as it is. */
  withPosting(posting: number): Uint32Array {
    const count = this.#postings.count.data[posting]!
    const known = this.#lists.get(posting)
    if (known !== undefined && known.length === count) return known
    const list = new Uint32Array(count)
    const done = known?.length ?? 0
    if (known !== undefined) list.set(known)
    let next = this.#postings.last.data[posting]!
    for (let i = count - 1; i >= done; i--) {
      list[i] = next - 1
      next = this.#previous(next - 1, posting)
    }
    this.#keep(posting, list, done)
    return list
  }

  #keep(posting: number, list: Uint32Array, replaced: number): void {
    this.#cachedOrdinals += list.length - replaced
    if (this.#cachedOrdinals > cachedOrdinalsMax) {
      this.#lists.clear()
      this.#cachedOrdinals = list.length
    }
    this.#lists.set(posting, list)
  }

  #previous(series: number, posting: number): number {
    const postings = this.tagPosting.data
    let at = this.tagsStart(series)
    while (postings[at] !== posting) at++
    return this.#tagPrevious.data[at]!
  }

  #chain(series: number, posting: number): void {
    const { last, count } = this.#postings
    this.#tagPrevious.push(last.data[posting]!)
    last.data[posting] = series + 1
    count.data[posting]! += 1
  }

  #place(series: number): void {
    const mask = this.#slots.length - 1
    let slot = this.idLow.data[series]! & mask
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
    this.#slots[slot] = series + 1
  }

  #rehash(): void {
    this.#slots = new Uint32Array(tableSize(this.size + 1))
    for (let series = 0; series < this.size; series++) this.#place(series)
  }
}

const emptyColumns = (): SeriesColumns => ({
  metric: new U32List(),
  idLow: new U32List(),
  idHigh: new U32List(),
  tagsEnd: new U32List(),
  tagPosting: new U32List(),
})
