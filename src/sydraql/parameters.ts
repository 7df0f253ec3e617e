/**
 * Parameters: a value given with a query to the literal that takes the place of `?`.
 *
 * Invariant: a parameter's value never passes through query text.
 */
import type { ValueType } from '../columnar/batch.ts'
import { SydraError } from '../lib/errors.ts'
import { typeName, valueFromText } from './analyze/types.ts'
import type { Literal, Parameter } from './expression.ts'
import type { Report } from './problem.ts'
import { isTimestamp } from './times.ts'

/** A Date is a timestamp; numbers compared with a time are µs, texts ISO 8601. */
export type ParameterValue = number | string | boolean | null | Date

/** Throws `wrong_argument_count`. */
export function checkCount(wanted: number, values: readonly ParameterValue[]): void {
  if (values.length === wanted) return
  const parameters = `${wanted} parameter${wanted === 1 ? '' : 's'}`
  throw new SydraError('wrong_argument_count', `the query takes ${parameters}, ${values.length} were given`)
}

/** Throws `type_mismatch`, `wrong_argument`. */
export function parameterLiteral(
  { index, type: wanted, numberIsInteger, span }: Parameter,
  value: ParameterValue,
  report: Report,
): Literal {
  if (value === null) return { kind: 'literal', type: 'null', value: null, span }
  const isInteger = numberIsInteger && typeof value === 'number'
  const type = isInteger ? 'integer' : wanted === 'null' ? typeOf(value) : wanted
  const converted = convert(value, type)
  if (converted !== undefined) return { kind: 'literal', type, value: converted, span }
  const given = value instanceof Date ? 'a Date' : JSON.stringify(value)
  const code = typeof value === 'string' && type !== 'boolean' ? 'wrong_argument' : 'type_mismatch'
  throw report(code, `parameter ${index} must be ${typeName(type)}, ${given} is none`, span)
}

/** Where no place of the query says what it wants: as rows from JSON would have it. */
function typeOf(value: Exclude<ParameterValue, null>): ValueType {
  if (value instanceof Date) return 'timestamp'
  return typeof value === 'number' ? 'float' : typeof value === 'string' ? 'string' : 'boolean'
}

/** The value as the type wants it; undefined when it cannot be. */
function convert(value: Exclude<ParameterValue, null>, type: ValueType): number | string | boolean | undefined {
  if (typeof value === 'string') return valueFromText(value, type)
  if (typeof value === 'boolean') return type === 'boolean' ? value : undefined
  if (value instanceof Date) {
    const us = value.getTime() * 1000
    return type === 'timestamp' && isTimestamp(us) ? us : undefined
  }
  switch (type) {
    case 'timestamp': {
      const us = Math.floor(value)
      return isTimestamp(us) ? us : undefined
    }
    case 'integer':
      return Number.isSafeInteger(value) ? value : undefined
    case 'duration':
      return Number.isFinite(value) ? Math.trunc(value) : undefined
    case 'float':
      return value
    default:
      return undefined
  }
}
