/**
 * The names a half-written statement can use: found in its tokens, as no tree can be made of it yet.
 *
 *   select usage u, | from cpu c join (select avg(used) used from mem) m on time
 *     columns: c.time, c.tag.host, c.usage, …, m.used;   aliases: u
 */
import { type IToken, tokenMatcher } from 'chevrotain'
import { RE2JS } from 're2js'
import type { MetricInfo } from '../../storage/types.ts'
import { formatName } from '../format.ts'
import { type QuerySchema, sortedFields } from '../schema.ts'
import { nameText, stringText } from '../syntax-builder.ts'
import * as t from '../tokens.ts'

/** Metrics whose columns a pattern as the source offers, at most. */
const patternMetricsMax = 100

export interface ColumnName {
  /** `time`, `tag.host`, `usage`. */
  readonly name: string
  /** As it is written in a statement. */
  readonly written: string
  readonly kind: 'column' | 'field' | 'tag'
  readonly detail: string
}
export interface NamedSource {
  /** The alias, or the metric's name; undefined for a pattern without alias. */
  readonly qualifier: string | undefined
  readonly metrics: readonly MetricInfo[]
  readonly columns: readonly ColumnName[]
}
/** The innermost statement or sub-select around a token, by the places of its tokens. */
interface Around {
  /** Behind its first word. */
  readonly start: number
  readonly end: number
  readonly first: IToken | undefined
}

export interface Names {
  /** The statement's first word: `select`, `insert`, …; undefined when it is missing. */
  readonly statement: IToken | undefined
  /** The last clause word before the cursor. */
  readonly clause: IToken | undefined
  readonly sources: readonly NamedSource[]
  /** Of the select list. */
  readonly aliases: readonly string[]
}

export function namesAround(tokens: readonly IToken[], at: number, schema: QuerySchema): Names {
  const around = statementAround(tokens, at)
  let clause: IToken | undefined
  for (const index of topLevel(tokens, around)) {
    if (index < at && clauseWords.has(tokens[index]!.tokenType)) clause = tokens[index]
  }
  const items = itemsOf(tokens, around)
  return {
    statement: around.first,
    clause,
    sources: sourcesOf(tokens, around, schema),
    aliases: items.map(item => item.alias).filter(alias => alias !== undefined),
  }
}

const clauseWords: ReadonlySet<unknown> = new Set([
  ...[t.From, t.Where, t.Group, t.Having, t.Fill, t.Order, t.Limit, t.Per, t.Offset, t.Values, t.Fields],
])
const firstWords: ReadonlySet<unknown> = new Set([t.Select, t.Insert, t.Delete, t.Show])

function statementAround(tokens: readonly IToken[], at: number): Around {
  let depth = 0
  for (let index = Math.min(at, tokens.length) - 1; index >= 0; index--) {
    const { tokenType } = tokens[index]!
    if (tokenType === t.RightParen) depth++
    else if (tokenType === t.LeftParen) depth = Math.max(0, depth - 1)
    else if (depth === 0 && tokenType === t.Select) return bounds(tokens, index)
  }
  const first = tokens.findIndex(token => firstWords.has(token.tokenType))
  return first >= 0 && first < 3 && first < at
    ? bounds(tokens, first)
    : { start: 0, end: tokens.length, first: undefined }
}

/** Up to the parenthesis that closes it. */
function bounds(tokens: readonly IToken[], first: number): Around {
  let depth = 0
  let end = first + 1
  for (; end < tokens.length && depth >= 0; end++) {
    if (tokens[end]!.tokenType === t.LeftParen) depth++
    else if (tokens[end]!.tokenType === t.RightParen && --depth < 0) break
  }
  return { start: first + 1, end, first: tokens[first] }
}

/** The tokens outside its parentheses, by index. */
function* topLevel(tokens: readonly IToken[], { start, end }: Around): Generator<number> {
  let depth = 0
  for (let index = start; index < end; index++) {
    const { tokenType } = tokens[index]!
    if (tokenType === t.RightParen) depth--
    if (depth === 0) yield index
    if (tokenType === t.LeftParen) depth++
  }
}

// ---- sources --------------------------------------------------------------------------------------------------------

function sourcesOf(tokens: readonly IToken[], around: Around, schema: QuerySchema): NamedSource[] {
  const found: NamedSource[] = []
  for (const index of topLevel(tokens, around)) {
    const { tokenType } = tokens[index]!
    if (tokenType !== t.From && tokenType !== t.Join && tokenType !== t.Into) continue
    const source = sourceAt(tokens, index + 1, schema)
    if (source !== undefined) found.push(source)
  }
  return found
}

function sourceAt(tokens: readonly IToken[], at: number, schema: QuerySchema): NamedSource | undefined {
  const first = tokens[at]
  if (first === undefined) return undefined
  if (first.tokenType === t.LeftParen) {
    if (tokens[at + 1]?.tokenType !== t.Select) return undefined
    const inner = bounds(tokens, at + 1)
    return { qualifier: aliasAt(tokens, inner.end + 1), metrics: [], columns: outputsOf(tokens, inner, schema) }
  }
  if (first.tokenType === t.Regex) {
    return ofMetrics(matching(first.image.slice(1, -1), schema), aliasAt(tokens, at + 1), schema)
  }
  if (first.tokenType === t.ById && tokens[at + 1]?.tokenType === t.LeftParen) {
    const id = tokens[at + 2]
    const series = id?.tokenType === t.Text ? schema.seriesById(stringText(id)) : undefined
    return ofMetrics(series === undefined ? [] : [schema.metricOf(series)], aliasAt(tokens, at + 4), schema)
  }
  const end = dottedEnd(tokens, at)
  if (end === at) return undefined
  const name = nameOf(tokens, at, end)
  const metric = schema.metric(name)
  return ofMetrics(metric === undefined ? [] : [metric], aliasAt(tokens, end) ?? name, schema)
}

