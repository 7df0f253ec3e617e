/**
 * Tokens. Keywords have the shape of identifiers: the lexer knows one `Identifier`, and `lexer.ts` gives a keyword its
 * own type by a table look-up afterwards, which is faster than fifty patterns and makes case-insensitivity free.
 *
 * Invariants:
 * 1. Keywords in `reserved` never stand as a bare name; all others may (category `Name`), where the grammar leaves no doubt.
 * 2. Every pattern is linear: no input makes the lexer slow.
 */
import { createToken, type IToken, Lexer, type TokenType } from 'chevrotain'

/** What may be a name: an identifier, a `"quoted"` one, or a keyword that is not reserved. */
export const Name = createToken({ name: 'Name', pattern: Lexer.NA, label: 'a name' })
/** A name that may follow an expression without `as`. */
export const BareAlias = createToken({ name: 'BareAlias', pattern: Lexer.NA, label: 'an alias' })
/** Any word at all: after a dot even reserved ones are names. */
export const Word = createToken({ name: 'Word', pattern: Lexer.NA, label: 'a name' })
/** Infix operators with one operand on each side. */
export const Infix = createToken({ name: 'Infix', pattern: Lexer.NA, label: 'an operator' })

const token = (name: string, pattern: RegExp | string, label: string): TokenType =>
  createToken({ name, pattern, label, line_breaks: false })
const infix = (name: string, pattern: RegExp | string, label: string): TokenType =>
  createToken({ name, pattern, label, line_breaks: false, categories: [Infix] })

