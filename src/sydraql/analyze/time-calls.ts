/** `time_bucket` and `date_trunc`, which have forms of their own and are one thing afterwards. */
import { didYouMeanHint } from '../../lib/did-you-mean.ts'
import type { CallSyntax, SyntaxExpr } from '../ast.ts'
import type { Call, Expr, Literal, Span } from '../expression.ts'
import type { FunctionInfo } from '../functions/types.ts'
import type { Report } from '../problem.ts'
import { formatMonths } from '../times.ts'
import { finishCall } from './calls.ts'
import { checkConstants } from './constants.ts'
import { failed, isFailed } from './surroundings.ts'
import { checkArgument } from './types.ts'

/** `time_bucket(width, t [, origin | zone])`: the width a duration, or calendar text such as `1mo`. `rest` is typed. */
export function timeBucket(node: CallSyntax, width: SyntaxExpr, rest: readonly Expr[], report: Report): Expr {
  const [time, alignment] = rest
  if (width.kind !== 'literal' || (width.type !== 'duration' && width.type !== 'calendar')) {
    const hint = 'write it like time_bucket(5m, time)'
    throw report('wrong_argument', 'the width of time_bucket must be a duration', width.span, hint)
  }
  if (rest.some(isFailed)) return failed
  const { type, value, span } = width
  const first: Literal =
    type === 'calendar'
      ? { kind: 'literal', type: 'string', value: formatMonths(value as number), span }
      : { kind: 'literal', type: 'duration', value: value as number, span }
  const args = [first, checkArgument(time!, 'timestamp', 'the time of time_bucket', report)]
  if (alignment !== undefined) args.push(alignmentOf(alignment, report))
  const call: Call = { kind: 'call', type: 'timestamp', name: 'time_bucket', args, span: node.span }
  checkConstants(call, report)
  return call
}

function alignmentOf(expr: Expr, report: Report): Literal {
  const isZone = expr.kind === 'literal' && expr.type === 'string' && !/^[+-]?\d/.test(String(expr.value))
  const typed = isZone ? expr : checkArgument(expr, 'timestamp', 'the origin of time_bucket', report)
  if (typed.kind === 'literal') return typed
  throw report('wrong_argument', 'the origin or zone of time_bucket must be a constant', typed.span)
}

const truncationUs: Readonly<Record<string, number>> = {
  microsecond: 1,
  millisecond: 1e3,
  second: 1e6,
  minute: 60e6,
  hour: 3600e6,
  day: 86_400e6,
  week: 7 * 86_400e6,
}
const truncationMonths: Readonly<Record<string, number>> = { month: 1, quarter: 3, year: 12 }

/** `date_trunc('day', t)` is `time_bucket(1d, t)`: one thing for rules and operators to know. */
export function dateTrunc(info: FunctionInfo, args: readonly Expr[], span: Span, report: Report): Expr {
  const typed = finishCall(info, args, span, report)
  if (typed.kind !== 'call') return typed
  const [unit, time, zone] = typed.args
  const name = unit!.kind === 'literal' ? String(unit!.value).toLowerCase() : ''
  const us = truncationUs[name]
  const months = truncationMonths[name]
  if (us === undefined && months === undefined) {
    const units = [...Object.keys(truncationUs), ...Object.keys(truncationMonths)]
    const hint = didYouMeanHint(name, units) ?? `units are ${units.join(', ')}`
    throw report('wrong_argument', 'date_trunc does not know this unit', unit!.span, hint)
  }
  const width: Literal =
    us !== undefined
      ? { kind: 'literal', type: 'duration', value: us, span: unit!.span }
      : { kind: 'literal', type: 'string', value: formatMonths(months!), span: unit!.span }
  const call: Call = {
    kind: 'call',
    type: 'timestamp',
    name: 'time_bucket',
    args: zone === undefined ? [width, time!] : [width, time!, zone],
    span,
  }
  checkConstants(call, report)
  return call
}
