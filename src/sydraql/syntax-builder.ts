/**
 * Makes syntax nodes from tokens for the parser, and counts what it makes.
 *
 * Invariants:
 * 1. At most `queryNodesMax` nodes and `nestingDepthMax` levels of recursion, else `query_too_complex`.
 * 2. `?` and `$n` are not mixed in one statement.
 */
import type { IToken } from '@chevrotain/types'
import type { ValueType } from '../columnar/batch.ts'
import { didYouMeanHint } from '../lib/did-you-mean.ts'
import type { SydraError } from '../lib/errors.ts'
import type { LiteralSyntax, NameSyntax, ParameterSyntax, StarSyntax, SyntaxExpr } from './ast.ts'
import type { Span } from './expression.ts'
import { nestingDepthMax, parametersMax, queryNodesMax, sourcesMax } from './limits.ts'
import type { ShowSubject } from './plan.ts'
import { problem, syntaxProblem } from './problem.ts'
import { parseDuration, parseTimestamp } from './times.ts'
import * as t from './tokens.ts'

export const spanOf = (token: IToken): Span => ({
  start: token.startOffset,
  end: token.startOffset + token.image.length,
})
export const spanFrom = (first: Span, last: Span): Span => ({ start: first.start, end: last.end })

/** The name a word or quoted identifier stands for. */
export const nameText = (token: IToken): string =>
  token.tokenType === t.QuotedIdentifier ? token.image.slice(1, -1).replaceAll('""', '"') : token.image

/** The content of a string literal. */
export const stringText = (token: IToken): string => token.image.slice(1, -1).replaceAll("''", "'")

export interface CallTokens {
  readonly name: IToken
  readonly args: readonly SyntaxExpr[]
  readonly distinct: boolean
  /** The `as` or `from` between the arguments. */
  readonly word: IToken | undefined
  /** The type after `as`. */
  readonly type: IToken | undefined
  readonly end: IToken
}

export const showSubjects: readonly ShowSubject[] = [
  'metrics',
  'series',
  'tags',
  'fields',
  'segments',
  'rollups',
  'functions',
  'settings',
]

/** Type names in casts, with the usual names of PostgreSQL. */
export const castTypes: ReadonlyMap<string, ValueType> = new Map<string, ValueType>([
  ['float', 'float'],
  ['double', 'float'],
  ['real', 'float'],
  ['float8', 'float'],
  ['numeric', 'float'],
  ['integer', 'integer'],
  ['int', 'integer'],
  ['bigint', 'integer'],
  ['int8', 'integer'],
  ['boolean', 'boolean'],
  ['bool', 'boolean'],
  ['string', 'string'],
  ['text', 'string'],
  ['varchar', 'string'],
  ['timestamp', 'timestamp'],
  ['timestamptz', 'timestamp'],
  ['duration', 'duration'],
  ['interval', 'duration'],
])

/** Fields in a message at most. */
const listedFieldsMax = 20

/** What is missing, in words of its own: told when the parser stops at this very token. */
interface Note {
  readonly token: IToken
  readonly message: string
  readonly hint: string | undefined
}

export class SyntaxBuilder {
  readonly text: string
  note: Note | undefined
  #nodes = 0
  #sources = 0
  #depth = 0
  #positional = 0
  #numbered = 0

  constructor(text: string) {
    this.text = text
  }

