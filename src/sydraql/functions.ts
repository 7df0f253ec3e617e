/**
 * The function registry: every function and operator of the language, once.
 *
 *   analysis (types), operators (implement by name, and assert that they cover it), `show functions`, docs, completion
 *
 * Invariants:
 * 1. Names are unique and lower case; a name never changes its meaning.
 * 2. Nothing here computes: an entry of kind `scalar`, `operator`, `aggregate` or `window` has its implementation in `operators/`.
 */
import { aggregates } from './functions/aggregates.ts'
import { operators } from './functions/operators.ts'
import { scalars } from './functions/scalars.ts'
import type { FunctionInfo, ParameterInfo } from './functions/types.ts'
import { windows } from './functions/windows.ts'

/** Every entry: operators, then scalar functions, aggregates and row functions. */
export const functions: readonly FunctionInfo[] = [...operators, ...scalars, ...aggregates, ...windows]

const byName: ReadonlyMap<string, FunctionInfo> = new Map(functions.map(info => [info.name, info]))

/** The entry with this name, in lower case. */
export const functionInfo = (name: string): FunctionInfo | undefined => byName.get(name)

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
  const { type: given } = parameter
  const type =
    given === 'common'
      ? 'any'
      : given === 'frame'
        ? 'duration or integer'
        : given === 'measure'
          ? 'number or timestamp'
          : given
  return `${parameter.name}${type === 'any' ? '' : ` ${type}`}${parameter.variadic ? ', …' : ''}`
}

/** The return type for people. */
export function returnName(info: FunctionInfo): string {
  const { returns } = info
  if (info.gives !== undefined) return info.gives
  if (returns === 'arithmetic') return 'number, timestamp or duration'
  if (returns === 'difference') return 'the type of its arguments, of timestamps a duration'
  if (returns !== 'first' && returns !== 'common') return returns
  const first = info.parameters[0]!.type
  return first === 'common' || first === 'any' ? 'the type of its arguments' : first
}
