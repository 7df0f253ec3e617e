/** What to do about a syntax error, told from the tokens around it: a misspelt keyword, a clause out of its place. */
import type { IToken } from 'chevrotain'
import { didYouMean } from '../lib/did-you-mean.ts'
import { levelOf, levels } from './precedence.ts'
import * as t from './tokens.ts'

/** Words that begin or end a clause: a misspelt one reads as a name or an alias. */
const clauseWords = (
  'select distinct from join on within where group having fill order limit per offset by as and or asc desc ' +
  'explain analyze show insert into delete'
).split(' ')
const insertWords = ['fields', 'values']
const expressionWords = 'between like ilike null nulls first last case when then else end previous linear none'.split(
  ' ',
)

const clauseOrder: readonly string[] = 'select from join where group having fill order limit offset'.split(' ')
const written = 'select … from … join … where … group by … having … fill(…) order by … limit … offset …'

/** @param index of the token at which the parse stopped; `tokens.length` at the end */
export function syntaxHint(tokens: readonly IToken[], index: number): string | undefined {
  return misspelt(tokens, index) ?? misplaced(tokens, index)
}

/** The error shows at the misspelt word, or right behind one that could have been a name. */
function misspelt(tokens: readonly IToken[], index: number): string | undefined {
  const clauses = tokens[0]?.tokenType === t.Insert ? [...clauseWords, ...insertWords] : clauseWords
  return meant(tokens[index], [...clauses, ...expressionWords]) ?? meant(tokens[index - 1], clauses)
}

function meant(suspect: IToken | undefined, words: readonly string[]): string | undefined {
  if (suspect?.tokenType !== t.Identifier || suspect.image.length < 3 || suspect.image.length > 12) return undefined
  const word = didYouMean(suspect.image, words)
  return word === undefined ? undefined : `did you mean "${word}" for "${suspect.image}"?`
}

function misplaced(tokens: readonly IToken[], index: number): string | undefined {
  const token = tokens[index]
  if (token === undefined) return undefined
  if (token.tokenType === t.Select && tokens[index - 1]?.tokenType === t.LeftParen) {
    return 'a sub-select stands after from or join'
  }
  if (tokens[index - 1]?.tokenType === t.Semicolon) return 'one statement is run at a time'
  if (levelOf(token) === levels.comparison && hasComparison(tokens, index))
    return 'comparisons do not chain: join them with "and", or use parentheses'
  const word = token.image.toLowerCase()
  const place = clauseOrder.indexOf(word)
  if (place < 0 || tokens[0]?.tokenType === t.Insert) return undefined
  const before = clausesBefore(tokens, index)
  if (before.includes(word)) return `there is a second "${clauseName(word)}"; the order of clauses is ${written}`
  const later = before.find(other => clauseOrder.indexOf(other) > place)
  return later === undefined
    ? undefined
    : `"${clauseName(word)}" stands before "${clauseName(later)}": the order of clauses is ${written}`
}

/** Whether the condition before the token compares already. */
function hasComparison(tokens: readonly IToken[], index: number): boolean {
  for (let at = index - 1; at >= 0; at--) {
    const level = levelOf(tokens[at]!)
    if (level === levels.comparison) return true
    if (level !== undefined ? level < levels.comparison : clauseOrder.includes(tokens[at]!.image.toLowerCase())) break
  }
  return false
}

const clauseName = (word: string): string => (word === 'group' || word === 'order' ? `${word} by` : word)

/** Clause words of the same select, from the token backwards. */
function clausesBefore(tokens: readonly IToken[], index: number): string[] {
  const found: string[] = []
  let depth = 0
  for (let at = index - 1; at >= 0; at--) {
    const { tokenType, image } = tokens[at]!
    if (tokenType === t.RightParen) depth++
    else if (tokenType === t.LeftParen) depth--
    if (depth < 0) break
    if (depth === 0 && clauseOrder.includes(image.toLowerCase()) && tokens[at - 1]?.tokenType !== t.Dot) {
      found.push(image.toLowerCase())
    }
    if (depth === 0 && tokenType === t.Select) break
  }
  return found
}
