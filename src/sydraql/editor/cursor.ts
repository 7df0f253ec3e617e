/**
 * Where the cursor stands: the tokens before it, and the name that is being written.
 *
 *   select c.us|age from cpu c     before: select     prefix: "c.us"     from..to: c.usage
 *
 * Invariant: parentheses that a clause word leaves open are closed by tokens of no width: `select avg( from cpu` reads
 * as `select avg() from cpu`.
 */
import { createTokenInstance, type IToken, type TokenType, tokenMatcher } from 'chevrotain'
import { type LooseTokens, tokenizeLoosely } from '../lexer.ts'
import { nameText } from '../syntax-builder.ts'
import * as t from '../tokens.ts'

export interface Cursor {
  /** Tokens of the whole text, its open parentheses closed. */
  readonly tokens: readonly IToken[]
  /** The first of them that is not before the name being written. */
  readonly at: number
  /** What of the dotted name is written up to the cursor, without quotes; empty where none is. */
  readonly prefix: string
  readonly from: number
  readonly to: number
}

/** Undefined where nothing can be completed: in a string, a comment, a number, a regex, behind a lone dot. */
export function cursorAt(text: string, offset: number): Cursor | undefined {
  const loose = tokenizeLoosely(text.slice(0, offset))
  const { tokens: before, open } = loose
  if (open?.kind === 'text' || open?.kind === 'comment' || isInside(text, loose, offset)) return undefined
  const first = nameStart(before, open?.start ?? offset, open !== undefined)
  const chain = before.slice(first)
  if (chain[0]?.tokenType === t.Dot) return undefined
  const parts = chain.filter(token => token.tokenType !== t.Dot).map(nameText)
  if (open !== undefined) parts.push(text.slice(open.start + 1, offset).replaceAll('""', '"'))
  else if (chain[chain.length - 1]?.tokenType === t.Dot) parts.push('')
  const from = chain[0]?.startOffset ?? open?.start ?? offset
  const rest = (open === undefined ? restOfName : restOfQuoted).exec(text.slice(offset))?.[0] ?? ''
  const tokens = closeParens(tokenizeLoosely(text).tokens)
  const at = tokens.findIndex(token => token.startOffset >= from)
  return { tokens, at: at < 0 ? tokens.length : at, prefix: parts.join('.'), from, to: offset + rest.length }
}

const restOfName = /^\w*(?:\.[A-Za-z_]\w*)*/
const restOfQuoted = /^[^"\r\n]*"/

const endOf = (token: IToken): number => token.startOffset + token.image.length

const numbers: ReadonlySet<TokenType> = new Set([t.Integer, t.Decimal, t.Duration, t.Timestamp, t.Parameter])

/** In a number, a line comment or a regex that is not closed. */
function isInside(text: string, { tokens, open }: LooseTokens, offset: number): boolean {
  const last = tokens[tokens.length - 1]
  const end = last === undefined ? 0 : endOf(last)
  if (last !== undefined && open === undefined && end === offset) {
    if (numbers.has(last.tokenType) || /\d/.test(text[last.startOffset - 1] ?? '')) return true
  }
  const gap = text.slice(end, open?.start ?? offset).replaceAll(/\/\*[\s\S]*?\*\//g, '')
  if (/--[^\r\n]*$/.test(gap)) return true
  const slash = tokens.findLastIndex(
    ({ tokenType }, index) => tokenType === t.Slash && regexLeads.has(tokens[index - 1]?.tokenType),
  )
  return slash >= 0 && !/[\r\n]/.test(text.slice(tokens[slash]!.startOffset, offset))
}

const regexLeads: ReadonlySet<TokenType | undefined> = new Set([t.RegexMatch, t.RegexNoMatch, t.From, t.Join])

/** The first token of the dotted name that ends at `end`; `tokens.length` when there is none. */
function nameStart(tokens: readonly IToken[], end: number, wantsDot: boolean): number {
  let first = tokens.length
  let wanted = wantsDot ? 'dot' : 'either'
  for (let at = tokens.length - 1; at >= 0; at--) {
    const token = tokens[at]!
    const kind = token.tokenType === t.Dot ? 'dot' : tokenMatcher(token, t.Word) ? 'word' : 'other'
    if (kind === 'other' || endOf(token) !== end || (wanted !== 'either' && wanted !== kind)) break
    first = at
    end = token.startOffset
    wanted = kind === 'dot' ? 'word' : 'dot'
  }
  return first
}

const clauseWords: ReadonlySet<TokenType> = new Set([
  ...[t.From, t.Join, t.Where, t.Group, t.Having, t.Order, t.Limit, t.Offset],
])

function closeParens(tokens: readonly IToken[]): IToken[] {
  const found: IToken[] = []
  /** What each open parenthesis holds. `extract(part from time)` has a `from` of its own. */
  const open: ('select' | 'extract' | 'other')[] = []
  tokens.forEach((token, index) => {
    const before = tokens[index - 1]
    if (token.tokenType === t.LeftParen) {
      const isExtract = before?.image.toLowerCase() === 'extract'
      open.push(tokens[index + 1]?.tokenType === t.Select ? 'select' : isExtract ? 'extract' : 'other')
    } else if (token.tokenType === t.RightParen) {
      open.pop()
    } else if (clauseWords.has(token.tokenType) && before?.tokenType !== t.Dot) {
      while (open.length > 0 && open[open.length - 1] !== 'select') {
        if (token.tokenType === t.From && open[open.length - 1] === 'extract') {
          open[open.length - 1] = 'other'
          break
        }
        open.pop()
        found.push(createTokenInstance(t.RightParen, ')', token.startOffset, token.startOffset, 1, 1, 1, 1))
      }
    }
    found.push(token)
  })
  return found
}
