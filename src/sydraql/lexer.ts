/** Text to tokens; lexical errors as `syntax_error` with a position. */
import { type IToken, Lexer } from 'chevrotain'
import { SydraError } from '../lib/errors.ts'
import { queryLengthMax } from './limits.ts'
import { syntaxProblem } from './problem.ts'
import { Identifier, keywordType, lexed, OpenComment } from './tokens.ts'

let lexer: Lexer | undefined

/** Building the lexer takes milliseconds: done at the first query, not at import. */
function theLexer(): Lexer {
  lexer ??= new Lexer([...lexed], {
    positionTracking: 'onlyOffset',
    ensureOptimizations: true,
    recoveryEnabled: false,
    skipValidations: true,
  })
  return lexer
}

export function tokenize(text: string): IToken[] {
  if (text.length > queryLengthMax) {
    throw new SydraError(
      'query_too_complex',
      `the query has ${text.length} characters, at most ${queryLengthMax} are allowed`,
    )
  }
  const { tokens, errors } = theLexer().tokenize(text)
  const error = errors[0]
  if (error !== undefined) throw lexicalError(text, error.offset)
  for (const token of tokens) {
    if (token.tokenType === Identifier) {
      const type = keywordType(token.image)
      if (type !== undefined) {
        token.tokenType = type
        token.tokenTypeIdx = type.tokenTypeIdx!
      }
    } else if (token.tokenType === OpenComment) {
      throw lexicalError(text, token.startOffset)
    }
  }
  return tokens
}

function lexicalError(text: string, offset: number): SydraError {
  const character = String.fromCodePoint(text.codePointAt(offset) ?? 0)
  const rest = { start: offset, end: text.length }
  if (character === "'")
    return syntaxProblem('this string is not closed', text, rest, "double a quote inside it: 'it''s'")
  if (character === '"') return syntaxProblem('this quoted name is not closed', text, rest)
  if (text.startsWith('/*', offset)) return syntaxProblem('this comment is not closed', text, rest)
  const word = /^\d[\w.]*/.exec(text.slice(offset, offset + 64))?.[0]
  if (word !== undefined) {
    return syntaxProblem(
      `"${word}" is neither a number nor a duration`,
      text,
      { start: offset, end: offset + word.length },
      'durations end in us, ms, s, m, h, d or w, calendar widths in mo, q or y',
    )
  }
  const span = { start: offset, end: offset + character.length }
  return syntaxProblem(`unexpected character ${JSON.stringify(character)}`, text, span)
}
