/**
 * Types of calls: which arguments a function takes, what literals and parameters turn into beside them, what comes out.
 *
 * Literals and parameters are *soft*: they take the type that their place asks for. `time >= '2024-03-01'` compares
 * timestamps, `usage > ?` wants a number. Everything else has its type already.
 */
import type { ValueType } from '../../columnar/batch.ts'
import type { SydraError } from '../../lib/errors.ts'
import type { Expr, ExprType, Literal, Parameter, Span } from '../expression.ts'
import type { FunctionInfo, ParameterType } from '../functions/types.ts'
import type { Report } from '../problem.ts'
import { parseDuration, parseTimestamp, timestampByMagnitude, timestampFromDigits } from '../times.ts'

export const isNumber = (type: ExprType): boolean => type === 'float' || type === 'integer'

/** A parameter that no place has given a type yet. */
export const isUntyped = (expr: Expr): expr is Parameter => expr.kind === 'parameter' && expr.type === 'null'
const isNull = (expr: Expr): boolean => expr.kind === 'literal' && expr.value === null
const isSoft = (expr: Expr): boolean =>
  isUntyped(expr) ||
  (expr.kind === 'literal' && (expr.type === 'string' || isNumber(expr.type) || expr.type === 'null'))

export const typeName = (type: ExprType): string =>
  type === 'integer' ? 'an integer' : type === 'null' ? 'null' : `a ${type}`

/**
 * The expression as a value of the type: soft ones are converted, an integer is a float. Undefined when it cannot be.
 * Throws `wrong_argument` for text that is no timestamp, and the like.
 */
export function coerce(expr: Expr, type: ValueType, report: Report): Expr | undefined {
  if (expr.type === type && !(expr.kind === 'literal' && type === 'integer' && typeof expr.value === 'string'))
    return expr
  if (isNull(expr)) return expr
  if (isUntyped(expr)) return { ...expr, type }
  if (expr.kind === 'literal') return coerceLiteral(expr, type, report)
  return type === 'float' && expr.type === 'integer' ? expr : undefined
}

function coerceLiteral(literal: Literal, type: ValueType, report: Report): Literal | undefined {
  const { value, span } = literal
  if (isNumber(literal.type)) {
    if (type === 'timestamp') {
      const us = typeof value === 'string' ? timestampFromDigits(value) : timestampByMagnitude(value as number)
      if (us === undefined) throw report('wrong_argument', `${value} is not a time between 1685 and 2255`, span)
      return { kind: 'literal', type, value: us, span }
    }
    if (typeof value === 'string') throw outOfRange(literal, report)
    return type === 'float' ? { ...literal, type } : undefined
  }
  if (literal.type !== 'string') return undefined
  const converted = valueFromText(value as string, type)
  if (converted === undefined) {
    if (type !== 'timestamp' && type !== 'duration') return undefined
    const example = type === 'timestamp' ? "'2024-03-01T12:00:00Z'" : "'5m30s'"
    throw report('wrong_argument', `'${value}' is not ${typeName(type)}`, span, `write it like ${example}`)
  }
  return { kind: 'literal', type, value: converted, span }
}

const numberText = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i

/** What a text means where another type is expected; undefined when nothing. */
export function valueFromText(text: string, type: ValueType): number | string | boolean | undefined {
  switch (type) {
    case 'string':
      return text
    case 'timestamp':
      return parseTimestamp(text)
    case 'duration': {
      const parsed = parseDuration(text)
      return parsed === undefined || parsed.months > 0 ? undefined : parsed.us
    }
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : undefined
    default: {
      const special = type === 'float' && /^(NaN|-?Infinity)$/.test(text)
      if (!special && !numberText.test(text)) return undefined
      const value = Number(text)
      return type === 'integer' && !Number.isSafeInteger(value) ? undefined : value
    }
  }
}

export const outOfRange = (literal: Literal, report: Report): SydraError =>
  report('integer_out_of_range', `${literal.value} is beyond ±2^53, where integers are exact`, literal.span)

