/**
 * Syntax trees to typed expressions: names resolved, calls checked against the registry, sugar removed.
 *
 * Aggregates and row functions come out as calls too (`count(distinct v)` as `count_distinct`); `grouping.ts` and
 * `windows.ts` take them apart.
 *
 * Invariant: what is wrong in one operand does not hide what is wrong in another: each error is kept where it is found, and
 * `failed` takes the expression's place.
 */
import { didYouMeanHint } from '../../lib/did-you-mean.ts'
import type { CallSyntax, CaseSyntax, LiteralSyntax, OperatorSyntax, SyntaxExpr } from '../ast.ts'
import type { Call, Expr, Literal, Span } from '../expression.ts'
import type { FunctionInfo } from '../functions/types.ts'
import { callableNames, functionInfo } from '../functions.ts'
import { keep, type Report } from '../problem.ts'
import { joined, someNode, walk } from '../rewrite.ts'
import { checkCount, finishCall, print } from './calls.ts'
import { attemptExpr, failed, isFailed, type Surroundings } from './surroundings.ts'
import { dateTrunc, timeBucket } from './time-calls.ts'
import { checkArgument, isUntyped, outOfRange, unify } from './types.ts'

/** Analyses an expression and makes sure that nothing in it is left without a type. */
export function analyzeExpr(node: SyntaxExpr, around: Surroundings): Expr {
  const expr = analyze(node, around)
  checkFinished(expr, around.report)
  return expr
}

/** As `analyzeExpr`, for a condition. */
export function analyzeCondition(node: SyntaxExpr, around: Surroundings, what: string): Expr {
  const expr = attemptExpr(around.report, () => checkArgument(analyze(node, around), 'boolean', what, around.report))
  checkFinished(expr, around.report)
  return expr
}

export function checkFinished(expr: Expr, report: Report): void {
  walk(expr, node => {
    if (isUntyped(node)) keep(report, untyped(node.index, node.span, report))
    if (node.kind === 'literal' && node.type === 'integer' && typeof node.value === 'string')
      keep(report, outOfRange(node, report))
  })
}

const untyped = (index: number, span: Span, report: Report) =>
  report(
    'type_mismatch',
    `nothing tells the type of parameter ${index}`,
    span,
    `write its type, as in $${index}::float`,
  )

/** As `analyzeExpr`, but parameters may be left without a type. */
export function analyze(node: SyntaxExpr, around: Surroundings): Expr {
  try {
    return analyzeNode(node, around)
  } catch (error) {
    keep(around.report, error)
    return failed
  }
}

const analyzeAll = (nodes: readonly SyntaxExpr[], around: Surroundings): Expr[] =>
  nodes.map(node => analyze(node, around))

