/**
 * Random expressions of the language, each with its text and what it means for one row: written from the language page,
 * in plain JavaScript, with nothing of the engine.
 */
import type { SeededRandom } from '../simulated/random.ts'

export type Scalar = number | string | boolean | null
/** By column name as the language has it: `time`, `series`, `tag.host`, `f`. */
export type Row = Readonly<Record<string, Scalar>>

export interface Meaning {
  readonly text: string
  of(row: Row): Scalar
}

/** NaN is above every number and equals itself, -0 equals 0, text compares by UTF-8 bytes. Not for nulls. */
export function compare(a: Exclude<Scalar, null>, b: Exclude<Scalar, null>): number {
  if (typeof a === 'string') return compareTexts(a, b as string)
  const [x, y] = [Number(a), Number(b)]
  if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y))
  return x < y ? -1 : x > y ? 1 : 0
}

/** Order of code points, which is that of UTF-8 bytes: surrogates stand for what is above every other unit. */
function compareTexts(a: string, b: string): number {
  const lift = (unit: number): number => (unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit)
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = lift(a.charCodeAt(i)) - lift(b.charCodeAt(i))
    if (order !== 0) return order
  }
  return a.length - b.length
}

/** As a sort has it: nulls go where they are told. */
export function compareKeys(a: Scalar, b: Scalar, descending: boolean, nullsFirst: boolean): number {
  if (a === null || b === null) return a === b ? 0 : (a === null) === nullsFirst ? -1 : 1
  return descending ? -compare(a, b) : compare(a, b)
}

export const texts = ['', 'a', 'ab', 'Abc', 'é', 'x_y', '10%', '\uff5e', '𝒳', "it's", 'a b']
export const numbers = [0, -0, 1, 2, 2.5, -3, 0.1, 7, 100, -1e-3, 1e15, NaN, Infinity, -Infinity]

/** Patterns of `like`, with the regular expression that says the same. */
const likes: readonly (readonly [pattern: string, same: RegExp])[] = [
  ['a%', /^a.*$/su],
  ['_', /^.$/su],
  ['%b%', /^.*b.*$/su],
  ['x\\_y', /^x_y$/u],
  ['10\\%', /^10%$/u],
  ['%', /^.*$/su],
  ['', /^$/u],
]
const regexes: readonly RegExp[] = [/^a/u, /b/u, /^(x|1)/u, /^$/u, /[A-Z]/u]

export class Generator {
  readonly random: SeededRandom
  readonly #parameters: Scalar[] = []
  readonly #withParameters: boolean

