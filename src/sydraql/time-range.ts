/** What a condition says about a column of timestamps. */
import type { Expr, Span } from './expression.ts'
import type { TimeRange } from './plan.ts'

export const everything: TimeRange = { fromUs: -Infinity, toUs: Infinity }
export const nothing: TimeRange = { fromUs: Infinity, toUs: -Infinity }

export const isEmptyRange = ({ fromUs, toUs }: TimeRange): boolean => fromUs >= toUs

export const intersection = (a: TimeRange, b: TimeRange): TimeRange => ({
  fromUs: Math.max(a.fromUs, b.fromUs),
  toUs: Math.min(a.toUs, b.toUs),
})

/** The least range that holds both. */
export function hull(a: TimeRange, b: TimeRange): TimeRange {
  if (isEmptyRange(a)) return b
  if (isEmptyRange(b)) return a
  return { fromUs: Math.min(a.fromUs, b.fromUs), toUs: Math.max(a.toUs, b.toUs) }
}

/** The bounds of a range that another does not have already, as conditions on the column. */
export function boundsWithin(range: TimeRange, known: TimeRange, column: string, span: Span): Expr[] {
  const compare = (name: string, us: number): Expr => ({
    kind: 'call',
    type: 'boolean',
    name,
    args: [
      { kind: 'column', type: 'timestamp', name: column, span },
      { kind: 'literal', type: 'timestamp', value: us, span },
    ],
    span,
  })
  const bounds: Expr[] = []
  if (range.fromUs > known.fromUs && Number.isFinite(range.fromUs)) bounds.push(compare('ge', range.fromUs))
  if (range.toUs < known.toUs && Number.isFinite(range.toUs)) bounds.push(compare('lt', range.toUs))
  return bounds
}

export interface TimeCondition {
  /** No row outside it satisfies the condition. */
  readonly range: TimeRange
  /** Every row inside it does: the condition is the range. */
  readonly exact: boolean
}

const flipped: Readonly<Record<string, string>> = { lt: 'gt', le: 'ge', gt: 'lt', ge: 'le', eq: 'eq' }

export const timeCondition = (expr: Expr): TimeCondition => timeConditionOn(expr, 'time')

export function timeConditionOn(expr: Expr, column: string): TimeCondition {
  if (expr.kind === 'call') {
    if (expr.name === 'and') {
      const [a, b] = expr.args.map(arg => timeConditionOn(arg, column))
      return { range: intersection(a!.range, b!.range), exact: a!.exact && b!.exact }
    }
    if (expr.name === 'or') {
      const [a, b] = expr.args.map(arg => timeConditionOn(arg, column))
      const isOne = isEmptyRange(a!.range) || isEmptyRange(b!.range)
      return { range: hull(a!.range, b!.range), exact: isOne && a!.exact && b!.exact }
    }
    const [left, right] = expr.args
    if (expr.args.length === 2 && expr.name in flipped) {
      if (isColumn(left!, column) && right!.kind === 'literal') return comparison(expr.name, right!.value)
      if (isColumn(right!, column) && left!.kind === 'literal') return comparison(flipped[expr.name]!, left!.value)
    }
  }
  return { range: everything, exact: false }
}

const isColumn = (expr: Expr, name: string): boolean => expr.kind === 'column' && expr.name === name

/** Times are whole µs. A comparison with null is never true. */
function comparison(name: string, value: unknown): TimeCondition {
  if (value === null) return { range: nothing, exact: true }
  if (typeof value !== 'number') return { range: everything, exact: false }
  switch (name) {
    case 'lt':
      return { range: { fromUs: -Infinity, toUs: Math.ceil(value) }, exact: true }
    case 'le':
      return { range: { fromUs: -Infinity, toUs: Math.floor(value) + 1 }, exact: true }
    case 'gt':
      return { range: { fromUs: Math.floor(value) + 1, toUs: Infinity }, exact: true }
    case 'ge':
      return { range: { fromUs: Math.ceil(value), toUs: Infinity }, exact: true }
    default:
      return Number.isInteger(value)
        ? { range: { fromUs: value, toUs: value + 1 }, exact: true }
        : { range: nothing, exact: true }
  }
}
