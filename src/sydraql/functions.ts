/**
 * The function registry: every function and operator of the language, once.
 *
 *   analysis (types), operators (implement by name, and assert that they cover it), `show functions`, docs, completion
 *
 * Invariants:
 * 1. Names are unique and lower case; a name never changes its meaning.
 * 2. Nothing here computes: an entry of kind `scalar`, `operator` or `aggregate` has its implementation in `operators/`.
 */
import { aggregates } from './functions/aggregates.ts'
import { operators } from './functions/operators.ts'
import { scalars } from './functions/scalars.ts'
import type { FunctionInfo, ParameterInfo } from './functions/types.ts'

/** Every entry: operators, then scalar functions, then aggregates. */
export const functions: readonly FunctionInfo[] = [...operators, ...scalars, ...aggregates]

const byName: ReadonlyMap<string, FunctionInfo> = new Map(functions.map(info => [info.name, info]))

/** The entry with this name, in lower case. */
export const functionInfo = (name: string): FunctionInfo | undefined => byName.get(name)

/** Functions of the language that this version recognises and does not run yet. */
export const plannedFunctions: ReadonlySet<string> = new Set(
  (
    'mode approx_percentile approx_count_distinct min_by max_by histogram ' +
    'rate irate increase delta derivative integral time_weighted_avg ' +
    'lag lead difference moving_avg ema cumulative_sum row_number fill_forward'
  ).split(' '),
)

/** Names a user may call: everything but operators (`mod` is both). */
export const callableNames: readonly string[] = functions
  .filter(info => info.kind !== 'operator' || info.name === 'mod')
  .map(info => info.name)

/**
 * How a function is called, for people.
 *
 * @example
 * signature(functionInfo('round')!) // 'round(x number [, digits integer]) → number'
 */
export function signature(info: FunctionInfo): string {
  return `${info.syntax ?? `${info.name}(${parameterList(info)})`} → ${returnName(info)}`
}

export function parameterList(info: FunctionInfo): string {
  let text = ''
  for (const parameter of info.parameters) {
    const separator = text === '' ? '' : ', '
    const written = `${separator}${parameterText(parameter)}`
    text += parameter.optional ? (text === '' ? `[${written}]` : ` [${written}]`) : written
  }
  if (info.hints.star) text = `${text} | *`
  return info.hints.distinct ? `[distinct] ${text}` : text
}

function parameterText(parameter: ParameterInfo): string {
  const type = parameter.type === 'common' ? 'any' : parameter.type
  return `${parameter.name}${type === 'any' ? '' : ` ${type}`}${parameter.variadic ? ', …' : ''}`
}

/** The return type for people. */
export function returnName(info: FunctionInfo): string {
  const { returns } = info
  if (returns === 'arithmetic') return 'number, timestamp or duration'
  if (returns !== 'first' && returns !== 'common') return returns
  const first = info.parameters[0]!.type
  return first === 'common' || first === 'any' ? 'the type of its arguments' : first
}
