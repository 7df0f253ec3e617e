/**
 * Evaluates calls of literals, for folding. It must give what execution gives: where that is not plain — rounding,
 * text functions, zones, results that are not finite — it gives nothing and the call stays.
 */
import { bucketOf, dayUs } from './bucket.ts'
import type { Call, Literal } from './expression.ts'
import { isConstant, valueNeeded } from './slots.ts'

/** The literal that the call amounts to, or undefined. Throws `valueIsNeeded` for slots that it would fold. */
export function evaluate(call: Call): Literal | undefined {
  const { span } = call
  if (strict.has(call.name) && call.args.some(arg => arg.kind === 'literal' && arg.value === null)) {
    return { kind: 'literal', type: 'null', value: null, span }
  }
  const args = call.args.filter(arg => arg.kind === 'literal')
  if (args.length < call.args.length) {
    return isFoldable(call.name) && call.args.every(isConstant) ? valueNeeded() : undefined
  }
  const value = resultOf(call, args)
  if (value === undefined) return undefined
  return { kind: 'literal', type: value === null ? 'null' : call.type, value, span }
}

/** Null whenever an argument is, whatever the others are. */
const strict = new Set('eq ne lt le gt ge add sub mul div mod neg not time_bucket'.split(' '))

const others = new Set('is_null cast_integer cast_float'.split(' '))

/** Whether calls of literals of this name come to a literal, as a rule. */
export const isFoldable = (name: string): boolean => strict.has(name) || others.has(name)

function resultOf(call: Call, args: readonly Literal[]): Literal['value'] | undefined {
  const { name } = call
  const [a, b] = args
  switch (name) {
    case 'is_null':
      return a!.value === null
    case 'not':
      return !a!.value
    case 'eq':
    case 'ne':
    case 'lt':
    case 'le':
    case 'gt':
    case 'ge':
      return compare(name, a!.value!, b!.value!)
    case 'neg':
    case 'add':
    case 'sub':
    case 'mul':
    case 'div':
    case 'mod':
      return typeof a!.value === 'number' ? arithmetic(call, a!.value, Number(b?.value ?? 0)) : undefined
    // How a fraction rounds is left to execution.
    case 'cast_integer':
      return a!.value === null || (isNumber(a!) && isPlainInteger(a!.value)) ? a!.value : undefined
    case 'cast_float':
      return a!.value === null || isNumber(a!) ? a!.value : undefined
    case 'time_bucket':
      return bucketStart(call, Number(args[1]!.value))
    default:
      return undefined
  }
}

const isNumber = ({ type }: Literal): boolean => type === 'integer' || type === 'float'
const isPlainInteger = (value: Literal['value']): boolean =>
  Number.isInteger(value) && Math.abs(value as number) <= 2 ** 53 && !Object.is(value, -0)

function compare(
  name: string,
  a: NonNullable<Literal['value']>,
  b: NonNullable<Literal['value']>,
): boolean | undefined {
  if (name === 'eq') return a === b || (Number.isNaN(a) && Number.isNaN(b))
  if (name === 'ne') return !(a === b || (Number.isNaN(a) && Number.isNaN(b)))
  if (typeof a !== 'number' || typeof b !== 'number' || Number.isNaN(a) || Number.isNaN(b)) return undefined
  switch (name) {
    case 'lt':
      return a < b
    case 'le':
      return a <= b
    case 'gt':
      return a > b
    default:
      return a >= b
  }
}

function arithmetic({ name, type }: Call, a: number, b: number): number | null | undefined {
  // Whole numbers have no -0.
  if (name === 'neg') return type === 'float' ? -a : 0 - a
  if ((name === 'div' || name === 'mod') && b === 0) return null
  const result =
    name === 'add' ? a + b : name === 'sub' ? a - b : name === 'mul' ? a * b : name === 'div' ? a / b : a % b
  if (!Number.isFinite(result)) return undefined
  return type === 'float' ? result : Number.isSafeInteger(result) ? result + 0 : undefined
}

/** Fixed widths, and calendar units of UTC with the default origin. */
function bucketStart(call: Call, timeUs: number): number | undefined {
  const bucket = bucketOf(call)
  if (bucket.kind === 'fixed') {
    const { widthUs, originUs } = bucket
    const start = originUs + Math.floor((timeUs - originUs) / widthUs) * widthUs
    return Number.isSafeInteger(start) ? start : undefined
  }
  if (bucket.kind === 'zoned' || bucket.zone !== 'UTC' || bucket.originUs !== 0) return undefined
  const date = new Date(Math.floor(timeUs / dayUs) * (dayUs / 1000))
  const month = (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth()
  return Date.UTC(1970, Math.floor(month / bucket.months) * bucket.months, 1) * 1000
}
