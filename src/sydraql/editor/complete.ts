/**
 * What may stand at the cursor: keywords by the grammar, names by the schema and the statement around.
 *
 *   text, offset -> cursor -> tokens the grammar allows -> keywords
 *                                                       -> a name is allowed: whose? -> metrics, columns, functions, …
 *
 * Invariants:
 * 1. Any text and offset give an answer; a broken text gives a likely one.
 * 2. Items are in a fixed order: those that begin with what is written first, then by kind, then by label.
 */
import { createTokenInstance, type IToken, type TokenType } from 'chevrotain'
import { compareUtf8 } from '../../lib/text.ts'
import { formatName, formatText } from '../format.ts'
import type { FunctionKind } from '../functions/types.ts'
import { callableNames, functionInfo, signature } from '../functions.ts'
import type { Allowed } from '../grammar-follow.ts'
import { begins, followOf } from '../parse.ts'
import { keywordsOf, keywordText } from '../parse-messages.ts'
import { type QuerySchema, showSchemas, sortedFields } from '../schema.ts'
import { castTypes, showSubjects } from '../syntax-builder.ts'
import * as t from '../tokens.ts'
import { type Cursor, cursorAt } from './cursor.ts'
import { type Names, namesAround } from './names.ts'

/** UTF-16 units of a text that is completed; a longer one gets no items. */
const completeLengthMax = 64 * 1024
/** Items of one answer. */
export const completionsMax = 200

/** What may stand at the cursor. */
export interface CompletionItem {
  /** What it is called: `tag.host`, `avg`, `group by`. */
  readonly label: string
  readonly kind: 'keyword' | 'metric' | 'field' | 'tag' | 'function' | 'column' | 'snapshot'
  /** The text to put in place of `from..to`. */
  readonly insert: string
  /** A type, or a function's kind and signature. */
  readonly detail?: string
  readonly documentation?: string
}
/** All that may stand at the cursor: what begins with what is written first, then by kind, then by label. */
export interface Completion {
  /** The word to replace, in UTF-16 units from 0. */
  readonly from: number
  readonly to: number
  readonly items: readonly CompletionItem[]
  /** There are more than these 200: ask again when more is written. */
  readonly isIncomplete: boolean
}

/**
 * @example
 * complete('select us| from cpu'.replace('|', ''), 9, schema).items[0] // { label: 'usage', kind: 'field', … }
 *
 * @param snapshots names of those that there are
 */
export function complete(
  text: string,
  offset: number,
  schema: QuerySchema,
  snapshots: () => Iterable<string> = () => [],
): Completion {
  const place = Math.min(Math.max(0, Math.trunc(offset) || 0), text.length)
  const nothing: Completion = { from: place, to: place, items: [], isIncomplete: false }
  const cursor = text.length > completeLengthMax ? undefined : cursorAt(text, place)
  if (cursor === undefined) return nothing
  const before = cursor.tokens.slice(0, cursor.at)
  const next = followOf(before)
  if (next === undefined) return nothing
  const keywords = keywordsOf(next.allowed)
  const operators = next.allowed.some(({ type }) => type === t.Infix) ? [...keywords, t.And, t.Or] : keywords
  const words = next.isExact ? fitting(operators, before) : operators
  const found = [...words.map(type => keyword(keywordText(type))), ...named(next.allowed, cursor, before, text, schema)]
  if (next.allowed.some(({ type, rule }) => type === t.Text && rule === 'asOf'))
    for (const name of snapshots()) found.push(item(name, 'snapshot', formatText(name), 'snapshot'))
  const items = matching(found, cursor.prefix)
  return {
    from: cursor.from,
    to: cursor.to,
    items: items.slice(0, completionsMax),
    isIncomplete: items.length > completionsMax,
  }
}

const keyword = (label: string): CompletionItem => ({ label, kind: 'keyword', insert: label })

const token = (type: TokenType): IToken => createTokenInstance(type, type.LABEL ?? '', 0, 0, 1, 1, 1, 1)
const operand = token(t.Null)
const andTest = [token(t.And), operand]
const betweenTest = [token(t.Between), operand, ...andTest]

/** Operators that are words, each with tokens that tell whether it fits: what may follow goes by their levels. */
const operatorTests: ReadonlyMap<TokenType, readonly IToken[]> = new Map([
  [t.And, andTest],
  [t.Or, [token(t.Or), operand]],
  [t.Is, [token(t.Is), operand]],
  ...[t.Between, t.In, t.Like, t.Ilike].map(type => [type, betweenTest] as const),
])

/** Without the operators that do not fit where they would stand, as in `a = b is null`: the parser itself is asked. */
function fitting(types: readonly TokenType[], before: readonly IToken[]): TokenType[] {
  const isBehindOperand = types.includes(t.Between)
  const tests = new Map(operatorTests).set(t.Not, isBehindOperand ? betweenTest : [token(t.Not), operand])
  if (!types.some(type => tests.has(type))) return [...types]
  // What is wrong before is no reason to offer nothing.
  if (!begins(isBehindOperand ? before : [...before, operand])) return [...types]
  const answers = new Map<readonly IToken[], boolean>()
  return types.filter(type => {
    const test = tests.get(type)
    if (test === undefined) return true
    return answers.get(test) ?? answers.set(test, begins([...before, ...test])).get(test)!
  })
}

