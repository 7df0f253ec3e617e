/** Aggregates of the model: every row of a group at hand, nothing incremental. Approximate ones give the exact value. */
import type { Scalar } from '../../src/columnar/value.ts'
import type { Expr } from '../../src/sydraql/expression.ts'
import type { AggregateCall, Sequence } from '../../src/sydraql/plan.ts'
import { interpret, order, type Row } from './interpreter.ts'
import { nameOf, partitionOf } from './model-windows.ts'

/** By time, ties by partition, then as they come; as they come where there is no time. */
const inSequence = (rows: readonly Row[], { time, partition }: Sequence): Row[] =>
  time === undefined
    ? [...rows]
    : rows.toSorted((a, b) => {
        for (const name of [time, ...partition]) {
          const result = order(a[name] ?? null, b[name] ?? null)
          if (result !== 0) return result
        }
        return 0
      })

/** `rows` are the group's, `all` those of every group: the rows before a group's first may be another's. */
export function aggregated(
  { function: name, args, distinct }: AggregateCall,
  rows: readonly Row[],
  all: readonly Row[],
  sequence: Sequence,
): Scalar {
  if (args.length === 0) return rows.length
  if (perSeries.has(name)) return ofSeries(name, args[0]!, rows, all, sequence)
  const byTime = inSequence(rows, sequence)
  if (name === 'min_by' || name === 'max_by') {
    const keyed = byTime.map(row => [interpret(args[1]!, row), interpret(args[0]!, row)] as const)
    const known = keyed.filter(([key]) => key !== null)
    const sign = name === 'min_by' ? 1 : -1
    return known.toSorted(([a], [b]) => sign * order(a, b))[0]?.[1] ?? null
  }
  const values = byTime.map(row => interpret(args[0]!, row)).filter(value => value !== null)
  if (name === 'approx_count_distinct') return new Set(values.map(nameOf)).size
  if (name === 'count') return distinct ? new Set(values.map(nameOf)).size : values.length
  if (values.length === 0) return null
  const numbers = values as number[]
  const ascending = values.toSorted(order)
  const sum = () => numbers.reduce((total, value) => total + value, 0)
  switch (name) {
    case 'sum':
      return sum()
    case 'avg':
      return sum() / values.length
    case 'min':
      return ascending[0]!
    case 'max':
      return ascending.at(-1)!
    case 'first':
      return values[0]!
    case 'last':
      return values.at(-1)!
    case 'spread': {
      const [low, high] = [ascending[0] as number, ascending.at(-1) as number]
      return low === high ? 0 : high - low
    }
    case 'variance':
    case 'stddev': {
      if (values.length < 2) return null
      const mean = sum() / values.length
      const variance = numbers.reduce((total, value) => total + (value - mean) ** 2, 0) / (values.length - 1)
      return name === 'variance' ? variance : Math.sqrt(variance)
    }
    case 'median':
      return percentile(ascending as number[], 0.5)
    case 'percentile':
      return percentile(ascending as number[], interpret(args[1]!, {}) as number)
    case 'approx_percentile': {
      const p = interpret(args[1]!, {}) as number
      return ascending[Math.max(0, Math.ceil(p * values.length) - 1)]!
    }
    case 'mode':
      return mostFrequent(ascending)
    default:
      throw new Error(`the model lacks ${name}`)
  }
}

function percentile(ascending: readonly number[], p: number): number {
  const position = p * (ascending.length - 1)
  const low = ascending[Math.floor(position)]!
  const high = ascending[Math.ceil(position)]!
  return low === high ? low : low + (high - low) * (position - Math.floor(position))
}

/** The most frequent value, of several the smallest. */
function mostFrequent(ascending: readonly Scalar[]): Scalar {
  const counts = new Map<string, number>()
  for (const value of ascending) counts.set(nameOf(value), (counts.get(nameOf(value)) ?? 0) + 1)
  const most = Math.max(...counts.values())
  return ascending.find(value => counts.get(nameOf(value)) === most)!
}

const perSeries: ReadonlySet<string> = new Set([
  'rate',
  'irate',
  'increase',
  'delta',
  'derivative',
  'integral',
  'time_weighted_avg',
])

interface Pair {
  readonly before: number
  readonly after: number
  readonly seconds: number
}

/** One value of each series that has rows in the group, then their sum, or mean. */
function ofSeries(name: string, arg: Expr, rows: readonly Row[], all: readonly Row[], sequence: Sequence): Scalar {
  const inGroup = new Set(rows)
  const values: number[] = []
  for (const series of new Set(rows.map(row => partitionOf(row, sequence)))) {
    const samples = inSequence(
      all.filter(
        row => partitionOf(row, sequence) === series && interpret(arg, row) !== null && row[sequence.time!] !== null,
      ),
      sequence,
    )
    const pairs = samples.flatMap((sample, i): Pair[] => {
      const before = samples[i - 1]
      if (before === undefined || !inGroup.has(sample)) return []
      const seconds = ((sample[sequence.time!] as number) - (before[sequence.time!] as number)) / 1e6
      return [{ before: interpret(arg, before) as number, after: interpret(arg, sample) as number, seconds }]
    })
    const value = ofPairs(name, pairs)
    if (value !== null) values.push(value)
  }
  if (values.length === 0) return null
  const sum = values.reduce((total, value) => total + value, 0)
  return name === 'time_weighted_avg' ? sum / values.length : sum
}

function ofPairs(name: string, pairs: readonly Pair[]): number | null {
  if (pairs.length === 0) return null
  const sum = (of: (pair: Pair) => number) => pairs.reduce((total, pair) => total + of(pair), 0)
  const increase = ({ before, after }: Pair) => (after < before ? after : after - before)
  const area = ({ before, after, seconds }: Pair) => ((before + after) / 2) * seconds
  const perSecond = (value: number, seconds: number) => (seconds === 0 ? null : value / seconds)
  const seconds = sum(pair => pair.seconds)
  switch (name) {
    case 'increase':
      return sum(increase)
    case 'rate':
      return perSecond(sum(increase), seconds)
    case 'irate': {
      const last = pairs.at(-1)!
      return perSecond(increase(last), last.seconds)
    }
    case 'delta':
      return sum(({ before, after }) => after - before)
    case 'derivative':
      return perSecond(
        sum(({ before, after }) => after - before),
        seconds,
      )
    case 'integral':
      return sum(area)
    default:
      return perSecond(sum(area), seconds)
  }
}
