/** Aggregates of the language over rows as objects. */
import { compare, type Generator, type Meaning, type Row, type Scalar } from './expressions.ts'

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
  ...['mode', 'min_by', 'max_by', 'approx_percentile', 'approx_count_distinct'],
]

const takesAnyType = [
  'count',
  'distinct',
  'min',
  'max',
  'first',
  'last',
  'mode',
  'min_by',
  'max_by',
  'approx_count_distinct',
]

export function aggregate(
  generate: Generator,
  name = generate.pick(aggregateNames),
  columns?: readonly string[],
): Aggregate {
  if (name === 'count(*)') return { text: name, isExact: true, isNumber: true, of: rows => exactly(rows.length) }
  const anyType = columns === undefined && takesAnyType.includes(name) && generate.chance(0.5)
  const isTime = anyType && generate.chance(0.15)
  const argument = isTime
    ? generate.column('time')
    : anyType
      ? generate.pick([generate.column('s'), generate.column('b'), generate.text(1)])
      : columns !== undefined || generate.chance(0.75)
        ? generate.column(generate.pick(columns ?? ['f', 'g', 'n']))
        : generate.number(1)
  const p = generate.pick([0, 0.1, 0.25, 0.5, 0.9, 1])
  if (name === 'min_by' || name === 'max_by') return extremeBy(generate, name, argument, !anyType)
  const text =
    name === 'distinct'
      ? `count(distinct ${argument.text})`
      : name.endsWith('percentile')
        ? `${name}(${argument.text}, ${p})`
        : `${name}(${argument.text})`
  const isLoose = ['sum', 'avg', 'stddev', 'variance', 'approx_percentile', 'approx_count_distinct'].includes(name)
  return {
    text,
    isExact: !isLoose,
    isNumber: !anyType || ['count', 'distinct', 'approx_count_distinct'].includes(name),
    of(rows) {
      const values = rows.map(argument.of).filter(value => value !== null)
      return ofValues(name, values, p)
    },
  }
}

/** `v` of the first row in (time, printed series) order whose key is the least, or the greatest. */
function extremeBy(generate: Generator, name: string, value: Meaning, isNumber: boolean): Aggregate {
  const key = generate.pick([generate.column('f'), generate.column('n'), generate.column('s'), generate.number(1)])
  return {
    text: `${name}(${value.text}, ${key.text})`,
    isExact: true,
    isNumber,
    of(rows) {
      const known = rows.filter(row => key.of(row) !== null)
      if (known.length === 0) return exactly(null)
      const sign = name === 'min_by' ? 1 : -1
      const found = known.reduce((best, row) => (sign * compare(key.of(row)!, key.of(best)!) < 0 ? row : best))
      return exactly(value.of(found))
    },
  }
}

function ofValues(name: string, values: readonly Exclude<Scalar, null>[], p: number): Cell {
  if (name === 'count') return exactly(values.length)
  const distinct = new Set(values.map(value => (value === 0 ? 0 : value))).size
  if (name === 'distinct') return exactly(distinct)
  // Small counts are exact but for collisions of hashes; beyond, five standard errors.
  if (name === 'approx_count_distinct') return { value: distinct, tolerance: 0.5 + distinct * 5 * 0.0081 }
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
    case 'mode': {
      const times = (value: Scalar) => values.filter(other => compare(other, value!) === 0).length
      const most = Math.max(...ascending.map(times))
      return exactly(zero(ascending.find(value => times(value) === most)!))
    }
    case 'approx_percentile': {
      const value = ascending[Math.max(0, Math.ceil(p * values.length) - 1)] as number
      return { value, tolerance: 0.0101 * Math.abs(value) }
    }
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
