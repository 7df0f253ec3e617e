/**
 * Prints syntax trees and typed expressions as sydraQL.
 *
 * Invariants:
 * 1. Parsing what is printed of a syntax tree gives that tree again, but for spans.
 * 2. Parentheses stand only where the grammar needs them.
 */
import type {
  CallSyntax,
  CountSyntax,
  FillSyntax,
  InsertStatement,
  JoinSyntax,
  LiteralSyntax,
  SelectStatement,
  SourceSyntax,
  Statement,
  SyntaxExpr,
} from './ast.ts'
import type { Expr, Literal } from './expression.ts'
import { levels, symbols } from './precedence.ts'
import { formatDuration, formatMonths, formatTimestamp } from './times.ts'
import { reservedWords } from './tokens.ts'

const unaryLevel = levels.product + 1
const castLevel = unaryLevel + 1

/**
 * @example
 * formatExpr(parse('select (a+1)*2').statement.items[0].expr) // '(a + 1) * 2'
 */
export const formatExpr = (expr: Expr | SyntaxExpr): string => print(expr, 0)

/** The node, in parentheses when it binds looser than `level`. */
function print(expr: Expr | SyntaxExpr, level: number): string {
  switch (expr.kind) {
    case 'literal': {
      const text = formatLiteral(expr)
      return text.startsWith('-') && level > unaryLevel ? `(${text})` : text
    }
    case 'name':
      return expr.parts.map(formatName).join('.')
    case 'column':
      return expr.name
    case 'parameter':
      return `$${expr.index}`
    case 'now':
      return 'now()'
    case 'star':
      return '*'
    case 'case':
      return formatCase(expr)
    case 'operator':
      return printOperator(expr.name, expr.args, level, false)
    case 'call':
      if (isOperator(expr.name) && !('nameSpan' in expr)) return printOperator(expr.name, expr.args, level, true)
      return formatCall(expr)
  }
}

const isOperator = (name: string): boolean =>
  name in symbols || name === 'not' || name === 'neg' || name === 'in' || name === 'is_null' || name.startsWith('cast_')

function formatCall(call: CallSyntax | Extract<Expr, { kind: 'call' }>): string {
  if ('nameSpan' in call) {
    return `${formatName(call.name)}(${call.distinct ? 'distinct ' : ''}${call.args.map(formatExpr).join(', ')})`
  }
  if (call.name === 'count' && call.args.length === 0) return 'count(*)'
  if (call.name === 'count_distinct') return `count(distinct ${call.args.map(formatExpr).join(', ')})`
  const [width, ...rest] = call.args
  if (call.name === 'time_bucket' && width?.kind === 'literal' && width.type === 'string') {
    // In the typed tree a calendar width is text.
    return `time_bucket(${[width.value, ...rest.map(formatExpr)].join(', ')})`
  }
  return `${formatName(call.name)}(${call.args.map(formatExpr).join(', ')})`
}

function printOperator(name: string, args: readonly (Expr | SyntaxExpr)[], level: number, typed: boolean): string {
  const wrap = (own: number, text: string): string => (own < level ? `(${text})` : text)
  const [first, second, third] = args
  if (name === 'and' || name === 'or') {
    const own = levels[name]
    // The typed tree balances long chains; they print as they were written.
    const parts = typed ? chain(name, args as readonly Expr[]) : args
    return wrap(own, parts.map(part => print(part, own + 1)).join(` ${name} `))
  }
  switch (name) {
    case 'not':
      return printNot(first!, wrap, typed)
    case 'neg': {
      const inner = print(first!, unaryLevel)
      return wrap(unaryLevel, inner.startsWith('-') ? `-(${inner})` : `-${inner}`)
    }
    case 'is_null':
      return wrap(levels.comparison, `${print(first!, levels.sum)} is null`)
    case 'in':
      return wrap(levels.comparison, `${print(first!, levels.sum)} in ${list(args)}`)
    case 'between':
      return wrap(levels.comparison, `${print(first!, levels.sum)} between ${range(second!, third!)}`)
    case 'regex_match':
      return wrap(levels.comparison, `${print(first!, levels.sum)} =~ ${printPattern(second!, typed)}`)
    default:
      if (name.startsWith('cast_')) return wrap(castLevel, `${print(first!, castLevel)}::${name.slice(5)}`)
  }
  const { symbol, level: own } = symbols[name]!
  const leftLevel = own === levels.comparison ? own + 1 : own
  return wrap(own, `${print(first!, leftLevel)} ${symbol} ${print(second!, own + 1)}`)
}

