/**
 * The grammar of expressions, by precedence climbing: one rule for all infix operators instead of one per level.
 *
 * Invariants:
 * 1. Recursion is counted (`nestingDepthMax`); chains of operators are loops.
 * 2. Actions that need real tokens run inside `ACTION`: chevrotain's recording phase gives rules dummies.
 */
import { EmbeddedActionsParser, type IToken, type TokenType, tokenMatcher } from 'chevrotain'
import type { CaseSyntax, NamedSpan, SyntaxExpr } from './ast.ts'
import type { Span } from './expression.ts'
import { LookaheadAtNeed } from './lookahead.ts'
import { errorMessages } from './parse-messages.ts'
import { infixOperator, isSign, levelOf, levels } from './precedence.ts'
import { nameText, SyntaxBuilder, spanFrom, spanOf } from './syntax-builder.ts'
import * as t from './tokens.ts'

interface Alternative {
  readonly ALT: () => SyntaxExpr
}

export class ExpressionParser extends EmbeddedActionsParser {
  protected build = new SyntaxBuilder('')
  /** Alternatives of the hottest rule, made once: written inline, each call would allocate them. */
  #primaries: Alternative[] | undefined

  protected constructor(skipValidations: boolean) {
    super(t.vocabulary, {
      recoveryEnabled: false,
      maxLookahead: 2,
      lookaheadStrategy: new LookaheadAtNeed({ maxLookahead: 2 }),
      nodeLocationTracking: 'none',
      errorMessageProvider: errorMessages,
      skipValidations,
    })
  }

  /**
   * Operators that bind at least as tightly as `level`. Where one look at the next token decides, it is taken without
   * chevrotain's general decisions: most expressions are a single operand.
   */
  protected expression = this.RULE('expression', (level: number = levels.or): SyntaxExpr => {
    /** What may follow binds no tighter than what stands: `a = b = c` and `not a = b = c` are errors. */
    let levelMax: number = levels.product
    let left: SyntaxExpr
    if (this.RECORDING_PHASE || this.LA(1).tokenType === t.Not) {
      left = this.OR1({
        DEF: [
          { GATE: () => level <= levels.not, ALT: () => this.SUBRULE(this.negation) },
          { ALT: () => this.SUBRULE(this.operand) },
        ],
        ERR_MSG: 'an expression',
      })
      levelMax = levels.not
    } else {
      left = this.SUBRULE(this.operand)
    }
    if (!this.RECORDING_PHASE && levelOf(this.LA(1)) === undefined) return left
    /** Arguments of the `and` or `or` that `left` is, while it grows. */
    let chain: SyntaxExpr[] | undefined
    let chained = ''
    this.MANY({
      GATE: () => {
        const next = levelOf(this.LA(1))
        return next !== undefined && next >= level && next <= levelMax
      },
      DEF: () => {
        this.OR([
          {
            ALT: () => {
              const token = this.CONSUME(t.Infix)
              const operator = this.ACTION(() => infixOperator(token)!) ?? {
                name: 'or',
                level: levels.or,
                negated: false,
              }
              const right = this.SUBRULE1(this.expression, { ARGS: [operator.level + 1] })
              this.ACTION(() => {
                levelMax = operator.level === levels.comparison ? levels.comparison - 1 : operator.level
                const { name } = operator
                if (name !== 'and' && name !== 'or') {
                  left = this.build.operator(name, [left, right], spanFrom(left.span, right.span))
                  if (operator.negated) left = this.build.not(left, left.span.start)
                } else if (chain !== undefined && chained === name) {
                  chain.push(right)
                  left = { ...left, span: spanFrom(left.span, right.span) }
                } else {
                  chain = [left, right]
                  chained = name
                  left = this.build.operator(name, chain, spanFrom(left.span, right.span))
                }
              })
            },
          },
          {
            ALT: () => {
              left = this.SUBRULE(this.test, { ARGS: [left] })
              levelMax = levels.comparison - 1
            },
          },
        ])
      },
    })
    return left
  })