  /** The number of parameters seen: `?` counted, or the highest `$n`. */
  get parameterCount(): number {
    return Math.max(this.#positional, this.#numbered)
  }

  enter(at: IToken): void {
    if (++this.#depth > nestingDepthMax) throw this.tooDeep(spanOf(at))
  }
  leave(): void {
    this.#depth--
  }
  tooDeep(span: Span): SydraError {
    return problem('query_too_complex', `expressions are nested deeper than ${nestingDepthMax} levels`, this.text, span)
  }

  #count(span: Span): void {
    if (++this.#nodes > queryNodesMax) {
      const message = `the query has more than ${queryNodesMax} expressions`
      throw problem('query_too_complex', message, this.text, span, 'split it into several statements')
    }
  }
  countSource(span: Span): void {
    if (++this.#sources > sourcesMax) {
      throw problem('query_too_complex', `the query has more than ${sourcesMax} sources`, this.text, span)
    }
  }

  fail(message: string, span: Span, hint?: string): never {
    throw syntaxProblem(message, this.text, span, hint)
  }

  literal(type: LiteralSyntax['type'], value: LiteralSyntax['value'], token: IToken): LiteralSyntax {
    const span = spanOf(token)
    this.#count(span)
    return { kind: 'literal', type, value, span }
  }
  integer(token: IToken): LiteralSyntax {
    const value = Number(token.image)
    return Number.isSafeInteger(value) || (value === 2 ** 53 && BigInt(token.image) === 2n ** 53n)
      ? this.literal('integer', value, token)
      : this.literal('digits', token.image, token)
  }
  duration(token: IToken): LiteralSyntax {
    const parsed = parseDuration(token.image)
    if (parsed === undefined) {
      this.fail('a duration is either of fixed length or of whole months, and exact in a number', spanOf(token))
    }
    return parsed.months > 0
      ? this.literal('calendar', parsed.months, token)
      : this.literal('duration', parsed.us, token)
  }
  timestamp(token: IToken): LiteralSyntax {
    const us = parseTimestamp(token.image)
    if (us === undefined) this.fail(`"${token.image}" is not a time between 1685 and 2255`, spanOf(token))
    return this.literal('timestamp', us, token)
  }

  parameter(token: IToken): ParameterSyntax {
    const span = spanOf(token)
    this.#count(span)
    if (token.image === '?') this.#positional++
    else this.#numbered = Math.max(this.#numbered, Number(token.image.slice(1)))
    if (this.#positional > 0 && this.#numbered > 0) this.fail('use either ? or $1, not both', span)
    const index = token.image === '?' ? this.#positional : Number(token.image.slice(1))
    if (index < 1) this.fail('parameters are numbered from $1', span)
    if (index > parametersMax) this.fail(`there may be at most ${parametersMax} parameters`, span)
    return { kind: 'parameter', index, span }
  }

  /** A literal or parameter: one token. */
  atom(token: IToken): SyntaxExpr {
    switch (token.tokenType) {
      case t.Text:
        return this.literal('string', stringText(token), token)
      case t.Integer:
        return this.integer(token)
      case t.Decimal:
        return this.literal('float', Number(token.image), token)
      case t.Duration:
        return this.duration(token)
      case t.Timestamp:
        return this.timestamp(token)
      case t.Parameter:
        return this.parameter(token)
      case t.Regex:
        return this.literal('regex', token.image.slice(1, -1), token)
      case t.Null:
        return this.literal('null', null, token)
      default:
        return this.literal('boolean', token.tokenType === t.True, token)
    }
  }

  textOrParameter(token: IToken): LiteralSyntax | ParameterSyntax {
    return token.tokenType === t.Text ? this.literal('string', stringText(token), token) : this.parameter(token)
  }

  /** A row of an insert with more or fewer values than it has fields. */
  wrongRow(count: number, fields: readonly string[], span: Span): never {
    const listed = fields.slice(0, listedFieldsMax).join(', ') + (fields.length > listedFieldsMax ? ', …' : '')
    const values = count === 1 ? '1 value' : `${count} values`
    this.fail(`this row has ${values}, expected ${fields.length + 1}: time, ${listed}`, span)
  }

  star(token: IToken): StarSyntax {
    const span = spanOf(token)
    this.#count(span)
    return { kind: 'star', span }
  }
  name(parts: readonly IToken[]): NameSyntax {
    const span = spanFrom(spanOf(parts[0]!), spanOf(parts[parts.length - 1]!))
    this.#count(span)
    return { kind: 'name', parts: parts.map(nameText), span }
  }
  /** A call, or one of the two forms with a word between the arguments. */
  call(written: CallTokens): SyntaxExpr {
    const { name, args, distinct, word, type, end } = written
    const nameSpan = spanOf(name)
    const span = spanFrom(nameSpan, spanOf(end))
    const lower = name.image.toLowerCase()
    if (type !== undefined) {
      if (lower !== 'cast') this.fail(`only cast takes "as" between its arguments`, spanOf(word!))
      return this.castTo(args[0]!, type, span)
    }
    if (lower === 'cast') this.fail('a cast is written cast(value as type)', span)
    if (word !== undefined) {
      if (lower !== 'extract') this.fail(`only extract takes "from" between its arguments`, spanOf(word))
      const part = args[0]!
      if (part.kind !== 'name' || part.parts.length > 1)
        this.fail('extract is written extract(part from time)', part.span)
      const literal: LiteralSyntax = {
        kind: 'literal',
        type: 'string',
        value: part.parts[0]!.toLowerCase(),
        span: part.span,
      }
      return { kind: 'call', name: lower, args: [literal, args[1]!], distinct: false, nameSpan, span }
    }
    this.#count(nameSpan)
    return { kind: 'call', name: nameText(name), args, distinct, nameSpan, span }
  }
  cast(inner: SyntaxExpr, type: IToken): SyntaxExpr {
    return this.castTo(inner, type, { start: inner.span.start, end: spanOf(type).end })
  }
  private castTo(inner: SyntaxExpr, type: IToken, span: Span): SyntaxExpr {
    const target = castTypes.get(nameText(type).toLowerCase())
    if (target === undefined) {
      const hint = didYouMeanHint(type.image, castTypes.keys())
      const names = 'float, integer, boolean, string, timestamp and duration'
      this.fail(`there is no type "${type.image}"; types are ${names}`, spanOf(type), hint)
    }
    return this.operator(`cast_${target}`, [inner], span)
  }
  showSubject(token: IToken): ShowSubject {
    const word = token.image.toLowerCase()
    const subject = showSubjects.find(known => known === word)
    if (subject === undefined) {
      this.fail(`expected one of ${showSubjects.join(', ')}`, spanOf(token), didYouMeanHint(word, showSubjects))
    }
    return subject
  }
  operator(name: string, args: readonly SyntaxExpr[], span: Span): SyntaxExpr {
    this.#count(span)
    return { kind: 'operator', name, args, span }
  }
  not(inner: SyntaxExpr, start: number): SyntaxExpr {
    return this.operator('not', [inner], { start, end: inner.span.end })
  }
  /** `-x`; a negative number is one literal. */
  negative(inner: SyntaxExpr, start: number): SyntaxExpr {
    const span = { start, end: inner.span.end }
    if (inner.kind === 'literal') {
      const { type, value } = inner
      if (type === 'float') return { ...inner, value: -(value as number), span }
      // Whole numbers have no -0.
      if (type === 'integer' || type === 'duration') return { ...inner, value: 0 - (value as number), span }
      if (type === 'digits') return { ...inner, value: negated(value as string), span }
    }
    return this.operator('neg', [inner], span)
  }
}

const negated = (digits: string): string => (digits.startsWith('-') ? digits.slice(1) : `-${digits}`)

/**
 * Throws when the tree is deeper than the limit; needs no stack itself.
 *
 * @param roots expressions by the depth at which they stand: those of a sub-select are one deeper than its source
 */
export function checkDepth(roots: readonly (readonly SyntaxExpr[])[], builder: SyntaxBuilder): void {
  let level: SyntaxExpr[] = []
  for (let depth = 0; level.length > 0 || depth < roots.length; depth++) {
    for (const root of roots[depth] ?? []) level.push(root)
    if (depth > nestingDepthMax && level.length > 0) throw builder.tooDeep(level[0]!.span)
    const next: SyntaxExpr[] = []
    for (const node of level) pushChildren(node, next)
    level = next
  }
}

function pushChildren(node: SyntaxExpr, into: SyntaxExpr[]): void {
  switch (node.kind) {
    case 'call':
    case 'operator':
      for (const arg of node.args) into.push(arg)
      return
    case 'case':
      if (node.subject !== undefined) into.push(node.subject)
      for (const branch of node.branches) into.push(branch.when, branch.then)
      if (node.otherwise !== undefined) into.push(node.otherwise)
      return
    default:
      return
  }
}