function analyzeNode(node: SyntaxExpr, around: Surroundings): Expr {
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

// ---- operators ------------------------------------------------------------------------------------------------------

function analyzeOperator(node: OperatorSyntax, around: Surroundings): Expr {
  const { name, span } = node
  const { report } = around
  switch (name) {
    case 'and':
    case 'or': {
      const parts = node.args.map(arg =>
        attemptExpr(report, () => checkArgument(analyze(arg, around), 'boolean', `each side of ${name}`, report)),
      )
      return parts.some(isFailed) ? failed : { ...joined(name, parts)!, span }
    }
    case 'between': {
      const [value, low, high] = analyzeAll(node.args, around)
      const from = attemptExpr(report, () => comparison('ge', [value!, low!], span, report))
      const to = attemptExpr(report, () => comparison('le', [value!, high!], span, report))
      return isFailed(from) || isFailed(to) ? failed : { ...joined('and', [from, to])!, span }
    }
    case 'regex_match': {
      const [subject, pattern] = node.args
      const literal: SyntaxExpr =
        pattern!.kind === 'literal' && pattern!.type === 'regex' ? { ...pattern!, type: 'string' } : pattern!
      return finishCall(functionInfo(name)!, analyzeAll([subject!, literal], around), span, report)
    }
    case 'eq':
    case 'ne':
    case 'lt':
    case 'le':
    case 'gt':
    case 'ge':
    case 'in':
      return comparison(name, analyzeAll(node.args, around), span, report)
    default:
      return finishCall(functionInfo(name)!, analyzeAll(node.args, around), span, report)
  }
}

const orderings = new Set(['lt', 'le', 'gt', 'ge'])

function comparison(name: string, args: readonly Expr[], span: Span, report: Report): Expr {
  if (args.some(isFailed)) return failed
  if (orderings.has(name) && args.some(isSeriesId)) {
    throw report('type_mismatch', 'series ids compare by equality only', span)
  }
  return { kind: 'call', type: 'boolean', name, args: unify(args, report, print).exprs, span }
}

/** Of a metric, or of one side of a join. */
const isSeriesId = (expr: Expr): boolean =>
  expr.kind === 'column' && (expr.name === 'series_id' || /^[^.]+\.series_id$/.test(expr.name))

// ---- calls ----------------------------------------------------------------------------------------------------------

function analyzeCall(node: CallSyntax, around: Surroundings): Expr {
  const { report } = around
  const name = node.name.toLowerCase()
  const info = functionInfo(name)
  if (info === undefined || (info.kind === 'operator' && name !== 'mod')) {
    keep(report, unknownFunction(node, around))
    analyzeAll(node.args, { ...around, noAggregates: undefined })
    return failed
  }
  if (info.kind === 'aggregate') return analyzeAggregate(node, info, around)
  if (node.distinct) throw report('wrong_argument', `${name} does not take distinct`, node.span)
  if (info.kind === 'window') return analyzeWindow(node, info, around)
  checkCount(info, node, report)
  switch (name) {
    case 'now':
      return { kind: 'now', type: 'timestamp', span: node.span }
    case 'time_bucket': {
      const [width, ...rest] = node.args
      return timeBucket(node, width!, analyzeAll(rest, around), report)
    }
    case 'histogram':
      throw report(
        'wrong_argument',
        'histogram gives rows: it stands alone in a select list',
        node.span,
        'use a sub-select, as in select … from (select histogram(v, 0, 100, 10) from …) as h',
      )
  }
  const args = analyzeAll(node.args, around)
  if (name === 'date_trunc') return dateTrunc(info, args, node.span, report)
  return finishCall(info, args, node.span, report)
}

function unknownFunction(node: CallSyntax, { report }: Surroundings) {
  const hint = didYouMeanHint(node.name.toLowerCase(), callableNames)
  return report('unknown_function', `there is no function "${node.name}"`, node.nameSpan, hint)
}

function analyzeAggregate(node: CallSyntax, info: FunctionInfo, around: Surroundings): Expr {
  const { report, sequence } = around
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
  if (info.hints.needsSeriesOrder && sequence.time === undefined) throw needsTime(name, node.span, report)
  const inside = { ...around, aliases: undefined, noAggregates: 'an aggregate', noWindows: 'an aggregate' }
  const call = finishCall(info, analyzeAll(node.args, inside), node.span, report)
  return node.distinct && call.kind === 'call' ? { ...call, name: `${name}_distinct` } : call
}

function analyzeWindow(node: CallSyntax, info: FunctionInfo, around: Surroundings): Expr {
  const { report } = around
  if (around.noWindows !== undefined) throw misplacedWindow(info.name, around.noWindows, node.span, report)
  checkCount(info, node, report)
  const args = analyzeAll(node.args, { ...around, noWindows: 'a row function' })
  for (const arg of args) checkNoWindow(arg, 'a row function', arg.span, report)
  return finishCall(info, args, node.span, report)
}

const misplacedWindow = (name: string, place: string, span: Span, report: Report) =>
  report(
    'nested_aggregate',
    `the row function ${name} may not stand in ${place}`,
    span,
    `use a sub-select, as in select … from (select ${name}(…) as x from …) as s`,
  )

export const isWindow = (expr: Expr): expr is Call => expr.kind === 'call' && functionInfo(expr.name)?.kind === 'window'

/** Throws for an expression that an alias stands for and that holds a row function where none may be. */
export function checkNoWindow(expr: Expr, place: string, span: Span, report: Report): void {
  let name = ''
  const hasWindow = someNode(expr, node => {
    if (!isWindow(node)) return false
    name = node.name
    return true
  })
  if (hasWindow) throw misplacedWindow(name, place, span, report)
}

/** For what follows rows in time over a source that does not say when they are. */
export const needsTime = (name: string, span: Span, report: Report) =>
  report(
    'wrong_argument',
    `${name} needs a time: the rows here do not say when they are`,
    span,
    'output time, or a time_bucket that the sub-select groups by',
  )

function analyzeCase(node: CaseSyntax, around: Surroundings): Expr {
  const { report } = around
  const subject = node.subject === undefined ? undefined : analyze(node.subject, around)
  const whens = node.branches.map(branch => {
    const when = analyze(branch.when, around)
    return attemptExpr(report, () =>
      subject === undefined
        ? checkArgument(when, 'boolean', 'the condition of a case', report)
        : comparison('eq', [subject, when], branch.when.span, report),
    )
  })
  const results = node.branches.map(branch => analyze(branch.then, around))
  if (node.otherwise !== undefined) results.push(analyze(node.otherwise, around))
  if (whens.some(isFailed) || results.some(isFailed)) return failed
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
