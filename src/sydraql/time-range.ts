/** What a condition says about `time`. */
import type { Expr } from './expression.ts'
import type { TimeRange } from './plan.ts'

export const everything: TimeRange = { fromUs: -Infinity, toUs: Infinity }
const nothing: TimeRange = { fromUs: Infinity, toUs: -Infinity }

export const isEmptyRange = ({ fromUs, toUs }: TimeRange): boolean => fromUs >= toUs

export const intersection = (a: TimeRange, b: TimeRange): TimeRange => ({
  fromUs: Math.max(a.fromUs, b.fromUs),
  toUs: Math.min(a.toUs, b.toUs),
})

export interface TimeCondition {
  /** No row outside it satisfies the condition. */
  readonly range: TimeRange
  /** Every row inside it does: the condition is the range. */
  readonly exact: boolean
}

const flipped: Readonly<Record<string, string>> = { lt: 'gt', le: 'ge', gt: 'lt', ge: 'le', eq: 'eq' }

export function timeCondition(expr: Expr): TimeCondition {
  if (expr.kind === 'call') {
    if (expr.name === 'and') {
      const [a, b] = expr.args.map(timeCondition)
      return { range: intersection(a!.range, b!.range), exact: a!.exact && b!.exact }
    }
    if (expr.name === 'or') {
      const [a, b] = expr.args.map(timeCondition)
      if (isEmptyRange(a!.range)) return { range: b!.range, exact: a!.exact && b!.exact }
      if (isEmptyRange(b!.range)) return { range: a!.range, exact: a!.exact && b!.exact }
      const range = {
        fromUs: Math.min(a!.range.fromUs, b!.range.fromUs),
        toUs: Math.max(a!.range.toUs, b!.range.toUs),
      }
      return { range, exact: false }
    }
    const [left, right] = expr.args
    if (expr.args.length === 2 && expr.name in flipped) {
      if (isTime(left!) && right!.kind === 'literal') return comparison(expr.name, right!.value)
      if (isTime(right!) && left!.kind === 'literal') return comparison(flipped[expr.name]!, left!.value)
    }
  }
  return { range: everything, exact: false }
}

const isTime = (expr: Expr): boolean => expr.kind === 'column' && expr.name === 'time'

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
