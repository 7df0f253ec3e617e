/** What a condition says about a column of timestamps. */
import type { Expr, Span } from './expression.ts'
import type { SlotBound, TimeRange } from './plan.ts'
import { valueNeeded } from './slots.ts'

export const everything: TimeRange = { fromUs: -Infinity, toUs: Infinity }
export const nothing: TimeRange = { fromUs: Infinity, toUs: -Infinity }

/** Bounds in slots are taken to leave something. */
export const isEmptyRange = ({ fromUs, toUs }: TimeRange): boolean => fromUs >= toUs

const raises: ReadonlySet<string> = new Set(['gt', 'ge', 'eq'])
const lowers: ReadonlySet<string> = new Set(['lt', 'le', 'eq'])

export const isBoundedBelow = ({ fromUs, slots }: TimeRange): boolean =>
  fromUs !== -Infinity || slots?.some(bound => raises.has(bound.comparison)) === true

export const isBoundedAbove = ({ toUs, slots }: TimeRange): boolean =>
  toUs !== Infinity || slots?.some(bound => lowers.has(bound.comparison)) === true

/** The range, of which a rule must know the numbers. */
export const known = (range: TimeRange): TimeRange => (range.slots === undefined ? range : valueNeeded())

export function intersection(a: TimeRange, b: TimeRange): TimeRange {
  const fromUs = Math.max(a.fromUs, b.fromUs)
  const toUs = Math.min(a.toUs, b.toUs)
  if (a.slots === undefined && b.slots === undefined) return { fromUs, toUs }
  return { fromUs, toUs, slots: [...(a.slots ?? []), ...(b.slots ?? [])] }
}

/** The least range that holds both. */
export function hull(one: TimeRange, other: TimeRange): TimeRange {
  const [a, b] = [known(one), known(other)]
  if (isEmptyRange(a)) return b
  if (isEmptyRange(b)) return a
  return { fromUs: Math.min(a.fromUs, b.fromUs), toUs: Math.max(a.toUs, b.toUs) }
}

/** The bounds of a range that another does not have already, as conditions on the column. */
export function boundsWithin(range: TimeRange, has: TimeRange, column: string, span: Span): Expr[] {
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
  if (range.slots === undefined && range.fromUs === -Infinity && range.toUs === Infinity) return bounds
  const [{ fromUs, toUs }, there] = [known(range), known(has)]
  if (fromUs > there.fromUs && Number.isFinite(fromUs)) bounds.push(compare('ge', fromUs))
  if (toUs < there.toUs && Number.isFinite(toUs)) bounds.push(compare('lt', toUs))
  return bounds
}

export interface TimeCondition {
  /** No row outside it satisfies the condition. */
  readonly range: TimeRange
  /** Every row inside it does: the condition is the range. */
  readonly exact: boolean
}

type Comparison = SlotBound['comparison']

const flipped: Readonly<Record<string, Comparison>> = { lt: 'gt', le: 'ge', gt: 'lt', ge: 'le', eq: 'eq' }

export const timeCondition = (expr: Expr): TimeCondition => timeConditionOn(expr, 'time')

export function timeConditionOn(expr: Expr, column: string): TimeCondition {
  if (expr.kind === 'call') {
    if (expr.name === 'and') {
      const [a, b] = expr.args.map(arg => timeConditionOn(arg, column))
      return { range: intersection(a!.range, b!.range), exact: a!.exact && b!.exact }
    }
    if (expr.name === 'or') {
      const [a, b] = expr.args.map(arg => timeConditionOn(arg, column))
      const isOne = isEmptyRange(known(a!.range)) || isEmptyRange(known(b!.range))
      return { range: hull(a!.range, b!.range), exact: isOne && a!.exact && b!.exact }
    }
    const [left, right] = expr.args
    if (expr.args.length === 2 && expr.name in flipped) {
      const mirrored = flipped[expr.name]!
      if (isColumn(left!, column)) return comparedWith(flipped[mirrored]!, right!)
      if (isColumn(right!, column)) return comparedWith(mirrored, left!)
    }
  }
  return { range: everything, exact: false }
}

const isColumn = (expr: Expr, name: string): boolean => expr.kind === 'column' && expr.name === name

function comparedWith(comparison: Comparison, expr: Expr): TimeCondition {
  if (expr.kind === 'literal') return comparedWithValue(comparison, expr.value)
  if (expr.kind !== 'parameter') return { range: everything, exact: false }
  return { range: { ...everything, slots: [{ comparison, slot: expr }] }, exact: true }
}

/** Times are whole µs. A comparison with null is never true. */
export function comparedWithValue(comparison: Comparison, value: unknown): TimeCondition {
  if (value === null) return { range: nothing, exact: true }
  if (typeof value !== 'number') return { range: everything, exact: false }
  switch (comparison) {
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
