/** Random rows of every kind: numbers, strings, booleans, sparse fields, late rows, duplicates, ever more series and fields. */
import type { RowObject } from '../../src/types.ts'
import type { SeededRandom } from '../simulated/random.ts'
import type { Deletion } from './model.ts'

const startUs = Date.UTC(2026, 0, 1) * 1000
const dayUs = 86_400e6

export class RandomRows {
  readonly #random: SeededRandom
  #latestUs = startUs
  #seriesMax = 3
  #fieldsMax = 2
  #recent: RowObject[] = []

  constructor(random: SeededRandom) {
    this.#random = random
  }

  take(count: number): RowObject[] {
    const rows = Array.from({ length: count }, () => this.#row())
    this.#recent = [...this.#recent, ...rows].slice(-50)
    return rows
  }

  /** A range with rows in it, mostly. */
  deletion(): Deletion {
    const random = this.#random
    const recent = this.#recent[random.below(this.#recent.length)]
    const fromUs = ((recent?.ts as number) ?? startUs) - random.below(random.chance(0.5) ? 5e6 : 10 * dayUs)
    const host = random.chance(0.5) ? `h${random.below(this.#seriesMax)}` : undefined
    const toUs = fromUs + 1 + random.below(random.chance(0.7) ? 10e6 : 40 * dayUs)
    return { metric: recent?.series ?? 'm0', fromUs, toUs, host }
  }

  /** One row of about so many bytes. */
  large(bytes: number): RowObject {
    const text = String.fromCharCode(97 + this.#random.below(26)).repeat(bytes)
    const row = { ...this.#place(), fields: { s0: text } }
    this.#recent = [...this.#recent, row].slice(-50)
    return row
  }

  #row(): RowObject {
    const random = this.#random
    const again = random.chance(0.15) ? this.#recent[random.below(this.#recent.length)] : undefined
    const { series, ts, tags } = again ?? this.#place()
    const fields: Record<string, number | string | boolean> = {}
    if (random.chance(0.01)) this.#fieldsMax++
    for (let n = 1 + random.below(3); n > 0; n--) {
      const field = random.below(this.#fieldsMax)
      const kind = random.below(3)
      if (kind === 0) fields[`f${field}`] = random.chance(0.5) ? random.below(1000) / 10 : random.next32() * 1e-3
      else if (kind === 1)
        fields[`s${field}`] = random.chance(0.5) ? ['', 'on', 'off', 'größe'][random.below(4)]! : `t${random.next32()}`
      else fields[`b${field}`] = random.chance(0.5)
    }
    return { series, ts, tags, fields }
  }

  #place(): Pick<RowObject, 'series' | 'ts' | 'tags'> {
    const random = this.#random
    if (random.chance(0.05)) this.#seriesMax++
    const late = random.chance(0.15)
    if (!late) this.#latestUs += 1 + random.below(3e6)
    const ts = late ? this.#latestUs - random.below(40 * dayUs) : this.#latestUs
    const tags: Record<string, string> = { host: `h${random.below(this.#seriesMax)}` }
    if (random.chance(0.3)) tags['dc'] = `d${random.below(3)}`
    return { series: `m${random.below(Math.min(5, this.#seriesMax / 2))}`, ts, tags }
  }
}
