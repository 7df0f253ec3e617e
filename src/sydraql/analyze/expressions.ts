/**
 * Syntax trees to typed expressions: names resolved, calls checked against the registry, sugar removed.
 *
 * Aggregates come out as calls too (`count(distinct v)` as `count_distinct`); `grouping.ts` takes them apart.
 */
import type { ValueType } from '../../columnar/batch.ts'
import { didYouMeanHint } from '../../lib/did-you-mean.ts'
import type { CallSyntax, CaseSyntax, LiteralSyntax, OperatorSyntax, SyntaxExpr } from '../ast.ts'
import type { Call, Case, Expr, Literal, Span } from '../expression.ts'
import { formatExpr } from '../format.ts'
import type { FunctionInfo, ParameterInfo } from '../functions/types.ts'
import { callableNames, functionInfo, parameterList, plannedFunctions } from '../functions.ts'
import { type Report, unsupported } from '../problem.ts'
import { joined, walk } from '../rewrite.ts'
import { formatMonths } from '../times.ts'
import { checkConstants } from './constants.ts'
import type { Scope } from './scope.ts'
import { arithmetic, checkArgument, isUntyped, outOfRange, unify } from './types.ts'

export interface Surroundings {
  readonly text: string
  readonly report: Report
  readonly scope: Scope
  /** Aliases of the select list, where they may be used; they win over columns, but not inside an aggregate. */
  readonly aliases: ReadonlyMap<string, Expr> | undefined
  /** undefined: aggregates may stand here; else why not, such as `where`. */
  readonly noAggregates: string | undefined
}

/** Analyses an expression and makes sure that nothing in it is left without a type. */
export function analyzeExpr(node: SyntaxExpr, around: Surroundings): Expr {
  const expr = analyze(node, around)
  checkFinished(expr, around.report)
  return expr
}

/** As `analyzeExpr`, for a condition. */
export function analyzeCondition(node: SyntaxExpr, around: Surroundings, what: string): Expr {
  const expr = checkArgument(analyze(node, around), 'boolean', what, around.report)
  checkFinished(expr, around.report)
  return expr
}

function checkFinished(expr: Expr, report: Report): void {
  walk(expr, node => {
    if (isUntyped(node)) {
      throw report(
        'type_mismatch',
        `nothing tells the type of parameter ${node.index}`,
        node.span,
        `write its type, as in $${node.index}::float`,
      )
    }
    if (node.kind === 'literal' && node.type === 'integer' && typeof node.value === 'string')
      throw outOfRange(node, report)
  })
}

function analyze(node: SyntaxExpr, around: Surroundings): Expr {
  switch (node.kind) {
    case 'literal':
      return analyzeLiteral(node, around)
    case 'parameter':
      return { kind: 'parameter', type: 'null', index: node.index, span: node.span }
    case 'name': {
      if (node.parts.length === 1) {
        const alias = around.aliases?.get(node.parts[0]!)
        if (alias !== undefined) return alias
      }
      return around.scope.resolve(node, around.report)
    }
    case 'call':
      return analyzeCall(node, around)
    case 'operator':
      return analyzeOperator(node, around)
    case 'case':
      return analyzeCase(node, around)
    case 'star':
      throw around.report('wrong_argument', '* may only stand alone in the select list, or in count(*)', node.span)
  }
}

function analyzeLiteral({ type, value, span }: LiteralSyntax, { report }: Surroundings): Literal {
  switch (type) {
    case 'calendar':
      throw report(
        'wrong_argument',
        'months, quarters and years differ in length: they are widths of time_bucket only',
        span,
        'use a fixed duration, such as 30d',
      )
    case 'regex':
      throw report('wrong_argument', 'a regex may only follow =~ or !~', span)
    case 'digits':
      return { kind: 'literal', type: 'integer', value, span }
    default:
      return { kind: 'literal', type, value, span }
  }
}

const print = (expr: Expr): string => {
  const text = formatExpr(expr)
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}

// ---- operators ------------------------------------------------------------------------------------------------------