  constructor(random: SeededRandom, { parameters }: { readonly parameters: boolean } = { parameters: true }) {
    this.random = random
    this.#withParameters = parameters
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.random.below(choices.length)]!
  }
  chance(probability: number): boolean {
    return this.random.chance(probability)
  }
  /** A few of them, in a random order. */
  some<T>(choices: readonly T[], max: number): T[] {
    const left = [...choices]
    const count = 1 + this.random.below(Math.min(max, left.length))
    return Array.from({ length: count }, () => left.splice(this.random.below(left.length), 1)[0]!)
  }

  column(name: string): Meaning {
    return { text: name, of: row => row[name]! }
  }

  /** A literal, or a parameter where its neighbour tells its type. */
  constant(value: Exclude<Scalar, null>): Meaning {
    return { text: this.#withParameters && this.chance(0.15) ? this.parameter(value) : literal(value), of: () => value }
  }
  /** Stands for a parameter until `finish` knows which expressions are in the query. */
  parameter(value: Scalar): string {
    return `⟦${this.#parameters.push(value) - 1}⟧`
  }
  /** The text with `$1`, `$2`, … and their values. */
  finish(text: string): { readonly text: string; readonly params: readonly Scalar[] } {
    const used: number[] = []
    const numbered = text.replace(/⟦(\d+)⟧/g, (_, id) => {
      if (!used.includes(Number(id))) used.push(Number(id))
      return `$${used.indexOf(Number(id)) + 1}`
    })
    return { text: numbered, params: used.map(id => this.#parameters[id]!) }
  }

  number(depth: number): Meaning {
    if (depth === 0 || this.chance(0.35)) return this.column(this.pick(['f', 'g', 'n']))
    switch (this.random.below(11)) {
      case 0:
      case 1: {
        const [sign, apply] = this.pick(arithmetic)
        return this.#strict(`(%1 ${sign} %2)`, [this.number(depth - 1), this.number(depth - 1)], apply)
      }
      case 2: {
        const [sign, apply] = this.pick(arithmetic)
        const value = this.pick([2, 0.5, 3, 0])
        return this.#strict(`(%1 ${sign} %2)`, [this.number(depth - 1), plain(value)], apply)
      }
      case 3: {
        const [name, apply] = this.pick(unary)
        return this.#strict(`${name}(%1)`, [this.number(depth - 1)], apply)
      }
      case 4:
        return this.#strict('(-%1)', [this.number(depth - 1)], a => -(a as number))
      case 5:
        return this.#lenient('coalesce(%1, %2)', [this.number(depth - 1), this.number(depth - 1)], ([a, b]) => a ?? b!)
      case 6:
        return this.#lenient('nullif(%1, %2)', [this.number(depth - 1), this.number(depth - 1)], ([a, b]) =>
          a !== null && b !== null && compare(a!, b!) === 0 ? null : a!,
        )
      case 7: {
        const name = this.pick(['least', 'greatest'])
        const sign = name === 'least' ? 1 : -1
        return this.#lenient(`${name}(%1, %2)`, [this.number(depth - 1), this.number(depth - 1)], values =>
          values.reduce((a, b) => (a === null ? b : b === null ? a : sign * compare(b, a) < 0 ? b : a)),
        )
      }
      case 8: {
        const [when, then, otherwise] = [this.truth(depth - 1), this.number(depth - 1), this.number(depth - 1)]
        return {
          text: `case when ${when.text} then ${then.text} else ${otherwise.text} end`,
          of: row => (when.of(row) === true ? then.of(row) : otherwise.of(row)),
        }
      }
      case 9:
        return this.#strict('length(%1)', [this.text(depth - 1)], a => [...(a as string)].length)
      default:
        return this.#strict('%1::integer', [this.column('b')], a => Number(a))
    }
  }

  /** Certainly a float: special numbers may stand beside it. */
  #float(depth: number): Meaning {
    return this.chance(0.5)
      ? this.column(this.pick(['f', 'g']))
      : this.#strict('%1::float', [this.number(depth)], a => a)
  }

  text(depth: number): Meaning {
    if (depth === 0 || this.chance(0.6)) return this.column(this.pick(['s', 'tag.host', 'tag.dc', 'series']))
    switch (this.random.below(4)) {
      case 0:
        return this.#lenient('concat(%1, %2)', [this.text(depth - 1), this.text(depth - 1)], values =>
          values.map(value => value ?? '').join(''),
        )
      case 1:
        return this.#strict('upper(%1)', [this.text(depth - 1)], a => (a as string).toUpperCase())
      case 2:
        return this.#lenient('coalesce(%1, %2)', [this.text(depth - 1), plain('none')], ([a, b]) => a ?? b!)
      default:
        return this.#strict('substring(%1, 1, 2)', [this.text(depth - 1)], a => [...(a as string)].slice(0, 2).join(''))
    }
  }

  truth(depth: number): Meaning {
    if (depth > 0 && this.chance(0.4)) {
      switch (this.random.below(4)) {
        case 0:
          return this.#lenient('not (%1)', [this.truth(depth - 1)], ([a]) => (a === null ? null : !a))
        case 1:
          return this.#lenient('(%1 or %2)', [this.truth(depth - 1), this.truth(depth - 1)], values =>
            values.includes(true) ? true : values.includes(null) ? null : false,
          )
        default:
          return this.#lenient('(%1 and %2)', [this.truth(depth - 1), this.truth(depth - 1)], both)
      }
    }
    switch (this.random.below(9)) {
      case 0:
        return this.column('b')
      case 1: {
        const negated = this.chance(0.5)
        const value = this.pick([this.number(depth), this.text(depth), this.column('b')])
        return this.#lenient(`(%1 is ${negated ? 'not ' : ''}null)`, [value], ([a]) => (a === null) !== negated)
      }
      case 2: {
        const [low, high] = [this.constant(this.pick(numbers)), this.constant(this.pick(numbers))]
        return this.#lenient('(%1 between %2 and %3)', [this.#float(depth), low, high], ([a, x, y]) =>
          a === null ? null : compare(a!, x!) >= 0 && compare(a!, y!) <= 0,
        )
      }
      case 3: {
        const [pattern, same] = this.pick(likes)
        return this.#strict(`(%1 like '${pattern}')`, [this.text(depth)], a => same.test(a as string))
      }
      case 4: {
        const regex = this.pick(regexes)
        const negated = this.chance(0.4)
        return this.#strict(
          `(%1 ${negated ? '!~' : '=~'} /${regex.source}/)`,
          [this.text(depth)],
          a => regex.test(a as string) !== negated,
        )
      }
      case 5:
        return this.chance(0.5)
          ? this.#inList(this.#float(depth), this.some(numbers, 4))
          : this.#inList(this.text(depth), this.some([...texts, 'b'], 4))
      case 6: {
        const [sign, holds] = this.pick(comparisons)
        return this.#strict(`(%1 ${sign} %2)`, [this.text(depth), this.constant(this.pick(texts))], (a, b) =>
          holds(compare(a!, b!)),
        )
      }
      case 7: {
        const [sign, holds] = this.pick(comparisons)
        const sides = [this.number(depth), this.number(depth)]
        return this.#strict(`(%1 ${sign} %2)`, sides, (a, b) => holds(compare(a!, b!)))
      }
      default: {
        const [sign, holds] = this.pick(comparisons)
        const sides = this.chance(0.2)
          ? [this.column('n'), this.constant(this.pick([-3, 0, 4]))]
          : [this.#float(depth), this.constant(this.pick(numbers))]
        if (this.chance(0.2)) sides.reverse()
        return this.#strict(`(%1 ${sign} %2)`, sides, (a, b) => holds(compare(a!, b!)))
      }
    }
  }

  #inList(value: Meaning, list: readonly Exclude<Scalar, null>[]): Meaning {
    const members = list.map(member => this.constant(member))
    const withNull = this.chance(0.2)
    const texts = [...members.map(member => member.text), ...(withNull ? ['null'] : [])]
    const negated = this.chance(0.4)
    return {
      text: `(${value.text} ${negated ? 'not ' : ''}in (${texts.join(', ')}))`,
      of(row) {
        const found = value.of(row)
        if (found === null) return null
        if (list.some(member => compare(found, member) === 0)) return !negated
        return withNull ? null : negated
      },
    }
  }

  /** Null as soon as an argument is. */
  #strict(text: string, args: readonly Meaning[], apply: (...values: Scalar[]) => Scalar): Meaning {
    return this.#lenient(text, args, values => (values.includes(null) ? null : apply(...values)))
  }

  #lenient(text: string, args: readonly Meaning[], apply: (values: Scalar[]) => Scalar): Meaning {
    return {
      text: text.replace(/%(\d)/g, (_, index) => args[Number(index) - 1]!.text),
      of: row => apply(args.map(arg => arg.of(row))),
    }
  }
}

