/** The aggregate functions by name: which state each keeps, and its value at the end. */
import type { ArrayMemory } from '../../columnar/arena.ts'
import type { ValueType } from '../../columnar/batch.ts'
import type { Scalar } from '../../columnar/value.ts'
import type { Kernels } from '../../kernels/kernels.ts'
import { assert } from '../../lib/assert.ts'
import { SydraError } from '../../lib/errors.ts'
import { CardinalityState } from './cardinality.ts'
import { FrequencyState } from './distinct.ts'
import { EarliestState } from './earliest.ts'
import { ExtremeByState } from './extreme-by.ts'
import { TextExtremeState } from './extremes.ts'
import { MomentsState } from './moments.ts'
import { type CountedPairs, PairSumsState, type SeriesTotal } from './pair-sums.ts'
import type { PairMeasure } from './pairs.ts'
import { QuantileSketchState } from './quantile-sketch.ts'
import { type SortedFold, sortedDistinct, sortedMode, sortedPercentile } from './sorted-folds.ts'
import type { AggregateState } from './state.ts'
import { CountState, SummaryState } from './summary.ts'
import { ValuesState } from './values.ts'

export interface AggregateFunction {
  /** Calls of one argument whose functions have one kind share a state. */
  readonly kind: string
  /** The state looks at the time and the series of rows. */
  readonly ordered: boolean
  create(): AggregateState
  finish(state: AggregateState, group: number): Scalar
  /** The same from all non-null values of a group, ascending: of functions whose state can be drained. */
  readonly ofSorted?: (() => SortedFold) | undefined
}

/** What is aggregated: the first argument's type (undefined for `*`), and the constants after those that vary by row. */
export interface AggregateSignature {
  readonly type: ValueType | undefined
  readonly constants: readonly Scalar[]
  readonly distinct: boolean
  readonly kernels: Kernels
  /** Where the numbers of states are that keep few; undefined: each is its own. */
  readonly arrays?: ArrayMemory | undefined
}

/** The state's class is the one that `create` makes: `kind` keeps others away. */
function define<S extends AggregateState>(
  kind: string,
  create: () => S,
  finish: (state: S, group: number) => Scalar,
  ordered = false,
  ofSorted?: () => SortedFold,
): AggregateFunction {
  return { kind, ordered, create, finish: (state, group) => finish(state as S, group), ofSorted }
}

const summary = (finish: (state: SummaryState, group: number) => Scalar) => (signature: AggregateSignature) =>
  define('summary', () => new SummaryState(signature.kernels, signature.arrays), finish)

const isNumber = (type: ValueType | undefined): boolean => type !== undefined && type !== 'string'

const extreme = (which: 'min' | 'max') => (signature: AggregateSignature) => {
  if (signature.type === 'string')
    return define(
      which,
      () => new TextExtremeState(which),
      (state, group) => state.value(group),
    )
  return summary((state, group) => {
    const value = state[which](group)
    return signature.type === 'boolean' && value !== null ? value === 1 : value
  })(signature)
}

const earliest =
  (which: 'first' | 'last') =>
  ({ type, arrays }: AggregateSignature) =>
    define(
      which,
      () => new EarliestState(type!, which, arrays),
      (state, group) => state.value(group),
      true,
    )

const extremeBy =
  (which: 'min' | 'max') =>
  ({ type }: AggregateSignature) =>
    define(
      `${which}_by`,
      () => new ExtremeByState(type!, which),
      (state, group) => state.value(group),
      true,
    )

const frequency =
  (finish: (state: FrequencyState, group: number) => Scalar, ofSorted: () => SortedFold) =>
  (signature: AggregateSignature) =>
    define('frequency', () => new FrequencyState(signature.type!), finish, false, ofSorted)

/** Over the columns that `pairs.ts` made. */
const pairSums = (counted: CountedPairs, how: SeriesTotal) => (signature: AggregateSignature) =>
  define(
    `pairs ${counted}`,
    () => new PairSumsState(signature.kernels, counted),
    (state, group) => state.total(group, how),
    true,
  )

const moments = (finish: (state: MomentsState, group: number) => Scalar) => () =>
  define('moments', () => new MomentsState(), finish)

function checkedRank(name: string, p: Scalar): number | null {
  if (p !== null && !(typeof p === 'number' && p >= 0 && p <= 1))
    throw new SydraError('wrong_argument', `${name} needs a p from 0 to 1, not ${p}`)
  return p
}

function percentile(p: number | null): AggregateFunction {
  return define(
    'values',
    () => new ValuesState(),
    (state, group) => (p === null ? null : state.percentile(group, p)),
    false,
    () => sortedPercentile(p),
  )
}

function approximatePercentile(p: number | null): AggregateFunction {
  return define(
    'quantile sketch',
    () => new QuantileSketchState(),
    (state, group) => (p === null ? null : state.percentile(group, p)),
  )
}

const functions: Readonly<Record<string, (signature: AggregateSignature) => AggregateFunction>> = {
  count(signature) {
    if (signature.distinct) return frequency((state, group) => state.distinct(group), sortedDistinct)(signature)
    if (isNumber(signature.type)) return summary((state, group) => state.count(group))(signature)
    return define(
      'count',
      () => new CountState(),
      (state, group) => state.count(group),
    )
  },
  sum: summary((state, group) => state.sum(group)),
  avg: summary((state, group) => state.avg(group)),
  min: extreme('min'),
  max: extreme('max'),
  spread: summary((state, group) => state.spread(group)),
  first: earliest('first'),
  last: earliest('last'),
  stddev: moments((state, group) => state.stddev(group)),
  variance: moments((state, group) => state.variance(group)),
  median: () => percentile(0.5),
  percentile: ({ constants }) => percentile(checkedRank('percentile', constants[0] ?? null)),
  approx_percentile: ({ constants }) => approximatePercentile(checkedRank('approx_percentile', constants[0] ?? null)),
  approx_count_distinct: () =>
    define(
      'cardinality',
      () => new CardinalityState(),
      (state, group) => state.estimate(group),
    ),
  mode: frequency((state, group) => state.mode(group), sortedMode),
  min_by: extremeBy('min'),
  max_by: extremeBy('max'),
  rate: pairSums('all', 'change per second'),
  irate: pairSums('last', 'change per second'),
  increase: pairSums('all', 'change'),
  delta: pairSums('all', 'change'),
  derivative: pairSums('all', 'change per second'),
  integral: pairSums('all', 'area'),
  time_weighted_avg: pairSums('all', 'mean area over time'),
}

/** What the pairs of a per-series aggregate measure; undefined for every other. */
export const pairMeasures: Readonly<Partial<Record<string, PairMeasure>>> = {
  rate: 'increase',
  irate: 'increase',
  increase: 'increase',
  delta: 'delta',
  derivative: 'delta',
  integral: 'area',
  time_weighted_avg: 'area',
}

/** How many arguments vary by row: two of `min_by(v, k)`, and of aggregates over pairs their change and elapsed time. */
export const columnCount = (name: string): number =>
  name === 'min_by' || name === 'max_by' || pairMeasures[name] !== undefined ? 2 : 1

/** Every aggregate that can run, by its name in the registry. */
export const implementedAggregates: readonly string[] = Object.keys(functions)

/** Throws `wrong_argument` for constants out of range. */
export function aggregateFunction(name: string, signature: AggregateSignature): AggregateFunction {
  const make = functions[name]
  assert(make !== undefined, `aggregate ${name} has no implementation`)
  return make(signature)
}
