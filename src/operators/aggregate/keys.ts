/**
 * Dense ids for the distinct values of one column: the building block of groups.
 *
 *   numbers   NaN is one value, -0 is 0                        open addressing on the double's bits
 *   strings   equal text is one value, whatever dictionary     memo per dictionary code, then a Map
 *   null      a value of its own
 *
 * Invariants:
 * 1. Ids count from 0 in the order of first sight and never change.
 * 2. A table is at most half full, so probing ends.
 */
import type { Batch, Column, Dictionary, StringColumn, ValueType } from '../../columnar/batch.ts'
import { columnOf } from '../../columnar/builder.ts'
import { compareScalars, type Scalar } from '../../columnar/value.ts'
import { compareUtf8 } from '../../lib/text.ts'

export interface KeyIndex {
  readonly size: number
  readonly byteLength: number
  /** Writes the id of each row that counts to `out[row]`. */
  assign(column: Column, batch: Batch, out: Uint32Array): void
  /** The same for ids that are known; `noId` where there is none. */
  find(column: Column, batch: Batch, out: Uint32Array): void
  /** The value of an id. */
  value(id: number): Scalar
  /** The values of ids, a row each; their array is taken over. */
  column(ids: Uint32Array, type: ValueType): Column
  /** The id of a value, which is given one if it has none. */
  idOf(value: Scalar): number
}

/** Ids of values in their order, as ranks: `ranks[id]`; null is last. */
export function keyRanks(index: KeyIndex): Uint32Array {
  if (index instanceof TextKeys) return index.ranks()
  const ids = Uint32Array.from({ length: index.size }, (_, id) => id)
  const values = Array.from(ids, id => index.value(id))
  ids.sort((a, b) => {
    const left = values[a]!
    const right = values[b]!
    if (left === null || right === null) return (left === null ? 1 : 0) - (right === null ? 1 : 0)
    return compareScalars(left, right)
  })
  const ranks = new Uint32Array(index.size)
  for (let rank = 0; rank < ids.length; rank++) ranks[ids[rank]!] = rank
  return ranks
}

const bits = new Float64Array(1)
const words = new Uint32Array(bits.buffer)