function analyzeOperator(node: OperatorSyntax, around: Surroundings): Expr {
  const { name, span } = node
  const { report } = around
  switch (name) {
    case 'and':
    case 'or': {
      const parts = node.args.map(arg => checkArgument(analyze(arg, around), 'boolean', `each side of ${name}`, report))
      return { ...joined(name, parts)!, span }
    }
    case 'between': {
      const [value, low, high] = node.args.map(arg => analyze(arg, around))
      const from = comparison('ge', [value!, low!], span, report)
      return { ...joined('and', [from, comparison('le', [value!, high!], span, report)])!, span }
    }
    case 'regex_match': {
      const [subject, pattern] = node.args
      const literal: SyntaxExpr =
        pattern!.kind === 'literal' && pattern!.type === 'regex' ? { ...pattern!, type: 'string' } : pattern!
      return finishCall(functionInfo(name)!, [analyze(subject!, around), analyze(literal, around)], span, report)
    }
    case 'eq':
    case 'ne':
    case 'lt':
    case 'le':
    case 'gt':
    case 'ge':
    case 'in':
      return comparison(
        name,
        node.args.map(arg => analyze(arg, around)),
        span,
        report,
      )
    default:
      return finishCall(
        functionInfo(name)!,
        node.args.map(arg => analyze(arg, around)),
        span,
        report,
      )
  }
}

const orderings = new Set(['lt', 'le', 'gt', 'ge'])

function comparison(name: string, args: readonly Expr[], span: Span, report: Report): Expr {
  if (orderings.has(name) && args.some(arg => arg.kind === 'column' && arg.name === 'series_id')) {
    throw report('type_mismatch', 'series ids compare by equality only', span)
  }
  return { kind: 'call', type: 'boolean', name, args: unify(args, report, print).exprs, span }
}

// ---- calls ----------------------------------------------------------------------------------------------------------

function analyzeCall(node: CallSyntax, around: Surroundings): Expr {
  const { report } = around
  const name = node.name.toLowerCase()
  const info = functionInfo(name)
  if (info === undefined || (info.kind === 'operator' && name !== 'mod')) throw unknownFunction(node, name, around)
  if (info.kind === 'aggregate') return analyzeAggregate(node, info, around)
  if (node.distinct) throw report('wrong_argument', `${name} does not take distinct`, node.span)
  checkCount(info, node, report)
  if (name === 'now') return { kind: 'now', type: 'timestamp', span: node.span }
  if (name === 'time_bucket') return timeBucket(node, around)
  const args = node.args.map(arg => analyze(arg, around))
  if (name === 'date_trunc') return dateTrunc(info, args, node.span, report)
  return finishCall(info, args, node.span, report)
}

function unknownFunction(node: CallSyntax, name: string, around: Surroundings) {
  if (plannedFunctions.has(name)) return unsupported(`the function ${name}`, around.text, node.nameSpan)
  const hint = didYouMeanHint(name, [...callableNames, ...plannedFunctions])
  return around.report('unknown_function', `there is no function "${node.name}"`, node.nameSpan, hint)
}

function checkCount(info: FunctionInfo, node: CallSyntax, report: Report): void {
  const required = info.parameters.filter(parameter => !parameter.optional).length
  const most = info.parameters.at(-1)?.variadic ? Infinity : info.parameters.length
  const { length } = node.args
  if (length >= required && length <= most) return
  const some = required === most ? `${required}` : most === Infinity ? `at least ${required}` : `${required} to ${most}`
  const noun = required === 1 && most === 1 ? 'argument' : 'arguments'
  const message = `${info.name} takes ${some} ${noun}, not ${length}`
  throw report('wrong_argument_count', message, node.span, `${info.name}(${parameterList(info)})`)
}

function analyzeAggregate(node: CallSyntax, info: FunctionInfo, around: Surroundings): Expr {
  const { report } = around
  const name = info.name
  if (around.noAggregates !== undefined) {
    const isNested = around.noAggregates === 'an aggregate'
    const hint = around.noAggregates === 'where' ? 'filter groups with having' : undefined
    const code = isNested ? 'nested_aggregate' : 'not_grouped'
    throw report(code, `the aggregate ${name} may not stand in ${around.noAggregates}`, node.span, hint)
  }
  const star = node.args.find(arg => arg.kind === 'star')
  if (star !== undefined) {
    if (!info.hints.star || node.args.length > 1 || node.distinct) {
      throw report('wrong_argument', 'only count takes *, and nothing else beside it', star.span)
    }
    return { kind: 'call', type: 'integer', name, args: [], span: node.span }
  }
  if (node.distinct && !info.hints.distinct) throw report('wrong_argument', `${name} does not take distinct`, node.span)
  checkCount(info, node, report)
  const inside = { ...around, aliases: undefined, noAggregates: 'an aggregate' }
  const call = finishCall(
    info,
    node.args.map(arg => analyze(arg, inside)),
    node.span,
    report,
  )
  return node.distinct ? { ...(call as Call), name: `${name}_distinct` } : call
}

