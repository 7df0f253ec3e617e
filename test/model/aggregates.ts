/** Aggregates of the language over rows as objects. */
import { compare, type Generator, type Row, type Scalar } from './expressions.ts'

/** A value of the answer, and by how much another may differ: the rounding of sums. */
export interface Cell {
  readonly value: Scalar
  readonly tolerance: number
}

export const exactly = (value: Scalar): Cell => ({ value, tolerance: 0 })

export interface Aggregate {
  readonly text: string
  readonly isExact: boolean
  readonly isNumber: boolean
  /** Of rows in (time, printed series) order. */
  of(rows: readonly Row[]): Cell
}

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0)
const sizeOf = (values: readonly number[]): number => sumOf(values.map(Math.abs))

const aggregateNames = [
  ...['count', 'sum', 'avg', 'min', 'max', 'first', 'last', 'spread', 'stddev', 'variance', 'median', 'percentile'],
  ...['count(*)', 'distinct', 'count', 'sum', 'first', 'last', 'min', 'max'],
]

export function aggregate(
  generate: Generator,
  name = generate.pick(aggregateNames),
  columns?: readonly string[],
): Aggregate {
  if (name === 'count(*)') return { text: name, isExact: true, isNumber: true, of: rows => exactly(rows.length) }
  const anyType =
    columns === undefined && ['count', 'distinct', 'min', 'max', 'first', 'last'].includes(name) && generate.chance(0.5)
  const isTime = anyType && generate.chance(0.15)
  const argument = isTime
    ? generate.column('time')
    : anyType
      ? generate.pick([generate.column('s'), generate.column('b'), generate.text(1)])
      : columns !== undefined || generate.chance(0.75)
        ? generate.column(generate.pick(columns ?? ['f', 'g', 'n']))
        : generate.number(1)
  const p = generate.pick([0, 0.1, 0.25, 0.5, 0.9, 1])
  const text =
    name === 'distinct'
      ? `count(distinct ${argument.text})`
      : name === 'percentile'
        ? `percentile(${argument.text}, ${p})`
        : `${name}(${argument.text})`
  const isLoose = ['sum', 'avg', 'stddev', 'variance'].includes(name)
  return {
    text,
    isExact: !isLoose,
    isNumber: !anyType || name === 'count' || name === 'distinct',
    of(rows) {
      const values = rows.map(argument.of).filter(value => value !== null)
      return ofValues(name, values, p)
    },
  }
}

function ofValues(name: string, values: readonly Exclude<Scalar, null>[], p: number): Cell {
  if (name === 'count') return exactly(values.length)
  if (name === 'distinct') return exactly(new Set(values.map(value => (value === 0 ? 0 : value))).size)
  if (values.length === 0) return exactly(null)
  const ascending = values.toSorted(compare)
  const numbers = values as number[]
  switch (name) {
    case 'min':
      return exactly(zero(ascending[0]!))
    case 'max':
      return exactly(zero(ascending.at(-1)!))
    case 'first':
      return exactly(values[0]!)
    case 'last':
      return exactly(values.at(-1)!)
    case 'spread': {
      const [min, max] = [ascending[0] as number, ascending.at(-1) as number]
      return exactly(compare(min, max) === 0 && !Number.isNaN(min) ? 0 : max - min)
    }
    case 'sum':
      return { value: sumOf(numbers), tolerance: 1e-12 * sizeOf(numbers) }
    case 'avg':
      return { value: sumOf(numbers) / numbers.length, tolerance: (1e-12 * sizeOf(numbers)) / numbers.length }
    case 'variance':
    case 'stddev': {
      if (numbers.length < 2) return exactly(null)
      const mean = sumOf(numbers) / numbers.length
      const squares = sumOf(numbers.map(value => (value - mean) ** 2)) / (numbers.length - 1)
      const scale = sumOf(numbers.map(value => value ** 2))
      if (name === 'variance') return { value: squares, tolerance: 1e-12 * scale }
      return { value: Math.sqrt(squares), tolerance: 1e-9 * Math.sqrt(scale) }
    }
    default: {
      const position = (name === 'median' ? 0.5 : p) * (values.length - 1)
      const low = ascending[Math.floor(position)] as number
      const high = ascending[Math.ceil(position)] as number
      const value = low === high ? low : low + (high - low) * (position - Math.floor(position))
      return {
        value: zero(position === Math.floor(position) ? low : value),
        tolerance: 1e-12 * (Math.abs(low) + Math.abs(high)),
      }
    }
  }
}

export const zero = (value: Scalar): Scalar => (value === 0 ? 0 : value)
