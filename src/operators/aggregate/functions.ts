/** The aggregate functions by name: which state each keeps, and its value at the end. */
import type { ValueType } from '../../columnar/batch.ts'
import type { Scalar } from '../../columnar/value.ts'
import type { Kernels } from '../../kernels/kernels.ts'
import { assert } from '../../lib/assert.ts'
import { SydraError } from '../../lib/errors.ts'
import { EarliestState } from './earliest.ts'
import { TextExtremeState } from './extremes.ts'
import { MomentsState } from './moments.ts'
import type { AggregateState } from './state.ts'
import { CountState, SummaryState } from './summary.ts'
import { DistinctState, ValuesState } from './values.ts'

export interface AggregateFunction {
  /** Calls of one argument whose functions have one kind share a state. */
  readonly kind: string
  create(): AggregateState
  finish(state: AggregateState, group: number): Scalar
}

/** What is aggregated: the argument's type (undefined for `*`), and the constants after it. */
export interface AggregateSignature {
  readonly type: ValueType | undefined
  readonly constants: readonly Scalar[]
  readonly distinct: boolean
  readonly kernels: Kernels
}

/** The state's class is the one that `create` makes: `kind` keeps others away. */
function define<S extends AggregateState>(
  kind: string,
  create: () => S,
  finish: (state: S, group: number) => Scalar,
): AggregateFunction {
  return { kind, create, finish: (state, group) => finish(state as S, group) }
}

const summary = (finish: (state: SummaryState, group: number) => Scalar) => (signature: AggregateSignature) =>
  define('summary', () => new SummaryState(signature.kernels), finish)

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
  ({ type }: AggregateSignature) =>
    define(
      which,
      () => new EarliestState(type!, which),
      (state, group) => state.value(group),
    )

const moments = (finish: (state: MomentsState, group: number) => Scalar) => () =>
  define('moments', () => new MomentsState(), finish)

const percentile = (p: Scalar) => {
  if (p !== null && !(typeof p === 'number' && p >= 0 && p <= 1))
    throw new SydraError('wrong_argument', `percentile needs a p from 0 to 1, not ${p}`)
  return define(
    'values',
    () => new ValuesState(),
    (state, group) => (p === null ? null : state.percentile(group, p)),
  )
}

const functions: Readonly<Record<string, (signature: AggregateSignature) => AggregateFunction>> = {
  count(signature) {
    if (signature.distinct)
      return define(
        'distinct',
        () => new DistinctState(signature.type!),
        (state, group) => state.count(group),
      )
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
  percentile: ({ constants }) => percentile(constants[0] ?? null),
}

/** Every aggregate that can run, by its name in the registry. */
export const implementedAggregates: readonly string[] = Object.keys(functions)

/** Throws `wrong_argument` for constants out of range. */
export function aggregateFunction(name: string, signature: AggregateSignature): AggregateFunction {
  const make = functions[name]
  assert(make !== undefined, `aggregate ${name} has no implementation`)
  return make(signature)
}
