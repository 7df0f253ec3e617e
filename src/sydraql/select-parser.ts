/**
 * The grammar of `select`: its sources, joins and clauses. A source may be a `select` again.
 *
 * Invariant: recursion through sub-selects is counted as that through parentheses (`nestingDepthMax`).
 */
import type { IToken } from 'chevrotain'
import type {
  AsOf,
  CountSyntax,
  FillSyntax,
  JoinSyntax,
  LiteralSyntax,
  OrderSyntax,
  SelectItem,
  SelectStatement,
  SourceSyntax,
  SyntaxExpr,
} from './ast.ts'
import { ExpressionParser } from './expression-parser.ts'
import { nameText, spanFrom, spanOf, stringText } from './syntax-builder.ts'
import * as t from './tokens.ts'

/** Words of other joins in SQL: without a check they would read as the alias of the source before `join`. */
const otherJoins: ReadonlySet<string> = new Set(['inner', 'left', 'right', 'full', 'outer', 'cross', 'natural', 'asof'])

export class SelectParser extends ExpressionParser {
  protected selectStatement = this.RULE('selectStatement', (): SelectStatement => {
    const first = this.CONSUME(t.Select)
    const distinct = this.OPTION(() => this.CONSUME(t.Distinct))
    const items: SelectItem[] = []
    this.AT_LEAST_ONE_SEP({
      SEP: t.Comma,
      DEF: () => items.push(this.SUBRULE(this.selectItem)),
      ERR_MSG: 'an expression',
    })
    const joins: JoinSyntax[] = []
    const source = this.OPTION1(() => {
      this.CONSUME(t.From)
      const found = this.SUBRULE(this.source)
      this.MANY(() => joins.push(this.SUBRULE(this.joinClause)))
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
    let limitPer: SyntaxExpr | undefined
    const limit = this.OPTION7(() => {
      const count = this.SUBRULE(this.limitClause)
      this.OPTION9(() => {
        this.CONSUME(t.Per)
        this.note('"per" needs what the limit is for each of', 'such as: limit 5 per tag.host')
        limitPer = this.SUBRULE4(this.expression)
      })
      return count
    })
    const offset = this.OPTION8(() => {
      this.CONSUME(t.Offset)
      return this.SUBRULE(this.rowCount)
    })
    const span = this.spanSince(first)
    return {
      kind: 'select',
      distinct: distinct !== undefined,
      items,
      source,
      joins,
      where,
      groupBy,
      having,
      fill,
      orderBy,
      limit,
      limitPer,
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

  // ---- sources ------------------------------------------------------------------------------------------------------

  private source = this.RULE('source', (): SourceSyntax => {
    const found: SourceSyntax = this.OR({
      DEF: [
        {
          GATE: () => this.LA(2).tokenType === t.LeftParen,
          ALT: () => this.SUBRULE(this.seriesSource),
          IGNORE_AMBIGUITIES: true,
        },
        { ALT: () => this.SUBRULE(this.metricSource), IGNORE_AMBIGUITIES: true },
        { ALT: () => this.SUBRULE(this.regexSource) },
        { ALT: () => this.SUBRULE(this.querySource) },
      ],
      ERR_MSG: 'a metric',
    })
    this.ACTION(() => this.build.countSource(found.span))
    return found
  })

  private seriesSource = this.RULE('seriesSource', (): SourceSyntax => {
    const first = this.CONSUME(t.ById)
    this.CONSUME(t.LeftParen)
    const id = this.CONSUME(t.Text)
    this.CONSUME(t.RightParen)
    const span = this.spanSince(first)
    const asOf = this.OPTION1({ GATE: () => this.isAsOf(), DEF: () => this.SUBRULE(this.asOf) })
    const alias = this.OPTION2(() => this.SUBRULE(this.alias))
    return { kind: 'series', id: stringText(id), ...(asOf && { asOf }), alias, span }
  })

  private metricSource = this.RULE('metricSource', (): SourceSyntax => {
    const parts = this.SUBRULE(this.dottedName)
    const asOf = this.OPTION1({ GATE: () => this.isAsOf(), DEF: () => this.SUBRULE(this.asOf) })
    const alias = this.OPTION2(() => this.SUBRULE(this.alias))
    return this.ACTION(() => ({ kind: 'metric', ...this.named(parts), ...(asOf && { asOf }), alias }))
  })

  private asOf = this.RULE('asOf', (): AsOf => {
    this.CONSUME(t.As)
    this.CONSUME(t.Of)
    const ref = this.CONSUME(t.Text)
    return this.ACTION(() => ({ ref: stringText(ref), span: spanOf(ref) }))
  })

  /** `of` may also be the alias. */
  private isAsOf(): boolean {
    return this.LA(2).tokenType === t.Of && this.LA(3).tokenType === t.Text
  }

  private regexSource = this.RULE('regexSource', (): SourceSyntax => {
    const token = this.CONSUME(t.Regex)
    const span = this.spanSince(token)
    const asOf = this.OPTION1({ GATE: () => this.isAsOf(), DEF: () => this.SUBRULE(this.asOf) })
    const alias = this.OPTION2(() => this.SUBRULE(this.alias))
    return { kind: 'regex', pattern: token.image.slice(1, -1), ...(asOf && { asOf }), alias, span }
  })

  private querySource = this.RULE('querySource', (): SourceSyntax => {
    const first = this.CONSUME(t.LeftParen)
    this.ACTION(() => this.build.enter(first))
    const select = this.SUBRULE(this.selectStatement)
    this.CONSUME(t.RightParen)
    this.ACTION(() => this.build.leave())
    const span = this.spanSince(first)
    this.note('a sub-select needs an alias', 'such as: from (select …) as s')
    const alias = this.SUBRULE(this.alias)
    return { kind: 'query', select, alias, span }
  })

  /** `join source on time [within 5s]` */
  private joinClause = this.RULE('joinClause', (): JoinSyntax => {
    const before = this.LA(0)
    const first = this.CONSUME(t.Join)
    if (!this.RECORDING_PHASE && otherJoins.has(before.image.toLowerCase())) {
      const written = `${before.image} ${first.image}`.toLowerCase()
      const hint = 'write join: it keeps the rows that find a partner; quote the word if it is an alias'
      this.build.fail(`there is no ${written}`, spanFrom(spanOf(before), spanOf(first)), hint)
    }
    const source = this.SUBRULE(this.source)
    const hint = 'such as: from a join b on time within 5s'
    this.note('a join needs "on time"', hint)
    this.CONSUME(t.On)
    this.note('rows are joined on time alone: write "on time"', `${hint}; other conditions belong to where`)
    this.CONSUME(t.Time)
    if (!this.RECORDING_PHASE && (this.next(t.Infix) || this.next(t.Dot))) {
      this.note('rows are joined on time alone: nothing follows "on time"', `${hint}; other conditions belong to where`)
    }
    let withinUs = 0
    this.OPTION(() => {
      this.CONSUME(t.Within)
      this.note('within needs a duration', 'such as: within 5s')
      const token = this.CONSUME(t.Duration)
      this.ACTION(() => (withinUs = this.fixed(this.build.duration(token))))
    })
    return { source, withinUs, span: this.spanSince(first) }
  })

  protected dottedName = this.RULE('dottedName', (): IToken[] => {
    const parts = [this.CONSUME(t.Name)]
    this.MANY(() => {
      this.CONSUME(t.Dot)
      parts.push(this.CONSUME(t.Word))
    })
    return parts
  })

  // ---- clauses ------------------------------------------------------------------------------------------------------

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
              this.ACTION(() => (lookbackUs = this.fixed(this.build.duration(token))))
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

  protected fixed(literal: LiteralSyntax): number {
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

  protected limitClause = this.RULE('limitClause', (): CountSyntax => {
    this.CONSUME(t.Limit)
    return this.SUBRULE(this.rowCount)
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
}
