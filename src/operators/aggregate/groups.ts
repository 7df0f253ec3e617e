/**
 * Groups: dense ids for combinations of group keys.
 *
 *   part    id of the keys without the bucket: pairs folded from the left, ((k1, k2), k3)
 *   group   id of (part, bucket start); without a bucket key a group is its part
 *
 * Invariants:
 * 1. Group ids count from 0. Parts live as long as the table; groups until `keep` drops them.
 * 2. Without keys there is one group, 0, from the beginning.
 */
import type { Batch, Column, ValueType } from '../../columnar/batch.ts'
import type { Scalar } from '../../columnar/value.ts'
import { reusableCodes } from '../functions/evaluator.ts'
import { type KeyIndex, keyIndex, keyRanks, NumberTable, noId, PairTable } from './keys.ts'
import { noGroup } from './state.ts'

/** The rank of each of some groups by one key, below `size`. */
interface Ranked {
  readonly size: number
  readonly ranks: Uint32Array
}

/** Of tables that have none: nothing is ever added. */
const noBuckets = new NumberTable()
const noGroups = new PairTable()

export class GroupTable {
  /** One index per key that is no bucket, in the order of the keys. */
  readonly #keys: readonly KeyIndex[]
  /** `pairs[i]` joins the part so far with key `i + 1`. */
  readonly #pairs: readonly PairTable[]
  readonly #hasBucket: boolean
  readonly #buckets: NumberTable
  readonly #groups: PairTable
  readonly #parts = reusableCodes()
  readonly #ids = reusableCodes()

  constructor(keyTypes: readonly ValueType[], hasBucket: boolean) {
    this.#keys = keyTypes.map(type => keyIndex(type))
    this.#pairs = keyTypes.slice(1).map(() => new PairTable())
    this.#hasBucket = hasBucket
    this.#buckets = hasBucket ? new NumberTable() : noBuckets
    this.#groups = hasBucket && keyTypes.length > 0 ? new PairTable() : noGroups
  }

