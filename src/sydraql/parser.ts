/**
 * The grammar of statements: tokens to syntax tree, LL(2) with embedded actions, so that no concrete tree is built in
 * between. What the language has and this version does not run is recognised and refused by name.
 *
 * Invariant: the first error ends the parse; there is no recovery.
 */
import { EOF, type IToken } from 'chevrotain'
import type {
  CountSyntax,
  ExplainStatement,
  FillSyntax,
  LiteralSyntax,
  OrderSyntax,
  SelectItem,
  SelectStatement,
  ShowStatement,
  SourceSyntax,
  Statement,
  SyntaxExpr,
} from './ast.ts'
import { ExpressionParser } from './expression-parser.ts'
import { nameText, type SyntaxBuilder, spanFrom, spanOf, stringText } from './syntax-builder.ts'
import * as t from './tokens.ts'

export class SydraqlParser extends ExpressionParser {
  constructor(skipValidations: boolean) {
    super(skipValidations)
    this.performSelfAnalysis()
  }

  /** Parses one statement; on failure the result is undefined and `errors` has the one error. */
  parse(build: SyntaxBuilder, tokens: IToken[]): Statement | undefined {
    this.build = build
    this.input = tokens
    return this.query()
  }

  private query = this.RULE('query', (): Statement => {
    const statement = this.OR({
      DEF: [
        { ALT: () => this.SUBRULE(this.selectStatement) },
        { ALT: () => this.SUBRULE(this.showStatement) },
        { ALT: () => this.SUBRULE(this.explainStatement) },
        { ALT: () => this.SUBRULE(this.writeStatement) },
      ],
      ERR_MSG: 'select, show or explain',
    })
    this.OPTION(() => this.CONSUME(t.Semicolon))
    this.CONSUME(EOF)
    return statement
  })

  private explainStatement = this.RULE('explainStatement', (): ExplainStatement => {
    const first = this.CONSUME(t.Explain)
    this.OPTION1(() => {
      const token = this.CONSUME(t.Analyze)
      this.ACTION(() => this.build.unsupported('explain analyze', first, token))
    })
    const json = this.OPTION2(() => this.CONSUME(t.Json))
    const statement = this.OR({
      DEF: [{ ALT: () => this.SUBRULE(this.selectStatement) }, { ALT: () => this.SUBRULE(this.showStatement) }],
      ERR_MSG: 'select or show',
    })
    return {
      kind: 'explain',
      analyze: false,
      format: json === undefined ? 'text' : 'json',
      statement,
      span: this.spanSince(first),
    }
  })

  private writeStatement = this.RULE('writeStatement', (): never => {
    const token = this.OR([{ ALT: () => this.CONSUME(t.Insert) }, { ALT: () => this.CONSUME(t.Delete) }])
    return this.ACTION(() => this.build.unsupported(`the statement ${token.image.toLowerCase()}`, token))
  })

  private selectStatement = this.RULE('selectStatement', (): SelectStatement => {
    const first = this.CONSUME(t.Select)
    this.OPTION(() => {
      const token = this.CONSUME(t.Distinct)
      this.ACTION(() => this.build.unsupported('select distinct', first, token))
    })
    const items: SelectItem[] = []
    this.AT_LEAST_ONE_SEP({
      SEP: t.Comma,
      DEF: () => items.push(this.SUBRULE(this.selectItem)),
      ERR_MSG: 'an expression',
    })
    const source = this.OPTION1(() => {
      this.CONSUME(t.From)
      const found = this.SUBRULE(this.source)
      this.OPTION9(() => {
        const token = this.CONSUME(t.Join)
        this.ACTION(() => this.build.unsupported('join', token))
      })
      return found
    })
    const where = this.OPTION2(() => {
      this.CONSUME(t.Where)
      return this.SUBRULE1(this.expression)
    })
    const groupBy: SyntaxExpr[] = []
    this.OPTION3(() => {
      this.CONSUME(t.Group)
      this.CONSUME1(t.By)
      this.AT_LEAST_ONE_SEP1({
        SEP: t.Comma,
        DEF: () => groupBy.push(this.SUBRULE2(this.expression)),
        ERR_MSG: 'an expression',
      })
    })
    const having = this.OPTION4(() => {
      this.CONSUME(t.Having)
      return this.SUBRULE3(this.expression)
    })
    const fill = this.OPTION5(() => this.SUBRULE(this.fillClause))
    const orderBy: OrderSyntax[] = []
    this.OPTION6(() => {
      this.CONSUME(t.Order)
      this.CONSUME2(t.By)
      this.AT_LEAST_ONE_SEP2({
        SEP: t.Comma,
        DEF: () => orderBy.push(this.SUBRULE(this.orderItem)),
        ERR_MSG: 'an expression',
      })
    })
    const limit = this.OPTION7(() => this.SUBRULE(this.limitClause))
    const offset = this.OPTION8(() => {
      this.CONSUME(t.Offset)
      return this.SUBRULE(this.rowCount)
    })
    const span = this.spanSince(first)
    return {
      kind: 'select',
      distinct: false,
      items,
      source,
      joins: [],
      where,
      groupBy,
      having,
      fill,
      orderBy,
      limit,
      limitPer: undefined,
      offset,
      span,
    }
  })