/** Names for each rule that takes one. */
function named(
  allowed: readonly Allowed[],
  cursor: Cursor,
  before: readonly IToken[],
  text: string,
  schema: QuerySchema,
): CompletionItem[] {
  const names = namesAround(cursor.tokens, cursor.at, schema)
  const call = text[cursor.to] === '(' ? '' : '('
  const found: CompletionItem[] = []
  const done = new Set<string>()
  for (const { type, rule, callers } of allowed) {
    if (type !== t.Name) continue
    for (const taker of rule === 'dottedName' ? callers : [rule]) {
      if (done.has(taker)) continue
      done.add(taker)
      found.push(...namesFor(taker, { names, prefix: cursor.prefix, before, call, schema }))
    }
  }
  return found
}

interface Situation {
  readonly names: Names
  readonly prefix: string
  readonly before: readonly IToken[]
  /** What follows a function's name. */
  readonly call: string
  readonly schema: QuerySchema
}

function namesFor(rule: string, situation: Situation): CompletionItem[] {
  const { names, before, schema } = situation
  const metrics = names.sources.flatMap(source => source.metrics)
  switch (rule) {
    case 'metricSource':
    case 'metricName':
      return metricItems(schema)
    case 'showStatement':
      return before[before.length - 1]?.tokenType === t.From ? metricItems(schema) : showSubjects.map(keyword)
    case 'insertTag':
      return metrics.flatMap(({ id, name }) =>
        schema.tagKeys(id).map(key => item(key, 'tag', formatName(key), `tag of ${name}`)),
      )
    case 'insertField':
      return metrics.flatMap(metric =>
        sortedFields(metric).map(({ name, type }) =>
          item(name, 'field', formatName(name), `${type} of ${metric.name}`),
        ),
      )
    case 'operand':
    case 'callArguments':
      return [...castTypes.keys()].map(keyword)
    case 'nameOrCall':
      return [...columnItems(situation), ...functionItems(situation)]
    default:
      return []
  }
}

const item = (label: string, kind: CompletionItem['kind'], insert: string, detail: string): CompletionItem => ({
  label,
  kind,
  insert,
  detail,
})

const metricItems = (schema: QuerySchema): CompletionItem[] =>
  schema.metrics().map(({ name, fields }) => {
    const detail = fields.length === 1 ? '1 field' : `${fields.length} fields`
    return item(name, 'metric', name.split('.').map(formatName).join('.'), detail)
  })

/** Clauses that may use the aliases of the select list. */
const aliasClauses: ReadonlySet<TokenType | undefined> = new Set([t.Group, t.Having, t.Order, t.Per])

function columnItems({ names, prefix, before }: Situation): CompletionItem[] {
  const { statement, clause, sources, aliases } = names
  if (statement?.tokenType === t.Insert) return []
  if (statement?.tokenType === t.Show) {
    const subject = showSubjects.find(known => known === shownSubject(before))
    return subject === undefined ? [] : showSchemas[subject].map(({ name, type }) => item(name, 'column', name, type))
  }
  const found = aliasClauses.has(clause?.tokenType)
    ? aliases.map(alias => item(alias, 'column', formatName(alias), 'alias'))
    : []
  for (const { qualifier, columns } of sources) {
    const written = qualifier?.split('.').map(formatName).join('.')
    const isQualified = qualifier !== undefined && (sources.length > 1 || prefix.startsWith(`${qualifier}.`))
    for (const column of columns) {
      if (statement?.tokenType === t.Delete && column.kind === 'field') continue
      const lead = isQualified ? `${qualifier}.` : ''
      const insert = isQualified ? `${written}.${column.written}` : column.written
      found.push(item(lead + column.name, column.kind, insert, column.detail))
    }
  }
  return found
}

function shownSubject(before: readonly IToken[]): string | undefined {
  const at = before.findIndex(token => token.tokenType === t.Show)
  return before[at + 1]?.image.toLowerCase()
}

/** Kinds of functions that a clause may not hold. */
function excludedKinds({ statement, clause }: Names): ReadonlySet<FunctionKind> {
  if (statement?.tokenType !== t.Select && statement !== undefined) return new Set(['aggregate', 'window'])
  switch (clause?.tokenType) {
    case t.Where:
    case t.Group:
      return new Set(['aggregate', 'window'])
    case t.Having:
      return new Set(['window'])
    default:
      return new Set()
  }
}

function functionItems({ names, call }: Situation): CompletionItem[] {
  const excluded = excludedKinds(names)
  return callableNames.flatMap(name => {
    const info = functionInfo(name)!
    if (excluded.has(info.kind)) return []
    const kind = info.kind === 'aggregate' || info.kind === 'window' ? info.group : 'function'
    const parens = call !== '' && info.parameters.length === 0 ? '()' : call
    return [
      {
        label: name,
        kind: 'function' as const,
        insert: name + parens,
        detail: `${kind}: ${signature(info)}`,
        documentation: `${info.description}\n\n${info.example}`,
      },
    ]
  })
}

const kindOrder: readonly CompletionItem['kind'][] = [
  'metric',
  'column',
  'field',
  'tag',
  'function',
  'snapshot',
  'keyword',
]

/** Those that begin with what is written, or one of whose parts does, without regard to case. */
function matching(items: readonly CompletionItem[], prefix: string): CompletionItem[] {
  const wanted = prefix.toLowerCase()
  const ranked: { readonly item: CompletionItem; readonly rank: number }[] = []
  const seen = new Set<string>()
  for (const item of items) {
    const key = `${item.kind} ${item.label}`
    if (seen.has(key)) continue
    seen.add(key)
    const label = item.label.toLowerCase()
    const isPart = !label.startsWith(wanted)
    if (isPart && !label.includes(`.${wanted}`)) continue
    ranked.push({ item, rank: (isPart ? kindOrder.length : 0) + kindOrder.indexOf(item.kind) })
  }
  return ranked.sort((a, b) => a.rank - b.rank || compareUtf8(a.item.label, b.item.label)).map(each => each.item)
}
