/** Text to tokens; lexical errors as `syntax_error` with a position. */
import { type IToken, Lexer } from 'chevrotain'
import type { SydraError } from '../lib/errors.ts'
import { queryLengthMax } from './limits.ts'
import { problem, syntaxProblem } from './problem.ts'
import { Identifier, keywordType, lexed, OpenComment } from './tokens.ts'

let lexer: Lexer | undefined
let looseLexer: Lexer | undefined

const makeLexer = (recoveryEnabled: boolean): Lexer =>
  new Lexer([...lexed], {
    positionTracking: 'onlyOffset',
    ensureOptimizations: true,
    recoveryEnabled,
    skipValidations: true,
  })

export function tokenize(text: string): IToken[] {
  if (text.length > queryLengthMax) {
    const message = `the query has ${text.length} characters, at most ${queryLengthMax} are allowed`
    throw problem('query_too_complex', message, text, { start: queryLengthMax, end: text.length })
  }
  // Building the lexer takes milliseconds: done at the first query, not at import.
  lexer ??= makeLexer(false)
  const { tokens, errors } = lexer.tokenize(text)
  const error = errors[0]
  if (error !== undefined) throw lexicalError(text, error.offset)
  for (const token of tokens) {
    if (token.tokenType === Identifier) useKeyword(token)
    else if (token.tokenType === OpenComment) throw lexicalError(text, token.startOffset)
  }
  return tokens
}

function useKeyword(token: IToken): void {
  const type = keywordType(token.image)
  if (type === undefined) return
  token.tokenType = type
  token.tokenTypeIdx = type.tokenTypeIdx!
}

export interface LooseTokens {
  readonly tokens: readonly IToken[]
  /** Where a quote or comment begins that is never closed: it takes the rest of the text. */
  readonly open: { readonly start: number; readonly kind: 'text' | 'name' | 'comment' } | undefined
}

/** The tokens of a text that is being written: characters that begin none are passed over. */
export function tokenizeLoosely(text: string): LooseTokens {
  looseLexer ??= makeLexer(true)
  const { tokens, errors } = looseLexer.tokenize(text)
  const quote = errors.find(error => text[error.offset] === "'" || text[error.offset] === '"')
  const comment = tokens.find(token => token.tokenType === OpenComment)
  const start = Math.min(quote?.offset ?? text.length, comment?.startOffset ?? text.length)
  const complete = tokens.filter(token => token.startOffset < start)
  for (const token of complete) if (token.tokenType === Identifier) useKeyword(token)
  if (start === text.length) return { tokens: complete, open: undefined }
  return { tokens: complete, open: { start, kind: openKinds[text[start]!] ?? 'comment' } }
}

const openKinds: Readonly<Record<string, 'text' | 'name'>> = { "'": 'text', '"': 'name' }

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
