/** Rows as a plan has them: most at the end of their series, some late, some doubled, some with what is new to the schema. */
import type { SeededRandom } from '../../simulated/random.ts'
import type { PlannedDelete } from './plan.ts'

export interface Written {
  readonly metric: string
  readonly tags: Readonly<Record<string, string>>
  /** When: steps of the scale, from its start. */
  readonly step: number
  readonly fields: Readonly<Record<string, number | string | boolean>>
}

/** `quarters`: their sums are exact. */
export type Values = 'quarters' | 'decimals' | 'special'

const special: readonly (number | string)[] = [0, -0, 1, 2.5, -3, 0.1, 1e15, -1e-3, 'NaN', 'Infinity', '-Infinity']
const texts = ['', 'a', 'ab', 'Abc', 'é', 'x_y', '𝒳', '\uff5e']

export class PlannedRows {
  /** The latest step so far, but for rows ahead of their time. */
  present = 5
  readonly #random: SeededRandom
  readonly #values: Values
  readonly #counters = new Map<string, number>()
  /** What was written last: to be written again. */
  #recent: readonly Written[] = []
  #news = 0

  constructor(random: SeededRandom, values: Values) {
    this.#random = random
    this.#values = values
  }

  commit(): Written[] {
    const random = this.#random
    this.present += [0, 1, 1, 1, 2, 3][random.below(6)]!
    const rows = this.some(random.chance(0.7) ? 4 : 20)
    // the same places again: with other fields, other values, or just the same
    if (this.#recent.length > 0 && random.chance(0.15))
      rows.push(
        ...this.#recent.filter(() => random.chance(0.5)).map(row => (random.chance(0.2) ? row : this.#again(row))),
      )
    this.#recent = rows
    return rows
  }

  some(countMax: number): Written[] {
    return Array.from({ length: 1 + this.#random.below(countMax) }, () => this.#row(this.#metric()))
  }

  /** Of `m` with whole numbers, which only a statement can write. */
  integers(): Written[] {
    return Array.from({ length: 1 + this.#random.below(3) }, () => {
      const row = this.#row('m')
      return { ...row, fields: { ...(this.#random.chance(0.5) && row.fields), n: this.#random.below(14) - 4 } }
    })
  }

  deletion(): PlannedDelete {
    const random = this.#random
    const from = this.present - random.below(random.chance(0.7) ? 12 : 90)
    return {
      metric: this.#metric(),
      from,
      to: from + 1 + random.below(random.chance(0.8) ? 10 : 100),
      host: random.chance(0.6) ? this.#host() : undefined,
    }
  }

  #metric(): string {
    return this.#pick(['m', 'm', 'm', 'm', 'm', 'm', 'k.a', 'k.b', 'c', 'c'])
  }

  #host(): string {
    return this.#random.chance(0.02) ? `h${this.#random.below(50)}` : this.#pick(['a', 'a', 'b', 'c', 'd'])
  }

  #step(): number {
    const random = this.#random
    const chance = random.below(100)
    if (chance < 12) return this.present - 1 - random.below(20)
    if (chance < 16) return this.present - 1 - random.below(200)
    if (chance < 19) return this.present + 1 + random.below(8)
    return this.present
  }

  #row(metric: string): Written {
    const random = this.#random
    const step = this.#step()
    const host = this.#host()
    if (metric === 'c') return { metric, tags: { host }, step, fields: { value: this.#counter(host) } }
    if (metric !== 'm') return { metric, tags: { host }, step, fields: { v: this.#number() } }
    const dc = this.#pick(['x', 'x', 'y', undefined])
    const tags: Record<string, string> = dc === undefined ? { host } : { dc, host }
    if (random.chance(0.002)) tags['rack'] = String(random.below(3))
    return { metric, tags, step, fields: this.#fields() }
  }

  #again(row: Written): Written {
    if (row.metric !== 'm') return { ...row, fields: { ...row.fields, [Object.keys(row.fields)[0]!]: this.#number() } }
    return { ...row, fields: this.#fields() }
  }

  #fields(): Record<string, number | string | boolean> {
    const random = this.#random
    const fields: Record<string, number | string | boolean> = {}
    if (random.chance(0.75)) fields['f'] = this.#number()
    if (random.chance(0.3)) fields['g'] = this.#number()
    if (random.chance(0.35)) fields['b'] = random.chance(0.5)
    if (random.chance(0.4)) fields['s'] = this.#pick(texts)
    if (random.chance(0.002)) fields[`x${this.#news++ % 3}`] = random.below(5)
    if (Object.keys(fields).length === 0) fields['f'] = this.#number()
    return fields
  }

  #number(): number | string {
    const random = this.#random
    if (this.#values === 'quarters') return (random.below(200) - 80) / 4
    if (this.#values === 'special' && random.chance(0.3)) return this.#pick(special)
    return (random.below(400) - 150) / 10
  }

  #counter(host: string): number {
    const value = this.#random.chance(0.05) ? 0 : (this.#counters.get(host) ?? 0) + this.#random.below(40) / 4
    this.#counters.set(host, value)
    return value
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[this.#random.below(choices.length)]!
  }
}
