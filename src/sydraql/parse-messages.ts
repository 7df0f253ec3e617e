/** What chevrotain's errors say: `expected X, found Y`. */
import { EOF, type IParserErrorMessageProvider, type IToken, type TokenType, tokenLabel } from 'chevrotain'

const found = (token: IToken | undefined): string =>
  token === undefined || token.tokenType === EOF ? 'the end of the query' : `"${shortened(token.image)}"`

const shortened = (image: string): string => (image.length > 40 ? `${image.slice(0, 40)}…` : image)

const label = (type: TokenType): string => (type === EOF ? 'the end of the query' : tokenLabel(type))

export const errorMessages: IParserErrorMessageProvider = {
  buildMismatchTokenMessage: ({ expected, actual }) => `expected ${label(expected)}, found ${found(actual)}`,
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