/** The finaliser of MurmurHash3 (Austin Appleby), which spreads each bit over all. */
function mix(hash: number): number {
  let h = hash
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

function hashNumber(value: number): number {
  bits[0] = value
  return mix(words[0]! ^ Math.imul(words[1]!, 0x9e3779b1))
}

const initialSlots = 64
export const noId = 0xffffffff

/** Ids of numbers alone; null is the caller's business. */
export class NumberTable {
  size = 0
  #keys = new Float64Array(initialSlots / 2)
  /** id + 1, or 0 where free. */
  #slots = new Uint32Array(initialSlots)
  #nanId = noId
  #last = -1

  get byteLength(): number {
    return this.#keys.byteLength + this.#slots.byteLength
  }

  key(id: number): number {
    return this.#keys[id]!
  }

  id(value: number): number {
    if (Number.isNaN(value)) return this.#nan()
    // `+ 0` makes 0 of -0.
    const key = value + 0
    // Buckets come one after another, again and again.
    const next = this.#last + 1
    if (next < this.size && this.#keys[next] === key) return (this.#last = next)
    return (this.#last = this.#sought(key))
  }

  #sought(key: number): number {
    const mask = this.#slots.length - 1
    for (let slot = hashNumber(key) & mask; ; slot = (slot + 1) & mask) {
      const found = this.#slots[slot]!
      if (found === 0) {
        const id = this.#add(key)
        // Growing has placed it already.
        if (this.#slots.length - 1 === mask) this.#slots[slot] = id + 1
        return id
      }
      if (this.#keys[found - 1] === key) return found - 1
    }
  }

  /** The id of a number that is known, else `noId`. */
  find(value: number): number {
    if (Number.isNaN(value)) return this.#nanId
    const key = value + 0
    const mask = this.#slots.length - 1
    for (let slot = hashNumber(key) & mask; ; slot = (slot + 1) & mask) {
      const found = this.#slots[slot]!
      if (found === 0) return noId
      if (this.#keys[found - 1] === key) return found - 1
    }
  }

  clear(): void {
    this.size = 0
    this.#slots.fill(0)
    this.#nanId = noId
  }

  #nan(): number {
    if (this.#nanId === noId) this.#nanId = this.#add(NaN)
    return this.#nanId
  }

  #add(key: number): number {
    const id = this.size++
    if (id === this.#keys.length) this.#grow(key)
    else this.#keys[id] = key
    return id
  }

  #grow(added: number): void {
    const keys = new Float64Array(this.#keys.length * 2)
    keys.set(this.#keys)
    keys[this.size - 1] = added
    this.#keys = keys
    this.#slots = new Uint32Array(keys.length * 2)
    const mask = this.#slots.length - 1
    for (let id = 0; id < this.size; id++) {
      if (Number.isNaN(keys[id]!)) continue
      let slot = hashNumber(keys[id]!) & mask
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
      this.#slots[slot] = id + 1
    }
  }
}

/** Ids of pairs of ids. */
export class PairTable {
  size = 0
  #left = new Uint32Array(initialSlots / 2)
  #right = new Uint32Array(initialSlots / 2)
  #slots = new Uint32Array(initialSlots)

  get byteLength(): number {
    return this.#left.byteLength * 2 + this.#slots.byteLength
  }

  left(id: number): number {
    return this.#left[id]!
  }
  right(id: number): number {
    return this.#right[id]!
  }

  id(left: number, right: number): number {
    const mask = this.#slots.length - 1
    for (let slot = mix(left ^ Math.imul(right, 0x9e3779b1)) & mask; ; slot = (slot + 1) & mask) {
      const found = this.#slots[slot]!
      if (found === 0) {
        const id = this.#add(left, right)
        // Growing has placed it already.
        if (this.#slots.length - 1 === mask) this.#slots[slot] = id + 1
        return id
      }
      if (this.#left[found - 1] === left && this.#right[found - 1] === right) return found - 1
    }
  }

  /** The id of a pair that is known, else -1. */
  find(left: number, right: number): number {
    const mask = this.#slots.length - 1
    for (let slot = mix(left ^ Math.imul(right, 0x9e3779b1)) & mask; ; slot = (slot + 1) & mask) {
      const found = this.#slots[slot]!
      if (found === 0) return -1
      if (this.#left[found - 1] === left && this.#right[found - 1] === right) return found - 1
    }
  }

  clear(): void {
    this.size = 0
    this.#slots.fill(0)
  }

  #add(left: number, right: number): number {
    const id = this.size++
    if (id === this.#left.length) {
      this.#left = doubled(this.#left)
      this.#right = doubled(this.#right)
      this.#left[id] = left
      this.#right[id] = right
      this.#slots = new Uint32Array(this.#left.length * 2)
      const mask = this.#slots.length - 1
      for (let each = 0; each < this.size; each++) {
        let slot = mix(this.#left[each]! ^ Math.imul(this.#right[each]!, 0x9e3779b1)) & mask
        while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
        this.#slots[slot] = each + 1
      }
    } else {
      this.#left[id] = left
      this.#right[id] = right
    }
    return id
  }
}

function doubled(array: Uint32Array): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(array.length * 2)
  larger.set(array)
  return larger
}

class NumberKeys implements KeyIndex {
  readonly #isBoolean: boolean
  readonly #table = new NumberTable()
  /** ids of the table -> ids of this index, which counts null too. */
  #nullId = noId

  constructor(isBoolean: boolean) {
    this.#isBoolean = isBoolean
  }
  get size(): number {
    return this.#table.size + (this.#nullId === noId ? 0 : 1)
  }
  get byteLength(): number {
    return this.#table.byteLength
  }

  assign(column: Column, batch: Batch, out: Uint32Array): void {
    const { values, valid } = column
    const { selection } = batch
    const count = selection?.length ?? batch.length
    let last = NaN
    let lastId = 0
    for (let k = 0; k < count; k++) {
      const row = selection === undefined ? k : selection[k]!
      if (valid !== undefined && valid[row] === 0) {
        out[row] = this.#null()
        continue
      }
      const value = values[row]!
      if (value !== last) {
        last = value
        lastId = this.#shifted(this.#table.id(value))
      }
      out[row] = lastId
    }
  }

  find(column: Column, batch: Batch, out: Uint32Array): void {
    const { values, valid } = column
    const { selection } = batch
    const count = selection?.length ?? batch.length
    for (let k = 0; k < count; k++) {
      const row = selection === undefined ? k : selection[k]!
      if (valid !== undefined && valid[row] === 0) out[row] = this.#nullId
      else {
        const found = this.#table.find(values[row]!)
        out[row] = found === noId ? noId : this.#shifted(found)
      }
    }
  }

  value(id: number): Scalar {
    if (id === this.#nullId) return null
    const key = this.#table.key(id > this.#nullId && this.#nullId !== noId ? id - 1 : id)
    return this.#isBoolean ? key === 1 : key
  }

  column(ids: Uint32Array, type: ValueType): Column {
    const values = this.#isBoolean ? new Uint8Array(ids.length) : new Float64Array(ids.length)
    for (let i = 0; i < ids.length; i++) values[i] = Number(this.value(ids[i]!))
    const hasNull = this.#nullId !== noId
    const valid = hasNull ? Uint8Array.from(ids, id => (id === this.#nullId ? 0 : 1)) : undefined
    return columnOf(type, values, valid, undefined)
  }

  idOf(value: Scalar): number {
    return value === null ? this.#null() : this.#shifted(this.#table.id(Number(value)))
  }

  #null(): number {
    if (this.#nullId === noId) this.#nullId = this.#table.size
    return this.#nullId
  }

  /** Null took the id that was next when it was first seen; numbers seen later come one after. */
  #shifted(tableId: number): number {
    return this.#nullId !== noId && tableId >= this.#nullId ? tableId + 1 : tableId
  }
}

class KeyTexts implements Dictionary {
  readonly #values: readonly (string | null)[]

  constructor(values: readonly (string | null)[]) {
    this.#values = values
  }
  get size(): number {
    return this.#values.length
  }
  at(code: number): string {
    return this.#values[code] ?? ''
  }
}

const surrogate = /[\ud800-\udfff]/

class TextKeys implements KeyIndex {
  readonly #ids = new Map<string | null, number>()
  readonly #values: (string | null)[] = []
  /** What ids are codes of. */
  readonly #texts: Dictionary = new KeyTexts(this.#values)
  /** Per dictionary: code -> id + 1. */
  readonly #memos = new WeakMap<Dictionary, Uint32Array>()
  #textUnits = 0

  get size(): number {
    return this.#values.length
  }
  get byteLength(): number {
    return this.#values.length * 80 + this.#textUnits * 2
  }

  assign(column: StringColumn, batch: Batch, out: Uint32Array): void {
    const { values, valid, dictionary } = column
    const memo = this.#memo(dictionary)
    const { selection } = batch
    const count = selection?.length ?? batch.length
    for (let k = 0; k < count; k++) {
      const row = selection === undefined ? k : selection[k]!
      if (valid !== undefined && valid[row] === 0) {
        out[row] = this.idOf(null)
        continue
      }
      const code = values[row]!
      const known = memo[code]!
      if (known !== 0) out[row] = known - 1
      else {
        const id = this.idOf(dictionary.at(code))
        memo[code] = id + 1
        out[row] = id
      }
    }
  }

  find(column: StringColumn, batch: Batch, out: Uint32Array): void {
    const { values, valid, dictionary } = column
    const memo = this.#memo(dictionary)
    const { selection } = batch
    const count = selection?.length ?? batch.length
    for (let k = 0; k < count; k++) {
      const row = selection === undefined ? k : selection[k]!
      if (valid !== undefined && valid[row] === 0) {
        out[row] = this.#ids.get(null) ?? noId
        continue
      }
      const code = values[row]!
      const known = memo[code]!
      if (known !== 0) out[row] = known - 1
      else {
        const id = this.#ids.get(dictionary.at(code))
        if (id !== undefined) memo[code] = id + 1
        out[row] = id ?? noId
      }
    }
  }

  value(id: number): Scalar {
    return this.#values[id]!
  }

  column(ids: Uint32Array): Column {
    const nullId = this.#ids.get(null)
    const valid = nullId === undefined ? undefined : Uint8Array.from(ids, id => (id === nullId ? 0 : 1))
    return { type: 'string', values: ids, valid, dictionary: this.#texts }
  }

  ranks(): Uint32Array {
    const ranks = new Uint32Array(this.#values.length)
    const texts: string[] = []
    for (const value of this.#values) if (value !== null) texts.push(value)
    // UTF-16 units are in the order of UTF-8 bytes but for surrogates, and compared faster.
    if (texts.some(text => surrogate.test(text))) texts.sort(compareUtf8)
    else texts.sort()
    for (let rank = 0; rank < texts.length; rank++) ranks[this.#ids.get(texts[rank]!)!] = rank
    const nullId = this.#ids.get(null)
    if (nullId !== undefined) ranks[nullId] = texts.length
    return ranks
  }

  idOf(value: Scalar): number {
    const text = value as string | null
    let id = this.#ids.get(text)
    if (id === undefined) {
      id = this.#values.length
      this.#values.push(text)
      this.#ids.set(text, id)
      this.#textUnits += text?.length ?? 0
    }
    return id
  }

  #memo(dictionary: Dictionary): Uint32Array {
    let memo = this.#memos.get(dictionary)
    if (memo === undefined || memo.length < dictionary.size) {
      const larger = new Uint32Array(Math.max(dictionary.size, 2 * (memo?.length ?? 0)))
      if (memo !== undefined) larger.set(memo)
      memo = larger
      this.#memos.set(dictionary, memo)
    }
    return memo
  }
}

export const keyIndex = (type: Column['type']): KeyIndex =>
  type === 'string' ? (new TextKeys() as KeyIndex) : new NumberKeys(type === 'boolean')
