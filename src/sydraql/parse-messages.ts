/** What syntax errors say: `expected X, found Y`. */
import { EOF, type IParserErrorMessageProvider, type IToken, type TokenType, tokenLabel } from 'chevrotain'
import type { Allowed } from './grammar-follow.ts'
import * as t from './tokens.ts'

const found = (token: IToken | undefined): string =>
  token === undefined || token.tokenType === EOF ? 'the end of the query' : `"${shortened(token.image)}"`

const shortened = (image: string): string => (image.length > 40 ? `${image.slice(0, 40)}…` : image)

const label = (type: TokenType): string => (type === EOF ? 'the end of the query' : tokenLabel(type))

export const errorMessages: IParserErrorMessageProvider = {
  buildMismatchTokenMessage: ({ expected, actual }) =>
    expected === EOF ? `unexpected ${found(actual)}` : `expected ${label(expected)}, found ${found(actual)}`,
  buildNotAllInputParsedMessage: ({ firstRedundant }) => `unexpected ${found(firstRedundant)}`,
  buildNoViableAltMessage: ({ expectedPathsPerAlt, actual, customUserDescription }) => {
    const labels = new Set(expectedPathsPerAlt.flatMap(paths => paths.map(path => label(path[0]!))))
    return `expected ${customUserDescription ?? [...labels].join(' or ')}, found ${found(actual[0])}`
  },
  buildEarlyExitMessage: ({ expectedIterationPaths, actual, customUserDescription }) => {
    const labels = new Set(expectedIterationPaths.map(path => label(path[0]!)))
    return `expected ${customUserDescription ?? [...labels].join(' or ')}, found ${found(actual[0])}`
  },
}

const twoWords: ReadonlyMap<TokenType, string> = new Map([
  [t.Group, 'group by'],
  [t.Order, 'order by'],
  [t.On, 'on time'],
])

/** How a keyword is written where it begins a clause. */
export const keywordText = (type: TokenType): string => twoWords.get(type) ?? tokenLabel(type)

/** The keywords among what is allowed, in the order of the token table; not `of`, which is recognised and refused. */
export const keywordsOf = (allowed: readonly Allowed[]): TokenType[] =>
  [...new Set(allowed.map(each => each.type))]
    .filter(type => t.isKeyword(type) && type !== t.Of)
    .sort((a, b) => a.tokenTypeIdx! - b.tokenTypeIdx!)

/** Words in the middle of an expression, that may follow nearly everything. */
const expressionWords: ReadonlySet<TokenType> = new Set([t.And, t.Or, t.Not, t.In, t.Is, t.Like, t.Ilike, t.Between])

/** What may stand where the end of the statement was expected: its next clauses. */
export function expectedClauses(allowed: readonly Allowed[]): string {
  const words = keywordsOf(allowed)
    .filter(type => !expressionWords.has(type))
    .map(keywordText)
  return `expected ${[...words, 'the end of the query'].join(', ').replace(/, (?=[^,]*$)/, ' or ')}`
}