/** Behind the dotted name that begins at `at`. */
function dottedEnd(tokens: readonly IToken[], at: number): number {
  if (tokens[at] === undefined || !tokenMatcher(tokens[at], t.Name)) return at
  let end = at + 1
  while (tokens[end]?.tokenType === t.Dot && tokens[end + 1] !== undefined && tokenMatcher(tokens[end + 1]!, t.Word)) {
    end += 2
  }
  return end
}
const nameOf = (tokens: readonly IToken[], start: number, end: number): string =>
  tokens
    .slice(start, end)
    .filter(token => token.tokenType !== t.Dot)
    .map(nameText)
    .join('.')

function aliasAt(tokens: readonly IToken[], at: number): string | undefined {
  const isAs = tokens[at]?.tokenType === t.As
  const name = tokens[isAs ? at + 1 : at]
  return name !== undefined && tokenMatcher(name, isAs ? t.Name : t.BareAlias) ? nameText(name) : undefined
}

function matching(pattern: string, schema: QuerySchema): MetricInfo[] {
  try {
    const compiled = RE2JS.compile(pattern)
    return schema
      .metrics()
      .filter(metric => compiled.matcher(metric.name).find())
      .slice(0, patternMetricsMax)
  } catch {
    // Not a regex (yet): it names nothing.
    return []
  }
}

// ---- columns --------------------------------------------------------------------------------------------------------

function ofMetrics(metrics: readonly MetricInfo[], qualifier: string | undefined, schema: QuerySchema): NamedSource {
  const columns = new Map<string, ColumnName>()
  const add = (name: string, written: string, kind: ColumnName['kind'], detail: string): void => {
    if (!columns.has(name)) columns.set(name, { name, written, kind, detail })
  }
  if (metrics.length > 0) {
    add('time', 'time', 'column', 'timestamp')
    add('series', 'series', 'column', 'string')
    add('series_id', 'series_id', 'column', 'string')
  }
  for (const metric of metrics) {
    for (const key of schema.tagKeys(metric.id))
      add(`tag.${key}`, `tag.${formatName(key)}`, 'tag', `tag of ${metric.name}`)
    for (const { name, type } of sortedFields(metric)) add(name, fieldText(name), 'field', `${type} of ${metric.name}`)
  }
  return { qualifier, metrics, columns: [...columns.values()] }
}

/** A field is written by its name alone unless that means something else. */
function fieldText(name: string): string {
  const isOther = /^(?:time|series|series_id)$|^(?:tag|field)\./.test(name)
  return `${isOther ? 'field.' : ''}${name.split('.').map(formatName).join('.')}`
}

interface Item {
  readonly alias: string | undefined
  /** Of a bare name, as written. */
  readonly name: string | undefined
  readonly isStar: boolean
}

/** The select list, up to `from`. */
function itemsOf(tokens: readonly IToken[], around: Around): Item[] {
  if (around.first?.tokenType !== t.Select) return []
  const found: Item[] = []
  let start = tokens[around.start]?.tokenType === t.Distinct ? around.start + 1 : around.start
  let end = around.end
  for (const index of topLevel(tokens, around)) {
    const { tokenType } = tokens[index]!
    if (tokenType === t.Comma) {
      found.push(itemOf(tokens, start, index))
      start = index + 1
    } else if (clauseWords.has(tokenType) && tokenType !== t.Values && tokenType !== t.Fields) {
      end = index
      break
    }
  }
  return [...found, itemOf(tokens, start, end)]
}

function itemOf(tokens: readonly IToken[], start: number, end: number): Item {
  const last = tokens[end - 1]
  const before = tokens[end - 2]
  const dotted = dottedEnd(tokens, start)
  const name = dotted > start && dotted >= end - 2 ? nameOf(tokens, start, Math.min(dotted, end)) : undefined
  const isStar = last?.tokenType === t.Star && end - start === 1
  if (end - start < 2 || last === undefined || before === undefined) return { alias: undefined, name, isStar }
  const isAlias =
    before.tokenType === t.As
      ? tokenMatcher(last, t.Name)
      : tokenMatcher(last, t.BareAlias) && endsOperand(before) && dotted !== end
  return { alias: isAlias ? nameText(last) : undefined, name, isStar }
}

const operandEnds: ReadonlySet<unknown> = new Set([
  ...[t.RightParen, t.Text, t.Integer, t.Decimal, t.Duration, t.Timestamp, t.Parameter, t.Regex],
  ...[t.Null, t.True, t.False, t.End],
])
const endsOperand = (token: IToken): boolean => operandEnds.has(token.tokenType) || tokenMatcher(token, t.Name)

/** The columns a sub-select has outside. */
function outputsOf(tokens: readonly IToken[], around: Around, schema: QuerySchema): ColumnName[] {
  const sources = sourcesOf(tokens, around, schema)
  return itemsOf(tokens, around).flatMap(({ alias, name, isStar }): ColumnName[] => {
    if (isStar) return sources.flatMap(source => source.columns.filter(column => !/^series(?:_id)?$/.test(column.name)))
    const shown = alias ?? name
    if (shown === undefined) return []
    const written = shown.split('.').map(formatName).join('.')
    return [{ name: shown, written, kind: 'column', detail: 'column of the sub-select' }]
  })
}