  /** What may follow an operand at the level of comparisons: `[not] between | in | like | ilike`, `is [not] null`. */
  private test = this.RULE('test', (left: SyntaxExpr): SyntaxExpr => {
    const args = [left]
    const negated = this.OPTION1(() => this.CONSUME1(t.Not))
    const name = this.OR({
      DEF: [
        {
          ALT: () => {
            this.CONSUME(t.Between)
            args.push(this.SUBRULE1(this.expression, { ARGS: [levels.sum] }))
            this.CONSUME(t.And)
            args.push(this.SUBRULE2(this.expression, { ARGS: [levels.sum] }))
            return 'between'
          },
        },
        {
          ALT: () => {
            this.CONSUME(t.In)
            this.CONSUME(t.LeftParen)
            this.AT_LEAST_ONE_SEP({
              SEP: t.Comma,
              DEF: () => args.push(this.SUBRULE(this.expression)),
              ERR_MSG: 'an expression',
            })
            this.CONSUME(t.RightParen)
            return 'in'
          },
        },
        {
          ALT: () => {
            this.CONSUME(t.Like)
            args.push(this.SUBRULE3(this.expression, { ARGS: [levels.sum] }))
            return 'like'
          },
        },
        {
          ALT: () => {
            this.CONSUME(t.Ilike)
            args.push(this.SUBRULE4(this.expression, { ARGS: [levels.sum] }))
            return 'ilike'
          },
        },
        {
          GATE: () => negated === undefined,
          ALT: () => {
            this.CONSUME(t.Is)
            const not = this.OPTION2(() => this.CONSUME2(t.Not))
            this.CONSUME(t.Null)
            return not === undefined ? 'is_null' : 'is_not_null'
          },
        },
      ],
      ERR_MSG: negated === undefined ? 'an operator' : 'between, in, like or ilike',
    })
    return this.ACTION(() => {
      const span = { start: left.span.start, end: this.spanSince(this.LA(0)).end }
      const found = this.build.operator(name === 'is_not_null' ? 'is_null' : name, args, span)
      return negated !== undefined || name === 'is_not_null' ? this.build.not(found, span.start) : found
    })
  })

  private negation = this.RULE('negation', (): SyntaxExpr => {
    const starts: number[] = []
    this.AT_LEAST_ONE(() => starts.push(this.CONSUME(t.Not).startOffset))
    let inner = this.SUBRULE(this.expression, { ARGS: [levels.comparison] })
    this.ACTION(() => {
      while (starts.length > 0) inner = this.build.not(inner, starts.pop()!)
    })
    return inner
  })