export const Identifier = createToken({
  name: 'Identifier',
  pattern: /[A-Za-z_][A-Za-z0-9_]*/,
  label: 'a name',
  categories: [Name, BareAlias, Word],
})
export const QuotedIdentifier = createToken({
  name: 'QuotedIdentifier',
  pattern: /"[^"]*(?:""[^"]*)*"/,
  label: 'a quoted name',
  line_breaks: true,
  categories: [Name, BareAlias, Word],
})
export const Text = createToken({
  name: 'Text',
  pattern: /'[^']*(?:''[^']*)*'/,
  label: 'a string',
  line_breaks: true,
})
const isoPattern =
  /\d{4}-\d{2}-\d{2}(?:[Tt]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:[Zz]|[+-]\d{2}(?::?\d{2})?)?)?(?![A-Za-z0-9_])/
export const Timestamp = token('Timestamp', isoPattern, 'a timestamp')
export const Duration = token('Duration', /(?:\d+(?:us|µs|ms|mo|[smhdwqy]))+(?![A-Za-z0-9_])/i, 'a duration')
export const Decimal = token(
  'Decimal',
  /(?:\d+\.\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?|\d+e[+-]?\d+)(?![A-Za-z0-9_])/i,
  'a number',
)
export const Integer = token('Integer', /\d+(?![A-Za-z0-9_.])/, 'a whole number')
export const Parameter = token('Parameter', /\?|\$\d+/, 'a parameter')

/** A regex literal stands only where one may: elsewhere `/` divides. */
const regexPattern = /\/(?:[^/\\\n\r]|\\[^\n\r])+\//y
function matchRegex(text: string, offset: number, before: readonly IToken[]): RegExpExecArray | null {
  const previous = before[before.length - 1]
  if (previous === undefined) return null
  const type = previous.tokenType
  if (type !== RegexMatch && type !== RegexNoMatch) {
    const isSource = /^(?:from|join)$/i.test(previous.image) && before[before.length - 2]?.tokenType !== Dot
    if (!isSource) return null
  }
  regexPattern.lastIndex = offset
  return regexPattern.exec(text)
}
export const RegexMatch = infix('RegexMatch', '=~', '=~')
export const RegexNoMatch = infix('RegexNoMatch', /!=?~/, '!~')
export const Regex = createToken({
  name: 'Regex',
  pattern: { exec: (text, offset, before) => matchRegex(text, offset, before) },
  start_chars_hint: ['/'],
  line_breaks: false,
  label: 'a regex',
})

const WhiteSpace = createToken({
  name: 'WhiteSpace',
  pattern: /[ \t\r\n\f\v\u00a0\ufeff]+/,
  group: Lexer.SKIPPED,
  line_breaks: true,
})
const LineComment = createToken({
  name: 'LineComment',
  pattern: /--[^\n\r]*/,
  group: Lexer.SKIPPED,
  line_breaks: false,
})
const BlockComment = createToken({
  name: 'BlockComment',
  pattern: /\/\*[^*]*\*+(?:[^/*][^*]*\*+)*\//,
  group: Lexer.SKIPPED,
  line_breaks: true,
})

/** A comment that is not closed: takes the rest of the text, so that it is looked for once and not at each `/*`. */
export const OpenComment = createToken({
  name: 'OpenComment',
  pattern: /\/\*[\s\S]*/,
  label: 'a comment',
  line_breaks: true,
})

export const LeftParen = token('LeftParen', '(', '(')
export const RightParen = token('RightParen', ')', ')')
export const Comma = token('Comma', ',', ',')
export const Dot = token('Dot', '.', '.')
export const Semicolon = token('Semicolon', ';', ';')
export const DoubleColon = token('DoubleColon', '::', '::')
export const Star = infix('Star', '*', '*')
export const Plus = infix('Plus', '+', '+')
export const Minus = infix('Minus', '-', '-')
export const Slash = infix('Slash', '/', '/')
export const Percent = infix('Percent', '%', '%')
export const Equal = infix('Equal', /==?/, '=')
export const NotEqual = infix('NotEqual', /!=|<>/, '!=')
export const LessEqual = infix('LessEqual', '<=', '<=')
export const GreaterEqual = infix('GreaterEqual', '>=', '>=')
export const Less = infix('Less', '<', '<')
export const Greater = infix('Greater', '>', '>')
export const OrSign = infix('OrSign', '||', '||')
export const AndSign = infix('AndSign', '&&', '&&')

const keywords = new Map<string, TokenType>()

function keyword(word: string, categories: readonly TokenType[] = []): TokenType {
  const type = createToken({
    name: word[0]!.toUpperCase() + word.slice(1),
    pattern: Lexer.NA,
    label: word,
    categories: [Word, ...categories],
  })
  keywords.set(word, type)
  return type
}
/** Never a bare name. */
const reserved = (word: string): TokenType => keyword(word)
/** A name wherever a name is expected, but not an alias without `as`: it could begin the next clause. */
const nameOnly = (word: string): TokenType => keyword(word, [Name])
/** A name like any other, a keyword only where the grammar asks for it. */
const soft = (word: string): TokenType => keyword(word, [Name, BareAlias])

export const Select = reserved('select')
export const From = reserved('from')
export const Where = reserved('where')
export const Group = reserved('group')
export const Having = reserved('having')
export const Order = reserved('order')
export const Limit = reserved('limit')
export const Offset = reserved('offset')
export const As = reserved('as')
export const And = keyword('and', [Infix])
export const Or = keyword('or', [Infix])
export const Not = reserved('not')
export const In = reserved('in')
export const Is = reserved('is')
export const Like = reserved('like')
export const Ilike = reserved('ilike')
export const Between = reserved('between')
export const Null = reserved('null')
export const True = reserved('true')
export const False = reserved('false')
export const Case = reserved('case')
export const When = reserved('when')
export const Then = reserved('then')
export const Else = reserved('else')
export const End = reserved('end')
export const Distinct = reserved('distinct')
export const Join = reserved('join')
export const On = reserved('on')
export const Asc = nameOnly('asc')
export const Desc = nameOnly('desc')
export const Fill = nameOnly('fill')
export const Nulls = nameOnly('nulls')
export const By = nameOnly('by')
export const Per = nameOnly('per')
export const Of = soft('of')
export const First = soft('first')
export const Last = soft('last')
export const ById = soft('by_id')
export const Explain = soft('explain')
export const Analyze = soft('analyze')
export const Json = soft('json')
export const Show = soft('show')
export const Insert = soft('insert')
export const Into = soft('into')
export const Fields = soft('fields')
export const Values = soft('values')
export const Delete = soft('delete')
export const Time = soft('time')
export const Within = soft('within')
export const Previous = soft('previous')
export const Linear = soft('linear')
export const None = soft('none')

export const reservedWords: readonly string[] = [...keywords]
  .filter(([, type]) => !type.CATEGORIES!.includes(Name))
  .map(([word]) => word)

export const isKeyword = (type: TokenType): boolean => keywords.get(type.LABEL ?? '') === type

/** The keyword's token type, or undefined for an ordinary name. */
export const keywordType = (image: string): TokenType | undefined => keywords.get(image.toLowerCase())

/** What the lexer tries, in this order where patterns share their first character. */
export const lexed: readonly TokenType[] = [
  WhiteSpace,
  Identifier,
  Timestamp,
  Duration,
  Decimal,
  Integer,
  Text,
  QuotedIdentifier,
  LineComment,
  BlockComment,
  OpenComment,
  Regex,
  Parameter,
  Comma,
  Dot,
  LeftParen,
  RightParen,
  RegexMatch,
  RegexNoMatch,
  NotEqual,
  LessEqual,
  GreaterEqual,
  Equal,
  Less,
  Greater,
  OrSign,
  AndSign,
  DoubleColon,
  Star,
  Plus,
  Minus,
  Slash,
  Percent,
  Semicolon,
]

/** Everything the parser knows. */
export const vocabulary: TokenType[] = [Name, BareAlias, Word, Infix, ...lexed, ...keywords.values()]