  private selectItem = this.RULE('selectItem', (): SelectItem => {
    const first = this.LA(1)
    const expr = this.OR({
      DEF: [
        {
          ALT: () => {
            const token = this.CONSUME(t.Star)
            return this.ACTION(() => this.build.star(token))
          },
        },
        { ALT: () => this.SUBRULE(this.expression) },
      ],
      ERR_MSG: 'an expression',
    })
    const alias = this.OPTION(() => this.SUBRULE(this.alias))
    return { expr, alias, span: this.spanSince(first) }
  })

  private alias = this.RULE('alias', (): string => {
    const token = this.OR([
      {
        ALT: () => {
          this.CONSUME(t.As)
          return this.CONSUME(t.Name)
        },
      },
      { ALT: () => this.CONSUME(t.BareAlias) },
    ])
    return nameText(token)
  })

  private source = this.RULE(
    'source',
    (): SourceSyntax =>
      this.OR({
        DEF: [
          {
            GATE: () => this.LA(2).tokenType === t.LeftParen,
            ALT: () => this.SUBRULE(this.seriesSource),
            IGNORE_AMBIGUITIES: true,
          },
          { ALT: () => this.SUBRULE(this.metricSource), IGNORE_AMBIGUITIES: true },
          {
            ALT: () => {
              const token = this.CONSUME(t.Regex)
              return this.ACTION(() => this.build.unsupported('a regex as the source', token))
            },
          },
          {
            ALT: () => {
              const token = this.CONSUME(t.LeftParen)
              return this.ACTION(() => this.build.unsupported('a subquery as the source', token))
            },
          },
        ],
        ERR_MSG: 'a metric',
      }),
  )

  private seriesSource = this.RULE('seriesSource', (): SourceSyntax => {
    const first = this.CONSUME(t.ById)
    this.CONSUME(t.LeftParen)
    const id = this.CONSUME(t.Text)
    this.CONSUME(t.RightParen)
    const span = this.spanSince(first)
    const alias = this.OPTION(() => this.SUBRULE(this.alias))
    return { kind: 'series', id: stringText(id), alias, span }
  })

  private metricSource = this.RULE('metricSource', (): SourceSyntax => {
    const parts = this.SUBRULE(this.dottedName)
    this.OPTION1({
      GATE: () => this.LA(2).tokenType === t.Of,
      DEF: () => {
        const as = this.CONSUME(t.As)
        const of = this.CONSUME(t.Of)
        this.ACTION(() => this.build.unsupported('as of', as, of))
      },
    })
    const alias = this.OPTION2(() => this.SUBRULE(this.alias))
    return this.ACTION(() => ({
      kind: 'metric',
      name: parts.map(nameText).join('.'),
      alias,
      span: spanFrom(spanOf(parts[0]!), spanOf(parts[parts.length - 1]!)),
    }))
  })

  private dottedName = this.RULE('dottedName', (): IToken[] => {
    const parts = [this.CONSUME(t.Name)]
    this.MANY(() => {
      this.CONSUME(t.Dot)
      parts.push(this.CONSUME(t.Word))
    })
    return parts
  })

