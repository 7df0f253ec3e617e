/**
 * `approx_count_distinct`: HyperLogLog, after P. Flajolet, É. Fusy, O. Gandouet, F. Meunier, "HyperLogLog: the analysis of a
 * near-optimal cardinality estimation algorithm", AofA 2007, with 64-bit hashes and a sparse form for small groups after
 * S. Heule, M. Nunkesser, A. Hall, "HyperLogLog in Practice", EDBT 2013, §5.1 and §5.3. The estimate is the one of O. Ertl,
 * "New cardinality estimation algorithms for HyperLogLog sketches" (2017), algorithm 6: unbiased at every size, without
 * tables.
 *
 *   hash  = index (14 bits) | rest (50 bits)        register[index] = max(zeros before the rest's first 1, + 1)
 *
 * Invariants:
 * 1. Registers depend on the set of values alone: no seed, no order. A merge is the maximum of registers.
 * 2. The standard error is 1.04 / sqrt(2^14) = 0.81 %.
 */
import type { Column } from '../../columnar/batch.ts'
import { EntriesByGroup } from './entries.ts'
import { type ColumnHasher, columnHasher } from './hashes.ts'
import { PairTable } from './keys.ts'
import { type AggregateState, forValues, type GroupedRows, grownCodes } from './state.ts'

const indexBits = 14
const registerCount = 1 << indexBits
/** Bits of the hash that are counted in. */
const restBits = 64 - indexBits
/** What a register may be. */
const histogramSize = restBits + 2
/** Registers that a group keeps as pairs, before it gets an array of all. */
const sparseMax = 512
const none = 0

export class CardinalityState implements AggregateState {
  readonly #hasher: ColumnHasher = columnHasher()
  /** (group, register) of groups that are still sparse. */
  readonly #sparse = new PairTable()
  #sparseValues = new Uint8Array(64)
  /** By group: pairs it has, and its array's number + 1. */
  #sparseCounts: Uint32Array = new Uint32Array(0)
  #dense: Uint32Array = new Uint32Array(0)
  readonly #arrays: Uint8Array[] = []
  /** By group, how many sparse registers have each value: worked out when a result is asked for, and kept from then on. */
  #histograms: Uint32Array | undefined
  readonly #ofGroups = new EntriesByGroup()

