/**
 * Shapes of queries: each a name and a way to make texts of its kind, with constants and columns by chance.
 *
 *   m        f float, g float and sparse, n integer, b boolean, s string; tags host, dc (some series lack it)
 *   k.a, k.b v float; tag host                    c   value float, mostly growing; tag host
 *
 * Names of columns tell how exact they are: `…_r` may differ by the rounding of sums, `…_q` by that of sums of squares.
 */
import type { SeededRandom } from '../../simulated/random.ts'

/** When rows are, and how far apart. */
export interface Scale {
  readonly startUs: number
  readonly stepUs: number
  /** Widths of buckets that hold a few rows, or a few dozen, as texts. */
  readonly widths: readonly string[]
  /** Of fills: wide enough that they make few rows. */
  readonly wide: string
  /** Durations of a few, and of a few dozen rows. */
  readonly short: string
  readonly long: string
}

export interface LiveQueryText {
  readonly text: string
  readonly params?: readonly (number | string)[]
  /** Sums decide which rows there are: a query for values whose sums are exact. */
  readonly needsExactSums?: boolean
}

export interface Shape {
  readonly name: string
  make(choose: Chooser): LiveQueryText | string
}

export class Chooser {
  readonly scale: Scale
  readonly #random: SeededRandom
  constructor(random: SeededRandom, scale: Scale) {
    this.#random = random
    this.scale = scale
  }

  of<T>(...choices: readonly T[]): T {
    return choices[this.#random.below(choices.length)]!
  }
  chance(probability: number): boolean {
    return this.#random.chance(probability)
  }
  number(): string {
    return this.of('f', 'g', 'n')
  }
  field(): string {
    return this.of('f', 'g', 'n', 'b', 's')
  }
  width(): string {
    return this.of(...this.scale.widths)
  }
  bucket(): string {
    return `time_bucket(${this.width()}, time)`
  }
  /** A time near the beginning of what is written, as ISO text. */
  at(steps = this.#random.below(60)): string {
    return `'${new Date((this.scale.startUs + steps * this.scale.stepUs) / 1000).toISOString()}'`
  }
  condition(): string {
    return this.of(
      `tag.host = 'a'`,
      `tag.host in ('a', 'b')`,
      `tag.dc is null`,
      `tag.dc != 'y'`,
      `tag.host =~ /^[ab]/`,
      'f > 0',
      'f <= 10',
      'g is not null',
      'b',
      'not b or f < 5',
      `s like 'a%'`,
      `tag.host = 'b' or f > 3`,
      `f > 0 and tag.host != 'c'`,
    )
  }
  where(...more: readonly string[]): string {
    const parts = [...more, ...(this.chance(0.4) ? [this.condition()] : [])]
    return parts.length === 0 ? '' : ` where ${parts.map(part => `(${part})`).join(' and ')}`
  }
}

export const shape = (name: string, make: Shape['make']): Shape => ({ name, make })
