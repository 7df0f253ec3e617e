/** Infix operators: registry name and how tightly each binds. */
import type { IToken, TokenType } from '@chevrotain/types'
import * as t from './tokens.ts'

/** Loosest first. Comparisons do not chain: `a = b = c` is an error. */
export const levels = { or: 1, and: 2, not: 3, comparison: 4, sum: 5, product: 6 } as const

export interface InfixOperator {
  readonly name: string
  readonly level: number
  /** `!~`: the operator negated. */
  readonly negated: boolean
}
const define = (name: string, level: number, negated = false): InfixOperator => ({ name, level, negated })

const infixes: readonly (readonly [TokenType, InfixOperator])[] = [
  [t.Or, define('or', levels.or)],
  [t.OrSign, define('or', levels.or)],
  [t.And, define('and', levels.and)],
  [t.AndSign, define('and', levels.and)],
  [t.Equal, define('eq', levels.comparison)],
  [t.NotEqual, define('ne', levels.comparison)],
  [t.Less, define('lt', levels.comparison)],
  [t.LessEqual, define('le', levels.comparison)],
  [t.Greater, define('gt', levels.comparison)],
  [t.GreaterEqual, define('ge', levels.comparison)],
  [t.RegexMatch, define('regex_match', levels.comparison)],
  [t.RegexNoMatch, define('regex_match', levels.comparison, true)],
  [t.Plus, define('add', levels.sum)],
  [t.Minus, define('sub', levels.sum)],
  [t.Star, define('mul', levels.product)],
  [t.Slash, define('div', levels.product)],
  [t.Percent, define('mod', levels.product)],
]
const byType: (InfixOperator | undefined)[] = []
for (const [type, operator] of infixes) byType[type.tokenTypeIdx!] = operator

export const infixOperator = (token: IToken): InfixOperator | undefined => byType[token.tokenTypeIdx]

/** How tightly the token binds as an infix operator, or as a test that is a word (`between`, `in`, `is null`, …). */
export const levelOf = (token: IToken): number | undefined => levelByType[token.tokenTypeIdx]

const levelByType: (number | undefined)[] = byType.map(operator => operator?.level)
for (const type of [t.Not, t.Between, t.In, t.Like, t.Ilike, t.Is]) levelByType[type.tokenTypeIdx!] = levels.comparison

export const isSign = (token: IToken): boolean => token.tokenType === t.Minus || token.tokenType === t.Plus

/** How an operator is written, for the printer. */
export const symbols: Readonly<Record<string, { readonly symbol: string; readonly level: number }>> = {
  or: { symbol: 'or', level: levels.or },
  and: { symbol: 'and', level: levels.and },
  eq: { symbol: '=', level: levels.comparison },
  ne: { symbol: '!=', level: levels.comparison },
  lt: { symbol: '<', level: levels.comparison },
  le: { symbol: '<=', level: levels.comparison },
  gt: { symbol: '>', level: levels.comparison },
  ge: { symbol: '>=', level: levels.comparison },
  regex_match: { symbol: '=~', level: levels.comparison },
  like: { symbol: 'like', level: levels.comparison },
  ilike: { symbol: 'ilike', level: levels.comparison },
  add: { symbol: '+', level: levels.sum },
  sub: { symbol: '-', level: levels.sum },
  mul: { symbol: '*', level: levels.product },
  div: { symbol: '/', level: levels.product },
  mod: { symbol: '%', level: levels.product },
}
