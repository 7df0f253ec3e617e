/**
 * Random rows of every kind: numbers, strings, booleans, sparse fields, late rows, duplicates, ever more series and fields.
 *
 * Invariants:
 * 1. Fields `f…` hold multiples of a quarter, so that sums are exact in whatever order they are made; `g…` any double.
 * 2. Metrics lie in several namespaces: `m0.x`, `m1.x`, `m1.y`, `m2`. Every row has a tag `host`.
 */
import type { RowObject } from '../../src/types.ts'
import type { SeededRandom } from '../simulated/random.ts'
import type { Deletion } from './model.ts'

export const startUs = Date.UTC(2026, 0, 1) * 1000
export const dayUs = 86_400e6
export const metrics = ['m0.x', 'm1.x', 'm1.y', 'm2'] as const

/** So far back rows come late. */
const lateMaxUs = 40 * dayUs
/** Rows that may come again. */
const recentMax = 50

export type PlainRow = RowObject & { readonly ts: number }

export class RandomRows {
  readonly #random: SeededRandom
  #latestUs = startUs
  #seriesMax = 3
  #fieldsMax = 2
  #recent: PlainRow[] = []

  constructor(random: SeededRandom) {
    this.#random = random
  }

  /** Time goes on: rows from now on are so much later. */
  pass(us: number): void {
    this.#latestUs += us
  }

  take(count: number): PlainRow[] {
    return this.#keep(Array.from({ length: count }, () => this.#row()))
  }

  /** One series, a row a second or so: what rollups are made of. */
  steady(count: number): PlainRow[] {
    const random = this.#random
    const { series, tags, ts } = this.#place()
    const everyUs = [0.2e6, 1e6, 2e6][random.below(3)]!
    return this.#keep(
      Array.from({ length: count }, (_, i) => ({
        series,
        tags,
        ts: ts + i * everyUs,
        fields: { f0: random.below(2000) / 4, ...(random.chance(0.8) && { f1: random.below(8) }) },
      })),
    )
  }

  /** A range with rows in it, mostly. */
  deletion(): Deletion {
    const random = this.#random
    const recent = this.#recent[random.below(this.#recent.length)]
    const fromUs = (recent?.ts ?? startUs) - random.below(random.chance(0.5) ? 5e6 : 10 * dayUs)
    const host = random.chance(0.5) ? `h${random.below(this.#seriesMax)}` : undefined
    const toUs = fromUs + 1 + random.below(random.chance(0.7) ? 10e6 : 40 * dayUs)
    return { metric: recent?.series ?? metrics[0], fromUs, toUs, host }
  }

  /** A time at which there may be rows. */
  time(): number {
    const recent = this.#recent[this.#random.below(this.#recent.length)]
    return (recent?.ts ?? startUs) - this.#random.below(this.#random.chance(0.5) ? 1e6 : dayUs)
  }

  /** One row of about so many bytes. */
  large(bytes: number): PlainRow {
    const text = String.fromCharCode(97 + this.#random.below(26)).repeat(bytes)
    return this.#keep([{ ...this.#place(), fields: { s0: text } }])[0]!
  }

  #keep(rows: PlainRow[]): PlainRow[] {
    this.#recent = [...this.#recent, ...rows].slice(-recentMax)
    return rows
  }

  #row(): PlainRow {
    const random = this.#random
    const again = random.chance(0.15) ? this.#recent[random.below(this.#recent.length)] : undefined
    const { series, ts, tags } = again ?? this.#place()
    const fields: Record<string, number | string | boolean> = {}
    if (random.chance(0.01)) this.#fieldsMax++
    for (let n = 1 + random.below(3); n > 0; n--) {
      const field = random.below(this.#fieldsMax)
      const kind = random.below(6)
      if (kind < 2) fields[`f${field}`] = random.below(4000) / 4 - 500
      else if (kind === 2) fields[`g${field}`] = random.next32() * 1e-3
      else if (kind < 5)
        fields[`s${field}`] = random.chance(0.5) ? ['', 'on', 'off', 'größe'][random.below(4)]! : `t${random.next32()}`
      else fields[`b${field}`] = random.chance(0.5)
    }
    return { series, ts, tags, fields }
  }

  #place(): Pick<PlainRow, 'series' | 'ts' | 'tags'> {
    const random = this.#random
    if (random.chance(0.05)) this.#seriesMax++
    const late = random.chance(0.15)
    if (!late) this.#latestUs += 1 + random.below(3e6)
    const ts = late ? this.#latestUs - random.below(lateMaxUs) : this.#latestUs
    const tags: Record<string, string> = { host: `h${random.below(this.#seriesMax)}` }
    if (random.chance(0.3)) tags['dc'] = `d${random.below(3)}`
    return { series: metrics[random.below(Math.min(metrics.length, this.#seriesMax - 1))]!, ts, tags }
  }
}