export const both = (values: readonly Scalar[]): Scalar =>
  values.includes(false) ? false : values.includes(null) ? null : true

const plain = (value: Exclude<Scalar, null>): Meaning => ({ text: literal(value), of: () => value })

export function literal(value: Exclude<Scalar, null>): string {
  if (typeof value === 'string') return `'${value.replaceAll("'", "''")}'`
  if (typeof value === 'boolean') return String(value)
  if (!Number.isFinite(value)) return `'${value}'`
  return Object.is(value, -0) ? '-0.0' : String(value)
}

const arithmetic: readonly (readonly [string, (a: Scalar, b: Scalar) => Scalar])[] = [
  ['+', (a, b) => (a as number) + (b as number)],
  ['-', (a, b) => (a as number) - (b as number)],
  ['*', (a, b) => (a as number) * (b as number)],
  ['/', (a, b) => (b === 0 ? null : (a as number) / (b as number))],
  ['%', (a, b) => (b === 0 ? null : (a as number) % (b as number))],
]
const unary: readonly (readonly [string, (a: Scalar) => Scalar])[] = [
  ['abs', a => Math.abs(a as number)],
  ['floor', a => Math.floor(a as number)],
  ['ceil', a => Math.ceil(a as number)],
  ['trunc', a => Math.trunc(a as number)],
  ['sign', a => Math.sign(a as number)],
  ['round', a => Math.sign(a as number) * Math.round(Math.abs(a as number))],
  ['sqrt', a => ((a as number) < 0 ? null : Math.sqrt(a as number))],
]
export const comparisons: readonly (readonly [string, (order: number) => boolean])[] = [
  ['=', order => order === 0],
  ['!=', order => order !== 0],
  ['<', order => order < 0],
  ['<=', order => order <= 0],
  ['>', order => order > 0],
  ['>=', order => order >= 0],
]