  get size(): number {
    if (!this.#hasBucket) return this.#keys.length === 0 ? 1 : this.#partCount()
    return this.#keys.length === 0 ? this.#buckets.size : this.#groups.size
  }
  get byteLength(): number {
    let bytes = this.#buckets.byteLength + this.#groups.byteLength
    for (const key of this.#keys) bytes += key.byteLength
    for (const pair of this.#pairs) bytes += pair.byteLength
    return bytes
  }

  /** Group ids of the rows that count, at `out[row]`. `starts` are the bucket starts, where there is a bucket key. */
  assign(keys: readonly Column[], starts: Float64Array | undefined, batch: Batch, out: Uint32Array): void {
    if (!this.#hasBucket) {
      this.#assignParts(keys, batch, out)
      return
    }
    const parts = this.#keys.length === 0 ? undefined : this.#parts(batch.length)
    if (parts !== undefined) this.#assignParts(keys, batch, parts)
    const { selection } = batch
    const count = selection?.length ?? batch.length
    let start = NaN
    let part = 0
    let group = 0
    for (let k = 0; k < count; k++) {
      const row = selection === undefined ? k : selection[k]!
      const rowStart = starts![row]!
      const rowPart = parts === undefined ? 0 : parts[row]!
      if (rowStart !== start || rowPart !== part) {
        start = rowStart
        part = rowPart
        group = this.group(part, start)
      }
      out[row] = group
    }
  }

  /** Like `assign`, but nothing is added: `noGroup` where a row's group is not known. */
  find(keys: readonly Column[], starts: Float64Array | undefined, batch: Batch, out: Uint32Array): void {
    const { selection } = batch
    const count = selection?.length ?? batch.length
    for (let k = 0; k < count; k++) out[selection === undefined ? k : selection[k]!] = 0
    for (let key = 0; key < keys.length; key++) {
      const ids = this.#ids(batch.length)
      this.#keys[key]!.find(keys[key]!, batch, ids)
      for (let k = 0; k < count; k++) {
        const row = selection === undefined ? k : selection[k]!
        if (key === 0 || out[row] === noGroup || ids[row] === noId) {
          if (key === 0 || out[row] !== noGroup) out[row] = ids[row] === noId ? noGroup : ids[row]!
          continue
        }
        const pair = this.#pairs[key - 1]!.find(out[row]!, ids[row]!)
        out[row] = pair < 0 ? noGroup : pair
      }
    }
    if (!this.#hasBucket) return
    for (let k = 0; k < count; k++) {
      const row = selection === undefined ? k : selection[k]!
      if (out[row] === noGroup) continue
      const bucket = this.#buckets.find(starts![row]!)
      const group = bucket === noId ? -1 : keys.length === 0 ? bucket : this.#groups.find(out[row]!, bucket)
      out[row] = group < 0 ? noGroup : group
    }
  }

  /** The part of one row. */
  part(keys: readonly Column[], row: number): number {
    const out = this.#parts(row + 1)
    this.#assignParts(keys, { length: row + 1, columns: keys, selection: Uint32Array.of(row) }, out)
    return out[row]!
  }

  /** The group of a part in the bucket with this start; without a bucket key the part itself. */
  group(part: number, startUs: number): number {
    if (!this.#hasBucket) return part
    const bucket = this.#buckets.id(startUs)
    return this.#keys.length === 0 ? bucket : this.#groups.id(part, bucket)
  }

  bucketStart(group: number): number {
    return this.#buckets.key(this.#bucketOf(group))
  }

  keyValue(group: number, key: number): Scalar {
    return this.#keys[key]!.value(this.#keyId(this.#partOf(group), key))
  }

  /** A key of each of these groups. */
  keyColumn(groups: Uint32Array, key: number, type: ValueType): Column {
    const ids = new Uint32Array(groups.length)
    for (let i = 0; i < groups.length; i++) ids[i] = this.#keyId(this.#partOf(groups[i]!), key)
    return this.#keys[key]!.column(ids, type)
  }

  bucketStarts(groups: Uint32Array): Float64Array {
    const starts = new Float64Array(groups.length)
    for (let i = 0; i < groups.length; i++) starts[i] = this.bucketStart(groups[i]!)
    return starts
  }

  /** Group ids in the order of the result: by bucket, then by the keys, nulls last. */
  sorted(groups: Uint32Array): Uint32Array {
    const count = groups.length
    if (this.#hasBucket && this.#keys.length === 0 && this.#ascend(groups)) return groups
    const digits: Ranked[] = this.#keys.map((key, i) => {
      const ranks = keyRanks(key)
      return { size: key.size, ranks: groups.map(group => ranks[this.#keyId(this.#partOf(group), i)]!) }
    })
    if (this.#hasBucket) digits.unshift(this.#bucketRanks(groups))
    if (digits.reduce((product, { size }) => product * size, count) > Number.MAX_SAFE_INTEGER) {
      const order = Uint32Array.from(groups.keys())
      order.sort((a, b) => {
        for (const { ranks } of digits) if (ranks[a] !== ranks[b]) return ranks[a]! - ranks[b]!
        return 0
      })
      return order.map(index => groups[index]!)
    }
    // Ranks as the digits of one number, whose last is the place: typed arrays sort without a function.
    const numbers = new Float64Array(count)
    for (const { size, ranks } of digits) for (let i = 0; i < count; i++) numbers[i] = numbers[i]! * size + ranks[i]!
    for (let i = 0; i < count; i++) numbers[i] = numbers[i]! * count + i
    numbers.sort()
    return groups.map((_, i) => groups[numbers[i]! % count]!)
  }

  /** Whether the buckets of these groups follow one another. */
  #ascend(groups: Uint32Array): boolean {
    for (let i = 1; i < groups.length; i++)
      if (this.#buckets.key(groups[i]!) <= this.#buckets.key(groups[i - 1]!)) return false
    return true
  }

  #bucketRanks(groups: Uint32Array): Ranked {
    const { size } = this.#buckets
    const ids = new Uint32Array(size)
    for (let id = 0; id < size; id++) ids[id] = id
    ids.sort((a, b) => this.#buckets.key(a) - this.#buckets.key(b))
    const ranks = new Uint32Array(size)
    for (let rank = 0; rank < size; rank++) ranks[ids[rank]!] = rank
    return { size, ranks: groups.map(group => ranks[this.#bucketOf(group)]!) }
  }

  /** Drops all groups but these, which become 0, 1, … in this order. Only with a bucket key. */
  keep(groups: Uint32Array): void {
    const parts = Uint32Array.from(groups, group => this.#partOf(group))
    const starts = Float64Array.from(groups, group => this.bucketStart(group))
    this.#buckets.clear()
    this.#groups.clear()
    for (let i = 0; i < groups.length; i++) this.group(parts[i]!, starts[i]!)
  }

  #partCount(): number {
    return this.#keys.length === 1 ? this.#keys[0]!.size : this.#pairs.at(-1)!.size
  }

  #bucketOf(group: number): number {
    return this.#keys.length === 0 ? group : this.#groups.right(group)
  }

  #partOf(group: number): number {
    if (!this.#hasBucket) return group
    return this.#keys.length === 0 ? 0 : this.#groups.left(group)
  }

  #keyId(part: number, key: number): number {
    let id = part
    for (let i = this.#pairs.length - 1; i >= 0; i--) {
      if (key === i + 1) return this.#pairs[i]!.right(id)
      id = this.#pairs[i]!.left(id)
    }
    return id
  }

  #assignParts(columns: readonly Column[], batch: Batch, out: Uint32Array): void {
    const { selection } = batch
    const count = selection?.length ?? batch.length
    if (this.#keys.length === 0) {
      if (selection === undefined) out.fill(0, 0, count)
      else for (let k = 0; k < count; k++) out[selection[k]!] = 0
      return
    }
    this.#keys[0]!.assign(columns[0]!, batch, out)
    for (let key = 1; key < this.#keys.length; key++) {
      const ids = this.#ids(batch.length)
      this.#keys[key]!.assign(columns[key]!, batch, ids)
      const pairs = this.#pairs[key - 1]!
      let left = -1
      let right = -1
      let pair = 0
      for (let k = 0; k < count; k++) {
        const row = selection === undefined ? k : selection[k]!
        if (out[row] !== left || ids[row] !== right) {
          left = out[row]!
          right = ids[row]!
          pair = pairs.id(left, right)
        }
        out[row] = pair
      }
    }
  }
}
