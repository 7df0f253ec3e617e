/**
 * Values of many groups, in the order they came: of each group a chain of chunks, which lie in slabs that never move.
 *
 *   slab    ████░░│████████│████████████████│…        a chunk: where the one before it of its group ends, then values
 *   chunks  of 4, 8, 16 … 1,024 places: each of a group twice as large as its last
 *
 * Nothing is copied when a group grows, and what a group had is used again when it is dropped.
 *
 * Invariants:
 * 1. An address is slab · `slabPlaces` + place; a chunk lies in one slab. 0 is no end of a chunk.
 * 2. `at` to `end` of a group is what its newest chunk has left.
 */
import { grownCodes } from './state.ts'

const slabLog = 13
const slabPlaces = 1 << slabLog
/** Slabs grow to that from here: there are states of a few values. */
const firstSlabPlaces = 64
const firstChunkLog = 2
const lastChunkLog = 10
/** Fewer values are copied one by one: a call of `set` costs about as much. */
const copiedMin = 48

/** Whole slabs that no state has: the next one takes them, which is cheaper than new memory. At most 8 MiB. */
const sparesMax = 128
const spares: Float64Array[] = []

const chunkPlaces = (index: number): number => 1 << Math.min(firstChunkLog + index, lastChunkLog)

export class ValueChunks {
  readonly #slabs: Float64Array[] = []
  /** Where the newest slab has room, and how much. */
  #free = 0
  #freePlaces = 0
  /** By the logarithm of their size: begins of chunks that are used no more. */
  readonly #unused: number[][] = Array.from({ length: lastChunkLog + 1 }, () => [])
  // By group.
  #at: Uint32Array = new Uint32Array(0)
  #end: Uint32Array = new Uint32Array(0)
  #chunks: Uint32Array = new Uint32Array(0)
  #counts: Uint32Array = new Uint32Array(0)
  #slabBytes = 0
  #groups = 0

  get byteLength(): number {
    return this.#slabBytes + this.#at.byteLength * 4
  }

  reserve(groups: number): void {
    this.#groups = groups
    if (this.#at.length >= groups) return
    this.#at = grownCodes(this.#at, groups)
    this.#end = grownCodes(this.#end, groups)
    this.#chunks = grownCodes(this.#chunks, groups)
    this.#counts = grownCodes(this.#counts, groups)
  }

  get groups(): number {
    return this.#groups
  }
  count(group: number): number {
    return this.#counts[group]!
  }

  push(group: number, value: number): void {
    let at = this.#at[group]!
    if (at === this.#end[group]) at = this.#grow(group)
    this.#slabs[at >>> slabLog]![at & (slabPlaces - 1)] = value
    this.#at[group] = at + 1
    this.#counts[group]!++
  }

  /** Appends values [from, to). */
  append(group: number, values: Float64Array, from: number, to: number): void {
    this.#counts[group]! += to - from
    for (let next = from; next < to; ) {
      let at = this.#at[group]!
      if (at === this.#end[group]) at = this.#grow(group)
      const count = Math.min(to - next, this.#end[group]! - at)
      const slab = this.#slabs[at >>> slabLog]!
      const place = at & (slabPlaces - 1)
      if (count < copiedMin) for (let i = 0; i < count; i++) slab[place + i] = values[next + i]!
      else slab.set(values.subarray(next, next + count), place)
      this.#at[group] = at + count
      next += count
    }
  }

  /** Gives the parts of a group's values, the newest first: places [from, to) of a slab. */
  each(group: number, visit: (slab: Float64Array, from: number, to: number) => void): void {
    let to = this.#at[group]!
    let end = this.#end[group]!
    for (let chunk = this.#chunks[group]! - 1; chunk >= 0; chunk--) {
      const begin = end - chunkPlaces(chunk)
      const slab = this.#slabs[begin >>> slabLog]!
      const place = begin & (slabPlaces - 1)
      visit(slab, place + 1, place + to - begin)
      end = to = slab[place]!
    }
  }

  /** Drops all groups but these, which ascend and become 0, 1, … */
  keep(groups: Uint32Array): void {
    let next = 0
    for (let group = 0; group < this.#groups; group++) {
      if (groups[next] !== group) {
        this.#drop(group)
        continue
      }
      this.#at[next] = this.#at[group]!
      this.#end[next] = this.#end[group]!
      this.#chunks[next] = this.#chunks[group]!
      this.#counts[next] = this.#counts[group]!
      next++
    }
    for (const ofGroups of [this.#at, this.#end, this.#chunks, this.#counts]) ofGroups.fill(0, next, this.#groups)
    this.#groups = next
  }

  /** Gives all memory back. It is not used afterwards. */
  release(): void {
    for (const slab of this.#slabs.splice(0))
      if (slab.length === slabPlaces && spares.length < sparesMax) spares.push(slab)
    this.#slabBytes = 0
  }

  #drop(group: number): void {
    let end = this.#end[group]!
    for (let chunk = this.#chunks[group]! - 1; chunk >= 0; chunk--) {
      const begin = end - chunkPlaces(chunk)
      end = this.#slabs[begin >>> slabLog]![begin & (slabPlaces - 1)]!
      this.#unused[Math.min(firstChunkLog + chunk, lastChunkLog)]!.push(begin)
    }
  }

  /** Gives the group its next chunk; where its first value goes. */
  #grow(group: number): number {
    const index = this.#chunks[group]!++
    const log = Math.min(firstChunkLog + index, lastChunkLog)
    const begin = this.#unused[log]!.pop() ?? this.#take(log)
    this.#slabs[begin >>> slabLog]![begin & (slabPlaces - 1)] = this.#end[group]!
    this.#end[group] = begin + (1 << log)
    return begin + 1
  }

  #take(log: number): number {
    const places = 1 << log
    if (this.#freePlaces < places) {
      this.#shareOut()
      const size = Math.min(slabPlaces, Math.max(places, firstSlabPlaces << Math.min(this.#slabs.length, slabLog)))
      this.#free = this.#slabs.length * slabPlaces
      this.#freePlaces = size
      this.#slabs.push((size === slabPlaces ? spares.pop() : undefined) ?? new Float64Array(size))
      this.#slabBytes += size * Float64Array.BYTES_PER_ELEMENT
    }
    const begin = this.#free
    this.#free += places
    this.#freePlaces -= places
    return begin
  }

  /** What is left of the newest slab becomes chunks that are not used. */
  #shareOut(): void {
    for (let log = lastChunkLog; log >= firstChunkLog; log--)
      for (const places = 1 << log; this.#freePlaces >= places; ) {
        this.#unused[log]!.push(this.#free)
        this.#free += places
        this.#freePlaces -= places
      }
  }
}
