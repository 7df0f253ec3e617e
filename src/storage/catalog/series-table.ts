/**
 * The series, as columns: about 40 bytes a series and 8 a tag, whatever the number.
 *
 *   series 0 | metric | id (2 words) | end of its tags ──┐
 *   tags     | posting | previous series + 1 with the same posting | …
 *
 * Invariants:
 * 1. An ordinal is the index of arrival and never changes.
 * 2. Tags of a series are in canonical order; the postings name metric, key and value.
 * 3. Ids are unique.
 */
import { CodeSlots } from './code-slots.ts'
import { U32List } from './packed.ts'
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
  /** By the low word of the id, which is a hash. Made when it is first asked for. */
  #slots: CodeSlots | undefined
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
    return lists.reduce((sum, list) => sum + list.byteLength, (this.#slots?.byteLength ?? 0) + this.#cachedOrdinals * 4)
  }

  /** The series with this id, or -1. */
  find(idLow: number, idHigh: number): number {
    const slots = (this.#slots ??= this.#hashed())
    for (let series = slots.first(idLow); series >= 0; series = slots.next(idLow))
      if (this.idLow.data[series] === idLow && this.idHigh.data[series] === idHigh) return series
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
    if (this.#slots?.hasRoomFor(this.size)) this.#slots.add(idLow, series)
    else this.#slots = this.#hashed()
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

  /** A table of all series. */
  #hashed(): CodeSlots {
    const slots = new CodeSlots(this.size)
    for (let series = 0; series < this.size; series++) slots.add(this.idLow.data[series]!, series)
    return slots
  }
}

const emptyColumns = (): SeriesColumns => ({
  metric: new U32List(),
  idLow: new U32List(),
  idHigh: new U32List(),
  tagsEnd: new U32List(),
  tagPosting: new U32List(),
})