/** The type that all of them can have; undefined when there is none, 'null' when nothing tells. */
export function commonType(exprs: readonly Expr[]): ExprType | undefined {
  let hard: ExprType = 'null'
  for (const expr of exprs) {
    if (isSoft(expr)) continue
    const joined = join(hard, expr.type)
    if (joined === undefined) return undefined
    hard = joined
  }
  if (hard === 'integer' && exprs.some(expr => expr.kind === 'literal' && expr.type === 'float')) return 'float'
  if (hard !== 'null') return hard
  for (const expr of exprs) {
    if (isUntyped(expr) || isNull(expr)) continue
    // Among literals alone, numbers and text that reads as one meet as numbers.
    hard =
      hard === 'string' && isNumber(expr.type)
        ? expr.type
        : isNumber(hard) && expr.type === 'string'
          ? hard
          : (join(hard, expr.type) ?? 'string')
  }
  return hard
}

function join(a: ExprType, b: ExprType): ExprType | undefined {
  if (a === 'null' || a === b) return b
  if (b === 'null') return a
  return isNumber(a) && isNumber(b) ? 'float' : undefined
}

/** All of one type. Throws `type_mismatch` naming the two that do not go together. */
export function unify(
  exprs: readonly Expr[],
  report: Report,
  print: (expr: Expr) => string,
): { type: ExprType; exprs: readonly Expr[] } {
  const type = commonType(exprs)
  if (type === 'null') return { type, exprs }
  const base = exprs.find(expr => !isSoft(expr)) ?? exprs[0]!
  const unified = exprs.map(expr => {
    const found = type === undefined ? coerce(expr, base.type as ValueType, report) : coerce(expr, type, report)
    if (found === undefined) {
      const [left, right] = expr === base ? [base, exprs.find(other => other !== base)!] : [base, expr]
      const message = `${print(left)} is ${typeName(left.type)}, ${print(right)} is ${typeName(right.type)}`
      throw report('type_mismatch', message, expr.span, mismatchHint(left.type, right))
    }
    return found
  })
  if (type === undefined) throw report('type_mismatch', 'these types do not go together', exprs[0]!.span)
  return { type, exprs: unified }
}

function mismatchHint(wanted: ExprType, other: Expr): string | undefined {
  if (wanted === 'duration' && isNumber(other.type)) return 'write a duration with its unit, such as 5s'
  if (wanted === 'string' && other.kind === 'literal' && isNumber(other.type)) return `write '${other.value}' for text`
  if (wanted === 'null' || other.type === 'null') return undefined
  return `convert one of them, as in x::${wanted}`
}

const accepted: Readonly<Record<Exclude<ParameterType, 'common' | 'width'>, readonly ExprType[]>> = {
  any: ['float', 'integer', 'boolean', 'string', 'timestamp', 'duration'],
  number: ['float', 'integer'],
  quantity: ['float', 'integer', 'duration'],
  measure: ['float', 'integer', 'duration', 'timestamp'],
  integer: ['integer'],
  boolean: ['boolean'],
  string: ['string'],
  timestamp: ['timestamp'],
  duration: ['duration'],
  frame: ['duration', 'integer'],
}

const wantedNames: Readonly<Partial<Record<ParameterType, string>>> = {
  number: 'a number',
  quantity: 'a number',
  measure: 'a number or a timestamp',
  frame: 'a duration or a whole number of rows',
}

/** One argument as its parameter wants it, or `type_mismatch`. */
export function checkArgument(
  arg: Expr,
  wanted: Exclude<ParameterType, 'common' | 'width'>,
  what: string,
  report: Report,
): Expr {
  if (wanted === 'any' && isUntyped(arg)) return arg
  const types = accepted[wanted]
  const isBigLiteral = arg.kind === 'literal' && arg.type === 'integer' && typeof arg.value === 'string'
  if (types.includes(arg.type) && !isBigLiteral) return arg
  // Text becomes a time or a duration, but not a number or a truth value: that is for casts and comparisons.
  const mayConvert =
    isUntyped(arg) || isNull(arg) || wanted === 'timestamp' || wanted === 'duration' || wanted === 'frame'
  const found = mayConvert ? coerce(arg, types[0] as ValueType, report) : undefined
  if (found?.kind === 'parameter' && wanted === 'frame') return { ...found, numberIsInteger: true }
  if (found !== undefined) return found
  if (isBigLiteral) throw outOfRange(arg, report)
  const wants = wantedNames[wanted] ?? typeName(types[0]!)
  throw report('type_mismatch', `${what} must be ${wants}, this is ${typeName(arg.type)}`, arg.span)
}