/** Types the arguments and the result of a call by its registry entry. */
function finishCall(info: FunctionInfo, args: readonly Expr[], span: Span, report: Report): Expr {
  if (info.returns === 'arithmetic') {
    const typed = arithmetic(info, args[0]!, args[1]!, span, report)
    return { kind: 'call', type: typed.type, name: info.name, args: typed.args, span }
  }
  if (info.name.startsWith('cast_') && isUntyped(args[0]!)) return { ...args[0], type: info.returns as ValueType, span }
  const shared = args.filter((_, index) => parameterAt(info, index).type === 'common')
  const common = shared.length > 0 ? unify(shared, report, print) : undefined
  let next = 0
  const checked = args.map((arg, index) => {
    const parameter = parameterAt(info, index)
    const what = info.kind === 'operator' ? `the operand of ${info.syntax}` : `${parameter.name} of ${info.name}`
    if (parameter.type === 'common') return common!.exprs[next++]!
    const typed = parameter.type === 'width' ? arg : checkArgument(arg, parameter.type, what, report)
    if (parameter.constant && typed.kind !== 'literal' && typed.kind !== 'parameter') {
      throw report('wrong_argument', `${what} must be a constant or a parameter`, typed.span)
    }
    return typed
  })
  const call: Call = {
    kind: 'call',
    type: returnType(info, checked, common?.type),
    name: info.name,
    args: checked,
    span,
  }
  checkConstants(call, report)
  return call
}

function parameterAt(info: FunctionInfo, index: number): ParameterInfo {
  return info.parameters[Math.min(index, info.parameters.length - 1)]!
}

function returnType(info: FunctionInfo, args: readonly Expr[], common: Expr['type'] | undefined): ValueType {
  const { returns } = info
  const type = returns === 'common' ? common! : returns === 'first' ? (common ?? args[0]!.type) : returns
  return type === 'null' || type === 'arithmetic' ? 'float' : type
}

// ---- functions with a form of their own -----------------------------------------------------------------------------

/** `time_bucket(width, t [, origin | zone])`: the width a duration, or calendar text such as `1mo`. */
function timeBucket(node: CallSyntax, around: Surroundings): Expr {
  const { report } = around
  const [width, time, alignment] = node.args
  if (width!.kind !== 'literal' || (width!.type !== 'duration' && width!.type !== 'calendar')) {
    const hint = 'write it like time_bucket(5m, time)'
    throw report('wrong_argument', 'the width of time_bucket must be a duration', width!.span, hint)
  }
  const { value, span } = width as LiteralSyntax
  const first: Literal =
    width!.type === 'calendar'
      ? { kind: 'literal', type: 'string', value: formatMonths(value as number), span }
      : { kind: 'literal', type: 'duration', value: value as number, span }
  const args = [first, checkArgument(analyze(time!, around), 'timestamp', 'the time of time_bucket', report)]
  if (alignment !== undefined) {
    const expr = analyze(alignment, around)
    const isZone = expr.kind === 'literal' && expr.type === 'string' && !/^[+-]?\d/.test(String(expr.value))
    const typed = isZone ? expr : checkArgument(expr, 'timestamp', 'the origin of time_bucket', report)
    if (typed.kind !== 'literal') {
      throw report('wrong_argument', 'the origin or zone of time_bucket must be a constant', typed.span)
    }
    args.push(typed)
  }
  const call: Call = { kind: 'call', type: 'timestamp', name: 'time_bucket', args, span: node.span }
  checkConstants(call, report)
  return call
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
function dateTrunc(info: FunctionInfo, args: readonly Expr[], span: Span, report: Report): Expr {
  const [unit, time, zone] = (finishCall(info, args, span, report) as Call).args
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

function analyzeCase(node: CaseSyntax, around: Surroundings): Case {
  const { report } = around
  const subject = node.subject === undefined ? undefined : analyze(node.subject, around)
  const whens = node.branches.map(branch => {
    const when = analyze(branch.when, around)
    if (subject === undefined) return checkArgument(when, 'boolean', 'the condition of a case', report)
    return comparison('eq', [subject, when], branch.when.span, report)
  })
  const results = node.branches.map(branch => analyze(branch.then, around))
  if (node.otherwise !== undefined) results.push(analyze(node.otherwise, around))
  const { type, exprs } = unify(results, report, print)
  return {
    kind: 'case',
    type: type === 'null' ? 'float' : type,
    // biome-ignore lint/suspicious/noThenProperty: the language's own word
    branches: whens.map((when, index) => ({ when, then: exprs[index]! })),
    otherwise: node.otherwise === undefined ? undefined : exprs[whens.length]!,
    span: node.span,
  }
}