/** `not`, written into the test where the language has a form for it. */
function printNot(inner: Expr | SyntaxExpr, wrap: (own: number, text: string) => string, typed: boolean): string {
  if ((inner.kind === 'call' && !('nameSpan' in inner)) || inner.kind === 'operator') {
    const [first, second, third] = inner.args
    const left = () => print(first!, levels.sum)
    if (inner.name === 'is_null') return wrap(levels.comparison, `${left()} is not null`)
    if (inner.name === 'in') return wrap(levels.comparison, `${left()} not in ${list(inner.args)}`)
    if (inner.name === 'between') return wrap(levels.comparison, `${left()} not between ${range(second!, third!)}`)
    if (inner.name === 'like' || inner.name === 'ilike') {
      return wrap(levels.comparison, `${left()} not ${inner.name} ${print(second!, levels.sum)}`)
    }
    if (inner.name === 'regex_match') return wrap(levels.comparison, `${left()} !~ ${printPattern(second!, typed)}`)
  }
  return wrap(levels.not, `not ${print(inner, levels.not)}`)
}

const list = (args: readonly (Expr | SyntaxExpr)[]): string => `(${args.slice(1).map(formatExpr).join(', ')})`
const range = (low: Expr | SyntaxExpr, high: Expr | SyntaxExpr): string =>
  `${print(low, levels.sum)} and ${print(high, levels.sum)}`

/** In the typed tree a pattern is text; between slashes it reads as it was written. */
function printPattern(pattern: Expr | SyntaxExpr, typed: boolean): string {
  const isText = pattern.kind === 'literal' && pattern.type === 'string'
  return typed && isText && /^(?:[^/\\\n\r]|\\[^\n\r])+$/.test(String(pattern.value))
    ? `/${pattern.value}/`
    : print(pattern, levels.sum)
}

function chain(name: string, args: readonly Expr[]): Expr[] {
  return args.flatMap(arg => (arg.kind === 'call' && arg.name === name ? chain(name, arg.args) : [arg]))
}

function formatCase(expr: Extract<Expr | SyntaxExpr, { kind: 'case' }>): string {
  const parts = ['case']
  if ('subject' in expr && expr.subject !== undefined) parts.push(formatExpr(expr.subject))
  for (const { when, then } of expr.branches) parts.push(`when ${formatExpr(when)} then ${formatExpr(then)}`)
  if (expr.otherwise !== undefined) parts.push(`else ${formatExpr(expr.otherwise)}`)
  return `${parts.join(' ')} end`
}

function formatLiteral({ type, value }: Literal | LiteralSyntax): string {
  if (value === null) return 'null'
  switch (type) {
    case 'string':
      return formatText(String(value))
    case 'regex':
      return `/${value}/`
    case 'timestamp':
      return formatTimestamp(Number(value))
    case 'duration':
      return formatDuration(Number(value))
    case 'calendar':
      return formatMonths(Number(value))
    case 'float':
      return formatFloat(Number(value))
    case 'integer':
      return Object.is(value, -0) ? '-0' : String(value)
    default:
      return String(value)
  }
}

function formatFloat(value: number): string {
  if (Number.isNaN(value)) return "'NaN'"
  if (!Number.isFinite(value)) return value > 0 ? '1e999' : '-1e999'
  const text = Object.is(value, -0) ? '-0' : String(value)
  return /[.e]/.test(text) ? text : `${text}.0`
}

export const formatText = (text: string): string => `'${text.replaceAll("'", "''")}'`

const reserved = new Set(reservedWords)