/** `+ - * / %` over numbers, timestamps and durations. */
export function arithmetic(
  info: FunctionInfo,
  left: Expr,
  right: Expr,
  span: Span,
  report: Report,
): { type: ExprType; args: readonly Expr[] } {
  const a = operandType(info.name, left, right, true)
  const b = operandType(info.name, right, left, false)
  const args = [operand(left, a, report), operand(right, b, report)]
  const type = resultOf(info.name, args[0]!.type, args[1]!.type)
  if (type === undefined) {
    const symbol = info.syntax!.split(' ')[1]
    const hint =
      (a === 'timestamp' || b === 'timestamp') && (isNumber(a) || isNumber(b))
        ? 'times move by durations, such as 5m'
        : undefined
    throw report('type_mismatch', `${typeName(a)} ${symbol} ${typeName(b)} is not defined`, span, hint)
  }
  return { type, args }
}

/** The type an operand takes beside the other: only soft ones have a choice. */
function operandType(name: string, expr: Expr, other: Expr, isLeft: boolean): ExprType {
  const isText = expr.kind === 'literal' && expr.type === 'string'
  if (!isUntyped(expr) && !isText) return expr.type
  const additive = name === 'add' || name === 'sub'
  if (other.type === 'timestamp') {
    if (isText) return name === 'sub' ? 'timestamp' : 'duration'
    return name === 'sub' && isLeft ? 'timestamp' : 'duration'
  }
  if (other.type === 'duration' && additive) return name === 'add' || isLeft ? 'timestamp' : 'duration'
  if (isText) return 'string'
  return isNumber(other.type) || (other.type === 'duration' && !additive) ? 'float' : 'null'
}

function operand(expr: Expr, type: ExprType, report: Report): Expr {
  if (expr.kind === 'literal' && typeof expr.value === 'string' && expr.type === 'integer')
    throw outOfRange(expr, report)
  return type === 'null' || type === expr.type ? expr : (coerce(expr, type, report) ?? expr)
}

function resultOf(name: string, a: ExprType, b: ExprType): ExprType | undefined {
  if (a === 'null' || b === 'null') {
    const known = a === 'null' ? b : a
    if (known === 'null') return 'float'
    const isQuantity = isNumber(known) || known === 'timestamp' || known === 'duration'
    return isQuantity ? (resultOf(name, known, known) ?? known) : undefined
  }
  if (isNumber(a) && isNumber(b)) return name !== 'div' && a === 'integer' && b === 'integer' ? 'integer' : 'float'
  switch (name) {
    case 'add':
      if (a === 'timestamp' && b === 'duration') return 'timestamp'
      if (a === 'duration' && b === 'timestamp') return 'timestamp'
      return a === 'duration' && b === 'duration' ? 'duration' : undefined
    case 'sub':
      if (a === 'timestamp') return b === 'timestamp' ? 'duration' : b === 'duration' ? 'timestamp' : undefined
      return a === 'duration' && b === 'duration' ? 'duration' : undefined
    case 'mul':
      if (a === 'duration' && isNumber(b)) return 'duration'
      return isNumber(a) && b === 'duration' ? 'duration' : undefined
    case 'div':
      if (a === 'duration') return b === 'duration' ? 'float' : isNumber(b) ? 'duration' : undefined
      return undefined
    default:
      return a === 'duration' && b === 'duration' ? 'duration' : undefined
  }
}