  get byteLength(): number {
    const sparse = this.#sparse.byteLength + this.#sparseValues.byteLength + this.#sparseCounts.byteLength * 2
    const asked = (this.#histograms?.byteLength ?? 0) + this.#ofGroups.byteLength
    return sparse + this.#arrays.length * registerCount + this.#hasher.heldBytes() + asked
  }
  reserve(groups: number): void {
    if (this.#histograms !== undefined) this.#histograms = grownCodes(this.#histograms, groups * histogramSize)
    this.#sparseCounts = grownCodes(this.#sparseCounts, groups)
    this.#dense = grownCodes(this.#dense, groups)
  }

  add(column: Column, rows: GroupedRows): void {
    const hasher = this.#hasher
    const { hash } = hasher
    hasher.from(column)
    forValues(column, rows, (row, group) => {
      hasher.of(row)
      this.#offer(group, hash[0]!, hash[1]!)
    })
  }

  addRange(column: Column, from: number, to: number, group: number): void {
    const hasher = this.#hasher
    const { hash } = hasher
    hasher.from(column)
    const { valid } = column
    for (let row = from; row < to; row++) {
      if (valid !== undefined && valid[row] === 0) continue
      hasher.of(row)
      this.#offer(group, hash[0]!, hash[1]!)
    }
  }

  merge(other: CardinalityState, from: Uint32Array, to: Uint32Array): void {
    const entries = other.#ofGroups
    entries.extend(other.#sparse.size, other.#dense.length, pair => other.#sparse.left(pair))
    for (let i = 0; i < from.length; i++) {
      const group = to[i]!
      const array = other.#dense[from[i]!]!
      if (array === none) {
        for (let pair = entries.newest(from[i]!); pair >= 0; pair = entries.before(pair))
          this.#raise(group, other.#sparse.right(pair), other.#sparseValues[pair]!)
        continue
      }
      if (this.#dense[group] === none) this.#densify(group)
      const registers = other.#arrays[array - 1]!
      const own = this.#arrays[this.#dense[group]! - 1]!
      for (let index = 0; index < registerCount; index++)
        if (registers[index]! > own[index]!) own[index] = registers[index]!
    }
  }

  estimate(group: number): number {
    const histogram = new Float64Array(histogramSize)
    const array = this.#dense[group]!
    if (array === none) {
      const counts = (this.#histograms ??= this.#countSparse())
      let kept = 0
      for (let value = 1; value <= restBits + 1; value++) {
        histogram[value] = counts[group * histogramSize + value]!
        kept += histogram[value]!
      }
      histogram[0] = registerCount - kept
    } else for (const value of this.#arrays[array - 1]!) histogram[value]!++
    return Math.round(estimateFrom(histogram))
  }

  #offer(group: number, high: number, low: number): void {
    const index = high >>> (32 - indexBits)
    // The rest: 18 bits of `high`, then 32 of `low`.
    const head = (high << indexBits) >>> indexBits
    const value = head !== 0 ? Math.clz32(head) - indexBits + 1 : 32 - indexBits + Math.clz32(low) + 1
    this.#raise(group, index, value)
  }

  #raise(group: number, index: number, value: number): void {
    const array = this.#dense[group]!
    if (array !== none) {
      const registers = this.#arrays[array - 1]!
      if (registers[index]! < value) registers[index] = value
      return
    }
    const known = this.#sparse.size
    const pair = this.#sparse.id(group, index)
    if (pair === known) {
      if (pair === this.#sparseValues.length) {
        const larger = new Uint8Array(2 * pair)
        larger.set(this.#sparseValues)
        this.#sparseValues = larger
      }
      this.#sparseValues[pair] = value
      this.#count(group, value, 1)
      if (++this.#sparseCounts[group]! > sparseMax) this.#densify(group)
    } else if (this.#sparseValues[pair]! < value) {
      this.#count(group, this.#sparseValues[pair]!, -1)
      this.#count(group, value, 1)
      this.#sparseValues[pair] = value
    }
  }

  #count(group: number, value: number, more: 1 | -1): void {
    if (this.#histograms !== undefined) this.#histograms[group * histogramSize + value]! += more
  }

  /** Its pairs stay where they are, unread: they are few. */
  #densify(group: number): void {
    const registers = new Uint8Array(registerCount)
    for (let index = 0; index < registerCount; index++) {
      const known = this.#sparse.find(group, index)
      if (known >= 0) registers[index] = this.#sparseValues[known]!
    }
    this.#arrays.push(registers)
    this.#dense[group] = this.#arrays.length
  }

  #countSparse(): Uint32Array {
    const counts = new Uint32Array(this.#dense.length * histogramSize)
    for (let pair = 0; pair < this.#sparse.size; pair++)
      counts[this.#sparse.left(pair) * histogramSize + this.#sparseValues[pair]!]!++
    return counts
  }
}

/** Ertl's algorithm 6: from how many registers hold each value. */
function estimateFrom(histogram: Float64Array): number {
  const m = registerCount
  let z = m * tau((m - histogram[restBits + 1]!) / m)
  for (let k = restBits; k >= 1; k--) z = 0.5 * (z + histogram[k]!)
  z += m * sigma(histogram[0]! / m)
  return ((1 / (2 * Math.LN2)) * m * m) / z
}

function sigma(x: number): number {
  if (x === 1) return Infinity
  let y = 1
  let z = x
  let power = x
  for (let previous = NaN; z !== previous; ) {
    power *= power
    previous = z
    z += power * y
    y += y
  }
  return z
}

function tau(x: number): number {
  if (x === 0 || x === 1) return 0
  let y = 1
  let z = 1 - x
  let root = x
  for (let previous = NaN; z !== previous; ) {
    root = Math.sqrt(root)
    previous = z
    y *= 0.5
    z -= (1 - root) ** 2 * y
  }
  return z / 3
}