  private fillClause = this.RULE('fillClause', (): FillSyntax => {
    const first = this.CONSUME(t.Fill)
    this.CONSUME(t.LeftParen)
    let lookbackUs: number | undefined
    let value: number | undefined
    const mode = this.OR({
      DEF: [
        {
          ALT: (): FillSyntax['mode'] => {
            const word = this.OR2([
              { ALT: () => this.CONSUME(t.Null) },
              { ALT: () => this.CONSUME(t.Linear) },
              { ALT: () => this.CONSUME(t.None) },
            ])
            return word.tokenType === t.Null ? 'null' : word.tokenType === t.Linear ? 'linear' : 'none'
          },
        },
        {
          ALT: () => {
            this.CONSUME(t.Previous)
            this.OPTION1(() => {
              this.CONSUME(t.Comma)
              const token = this.CONSUME(t.Duration)
              this.ACTION(() => (lookbackUs = this.#fixed(this.build.duration(token))))
            })
            return 'previous' as const
          },
        },
        {
          ALT: () => {
            const minus = this.OPTION2(() => this.CONSUME(t.Minus))
            const token = this.OR1([{ ALT: () => this.CONSUME(t.Integer) }, { ALT: () => this.CONSUME(t.Decimal) }])
            value = minus === undefined ? Number(token.image) : -Number(token.image)
            return 'constant' as const
          },
        },
      ],
      ERR_MSG: 'null, previous, linear, none or a number',
    })
    this.CONSUME(t.RightParen)
    return { mode, lookbackUs, value, span: this.spanSince(first) }
  })

  #fixed(literal: LiteralSyntax): number {
    if (literal.type !== 'duration') this.build.fail('a duration of fixed length is expected here', literal.span)
    return literal.value as number
  }

  private orderItem = this.RULE('orderItem', (): OrderSyntax => {
    const expr = this.SUBRULE(this.expression)
    const direction = this.OPTION1(() =>
      this.OR1([{ ALT: () => this.CONSUME(t.Asc) }, { ALT: () => this.CONSUME(t.Desc) }]),
    )
    const nulls = this.OPTION2(() => {
      this.CONSUME(t.Nulls)
      const end = this.OR2({
        DEF: [{ ALT: () => this.CONSUME(t.First) }, { ALT: () => this.CONSUME(t.Last) }],
        ERR_MSG: 'first or last',
      })
      return end.tokenType === t.First ? ('first' as const) : ('last' as const)
    })
    return { expr, descending: direction?.tokenType === t.Desc, nulls }
  })

  private limitClause = this.RULE('limitClause', (): CountSyntax => {
    const first = this.CONSUME(t.Limit)
    const count = this.SUBRULE(this.rowCount)
    this.OPTION(() => {
      const token = this.CONSUME(t.Per)
      this.ACTION(() => this.build.unsupported('limit … per', first, token))
    })
    return count
  })

  private rowCount = this.RULE(
    'rowCount',
    (): CountSyntax =>
      this.OR({
        DEF: [
          {
            ALT: () => {
              const token = this.CONSUME(t.Integer)
              return this.ACTION(() => this.build.integer(token))
            },
          },
          {
            ALT: () => {
              const token = this.CONSUME(t.Parameter)
              return this.ACTION(() => this.build.parameter(token))
            },
          },
        ],
        ERR_MSG: 'a number of rows',
      }),
  )

  private showStatement = this.RULE('showStatement', (): ShowStatement => {
    const first = this.CONSUME(t.Show)
    const subject = this.CONSUME(t.Name)
    const from = this.OPTION1(() => {
      this.CONSUME(t.From)
      const parts = this.SUBRULE(this.dottedName)
      return this.ACTION(() => ({
        name: parts.map(nameText).join('.'),
        span: spanFrom(spanOf(parts[0]!), spanOf(parts[parts.length - 1]!)),
      }))
    })
    const where = this.OPTION2(() => {
      this.CONSUME(t.Where)
      return this.SUBRULE(this.expression)
    })
    const limit = this.OPTION3(() => this.SUBRULE(this.limitClause))
    return this.ACTION(() => ({
      kind: 'show',
      subject: this.build.showSubject(subject),
      from,
      where,
      limit,
      span: this.spanSince(first),
    }))
  })
}