  /** `[-] primary [:: type]` */
  private operand = this.RULE('operand', (): SyntaxExpr => {
    if (!this.RECORDING_PHASE) this.build.enter(this.LA(1))
    let starts: number[] | undefined
    if (this.RECORDING_PHASE || isSign(this.LA(1))) {
      const minuses: number[] = []
      starts = minuses
      this.MANY1(() =>
        this.OR1([{ ALT: () => minuses.push(this.CONSUME(t.Minus).startOffset) }, { ALT: () => this.CONSUME(t.Plus) }]),
      )
    }
    this.#primaries ??= this.#primaryAlternatives()
    let found: SyntaxExpr = this.OR({ DEF: this.#primaries, ERR_MSG: 'an expression' })
    if (this.RECORDING_PHASE || this.LA(1).tokenType === t.DoubleColon) {
      this.MANY2(() => {
        this.CONSUME(t.DoubleColon)
        const type = this.CONSUME(t.Name)
        this.ACTION(() => (found = this.build.cast(found, type)))
      })
    }
    while (!this.RECORDING_PHASE && starts !== undefined && starts.length > 0) {
      found = this.build.negative(found, starts.pop()!)
    }
    this.build.leave()
    return found
  })

  #primaryAlternatives(): Alternative[] {
    const atom = (token: IToken): SyntaxExpr => this.ACTION(() => this.build.atom(token))
    return [
      { ALT: () => this.SUBRULE(this.nameOrCall) },
      { ALT: () => atom(this.CONSUME(t.Text)) },
      { ALT: () => atom(this.CONSUME(t.Integer)) },
      { ALT: () => atom(this.CONSUME(t.Decimal)) },
      { ALT: () => atom(this.CONSUME(t.Duration)) },
      { ALT: () => atom(this.CONSUME(t.Timestamp)) },
      { ALT: () => atom(this.CONSUME(t.Parameter)) },
      { ALT: () => atom(this.CONSUME(t.Null)) },
      { ALT: () => atom(this.CONSUME(t.True)) },
      { ALT: () => atom(this.CONSUME(t.False)) },
      { ALT: () => atom(this.CONSUME(t.Regex)) },
      {
        ALT: () => {
          this.CONSUME(t.LeftParen)
          const inner = this.SUBRULE(this.expression)
          this.CONSUME(t.RightParen)
          return inner
        },
      },
      { ALT: () => this.SUBRULE(this.caseExpression) },
    ]
  }

  private nameOrCall = this.RULE('nameOrCall', (): SyntaxExpr => {
    const first = this.CONSUME(t.Name)
    if (!this.RECORDING_PHASE) {
      const next = this.LA(1).tokenType
      if (next !== t.LeftParen && next !== t.Dot) return this.build.name([first])
    }
    return this.OR([
      { ALT: () => this.SUBRULE(this.callArguments, { ARGS: [first] }) },
      {
        ALT: () => {
          const parts = [first]
          this.MANY(() => {
            this.CONSUME(t.Dot)
            parts.push(this.CONSUME(t.Word))
          })
          return this.ACTION(() => this.build.name(parts))
        },
      },
    ])
  })

  /** `cast(v as type)` and `extract(part from t)` are calls with a word between their arguments. */
  private callArguments = this.RULE('callArguments', (name: IToken): SyntaxExpr => {
    this.CONSUME(t.LeftParen)
    const args: SyntaxExpr[] = []
    let word: IToken | undefined
    let type: IToken | undefined
    const distinct = this.OPTION1(() => this.CONSUME(t.Distinct))
    this.OPTION2(() =>
      this.OR([
        {
          ALT: () => {
            const token = this.CONSUME(t.Star)
            this.ACTION(() => args.push(this.build.star(token)))
          },
        },
        {
          ALT: () => {
            args.push(this.SUBRULE1(this.expression))
            this.OR1([
              {
                ALT: () => {
                  word = this.CONSUME(t.As)
                  type = this.CONSUME(t.Name)
                },
              },
              {
                ALT: () => {
                  word = this.CONSUME(t.From)
                  args.push(this.SUBRULE2(this.expression))
                },
              },
              {
                ALT: () =>
                  this.MANY(() => {
                    this.CONSUME(t.Comma)
                    args.push(this.SUBRULE3(this.expression))
                  }),
              },
            ])
          },
        },
      ]),
    )
    const end = this.CONSUME(t.RightParen)
    return this.ACTION(() => this.build.call({ name, args, distinct: distinct !== undefined, word, type, end }))
  })

  private caseExpression = this.RULE('caseExpression', (): CaseSyntax => {
    const first = this.CONSUME(t.Case)
    const subject = this.OPTION1(() => this.SUBRULE1(this.expression))
    const branches: { when: SyntaxExpr; then: SyntaxExpr }[] = []
    this.AT_LEAST_ONE(() => {
      this.CONSUME(t.When)
      const when = this.SUBRULE2(this.expression)
      this.CONSUME(t.Then)
      // biome-ignore lint/suspicious/noThenProperty: the language's own word
      branches.push({ when, then: this.SUBRULE3(this.expression) })
    })
    const otherwise = this.OPTION2(() => {
      this.CONSUME(t.Else)
      return this.SUBRULE4(this.expression)
    })
    this.CONSUME(t.End)
    return { kind: 'case', subject, branches, otherwise, span: this.spanSince(first) }
  })

  /** What to say should the parse stop at the next token. */
  protected note(message: string, hint: string): void {
    if (!this.RECORDING_PHASE) this.build.note = { token: this.LA(1), message, hint }
  }

  protected next(type: TokenType): boolean {
    return tokenMatcher(this.LA(1), type)
  }

  /** A dotted name as one; `prefix.` before it is a way to write it and not a part of it. */
  protected named(parts: readonly IToken[], prefix?: string): NamedSpan {
    const span = spanFrom(spanOf(parts[0]!), spanOf(parts[parts.length - 1]!))
    const texts = parts.map(nameText)
    return { name: (texts.length > 1 && texts[0] === prefix ? texts.slice(1) : texts).join('.'), span }
  }

  /** From the token to the last one consumed. */
  protected spanSince(first: IToken): Span {
    return this.ACTION(() => spanFrom(spanOf(first), spanOf(this.LA(0))))
  }
}