/** Quoted where it would not read as a name. */
export const formatName = (name: string): string =>
  /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !reserved.has(name.toLowerCase()) ? name : `"${name.replaceAll('"', '""')}"`

// ---- statements -----------------------------------------------------------------------------------------------------

/** A statement as one line. */
export function formatStatement(statement: Statement): string {
  switch (statement.kind) {
    case 'explain': {
      const { analyze, format } = statement
      return clauses('explain', analyze && 'analyze', format === 'json' && 'json', formatStatement(statement.statement))
    }
    case 'show':
      return clauses(
        `show ${statement.subject}`,
        statement.from && `from ${formatName(statement.from.name)}`,
        statement.where && `where ${formatExpr(statement.where)}`,
        formatCount('limit', statement.limit),
      )
    case 'select':
      return formatSelect(statement)
    case 'insert':
      return formatInsert(statement)
    case 'delete':
      return `delete from ${formatName(statement.metric.name)} where ${formatExpr(statement.where)}`
  }
}

function formatSelect(select: SelectStatement): string {
  const items = select.items.map(item => `${formatExpr(item.expr)}${formatAlias(item.alias)}`)
  const orders = select.orderBy.map(({ expr, descending, nulls }) => {
    return `${formatExpr(expr)}${descending ? ' desc' : ''}${nulls === undefined ? '' : ` nulls ${nulls}`}`
  })
  return clauses(
    `select ${select.distinct ? 'distinct ' : ''}${items.join(', ')}`,
    select.source && `from ${formatSource(select.source)}`,
    ...select.joins.map(formatJoin),
    select.where && `where ${formatExpr(select.where)}`,
    select.groupBy.length > 0 && `group by ${select.groupBy.map(formatExpr).join(', ')}`,
    select.having && `having ${formatExpr(select.having)}`,
    select.fill && `fill(${formatFill(select.fill)})`,
    orders.length > 0 && `order by ${orders.join(', ')}`,
    formatCount('limit', select.limit),
    select.limitPer && `per ${formatExpr(select.limitPer)}`,
    formatCount('offset', select.offset),
  )
}

const clauses = (...parts: (string | false | undefined)[]): string => parts.filter(part => part).join(' ')

const formatAlias = (alias: string | undefined): string => (alias === undefined ? '' : ` as ${formatName(alias)}`)

function formatSource(source: SourceSyntax): string {
  const asOf = 'asOf' in source && source.asOf !== undefined ? ` as of ${formatText(source.asOf.ref)}` : ''
  const alias = asOf + formatAlias(source.alias)
  switch (source.kind) {
    case 'metric':
      return formatName(source.name) + alias
    case 'series':
      return `by_id(${formatText(source.id)})${alias}`
    case 'regex':
      return `/${source.pattern}/${alias}`
    case 'query':
      return `(${formatSelect(source.select)})${alias}`
  }
}

const formatJoin = ({ source, withinUs }: JoinSyntax): string =>
  `join ${formatSource(source)} on time${withinUs === 0 ? '' : ` within ${formatDuration(withinUs)}`}`

const formatCount = (word: string, count: CountSyntax | undefined): string | undefined =>
  count && `${word} ${formatExpr(count)}`

function formatFill({ mode, lookbackUs, value }: FillSyntax): string {
  if (mode === 'constant') return formatFloat(value!).replace(/\.0$/, '')
  return lookbackUs === undefined ? mode : `${mode}, ${formatDuration(lookbackUs)}`
}

function formatInsert({ metric, tags, fields, rows }: InsertStatement): string {
  const tagList = tags.map(({ key, value }) => `${formatName(key.name)} = ${formatExpr(value)}`)
  const rowList = rows.map(({ time, values }) => `(${[time, ...values].map(formatExpr).join(', ')})`)
  return clauses(
    `insert into ${formatName(metric.name)}`,
    tags.length > 0 && `(${tagList.join(', ')})`,
    fields && `fields (${fields.map(field => formatName(field.name)).join(', ')})`,
    `values ${rowList.join(', ')}`,
  )
}
