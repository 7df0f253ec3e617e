/**
 * The grammar of statements: tokens to syntax tree, LL(2) with embedded actions, so that no concrete tree is built in
 * between. `select` is in `select-parser.ts`, expressions in `expression-parser.ts`.
 *
 * Invariant: the first error ends the parse; there is no recovery.
 */
import { EOF, type IToken } from 'chevrotain'
import type {
  DeleteStatement,
  ExplainStatement,
  InsertStatement,
  NamedSpan,
  ShowStatement,
  Statement,
  SyntaxExpr,
} from './ast.ts'
import { SelectParser } from './select-parser.ts'
import { type SyntaxBuilder, spanFrom, spanOf } from './syntax-builder.ts'
import * as t from './tokens.ts'

export class SydraqlParser extends SelectParser {
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
    const statement: Statement = this.OR({
      DEF: [
        { ALT: () => this.SUBRULE(this.selectStatement) },
        { ALT: () => this.SUBRULE(this.showStatement) },
        { ALT: () => this.SUBRULE(this.explainStatement) },
        { ALT: () => this.SUBRULE(this.insertStatement) },
        { ALT: () => this.SUBRULE(this.deleteStatement) },
      ],
      ERR_MSG: 'select, show, insert, delete or explain',
    })
    this.OPTION(() => this.CONSUME(t.Semicolon))
    this.CONSUME(EOF)
    return statement
  })

  private explainStatement = this.RULE('explainStatement', (): ExplainStatement => {
    const first = this.CONSUME(t.Explain)
    const analyze = this.OPTION1(() => this.CONSUME(t.Analyze))
    const json = this.OPTION2(() => this.CONSUME(t.Json))
    const statement: Statement = this.OR({
      DEF: [{ ALT: () => this.SUBRULE(this.selectStatement) }, { ALT: () => this.SUBRULE(this.showStatement) }],
      ERR_MSG: 'select or show',
    })
    return {
      kind: 'explain',
      analyze: analyze !== undefined,
      format: json === undefined ? 'text' : 'json',
      statement,
      span: this.spanSince(first),
    }
  })

  private showStatement = this.RULE('showStatement', (): ShowStatement => {
    const first = this.CONSUME(t.Show)
    const subject = this.CONSUME(t.Name)
    const from = this.OPTION1(() => {
      this.CONSUME(t.From)
      const parts = this.SUBRULE(this.dottedName)
      return this.ACTION(() => this.named(parts))
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

  // ---- writes -------------------------------------------------------------------------------------------------------

  private insertStatement = this.RULE('insertStatement', (): InsertStatement => {
    const first = this.CONSUME(t.Insert)
    this.CONSUME(t.Into)
    const metric = this.SUBRULE(this.metricName)
    const tags: InsertStatement['tags'][number][] = []
    this.OPTION1(() => {
      this.CONSUME1(t.LeftParen)
      this.AT_LEAST_ONE_SEP1({ SEP: t.Comma, DEF: () => tags.push(this.SUBRULE(this.insertTag)), ERR_MSG: 'a tag' })
      this.CONSUME1(t.RightParen)
    })
    const fields = this.OPTION2(() => {
      const names: NamedSpan[] = []
      this.CONSUME(t.Fields)
      this.CONSUME2(t.LeftParen)
      this.AT_LEAST_ONE_SEP2({
        SEP: t.Comma,
        DEF: () => names.push(this.SUBRULE(this.insertField)),
        ERR_MSG: 'a field',
      })
      this.CONSUME2(t.RightParen)
      return names
    })
    this.note('an insert needs its values', 'such as: insert into cpu values (now(), 0.5)')
    this.CONSUME(t.Values)
    const names = this.ACTION(() => fields?.map(field => field.name) ?? ['value'])
    const rows: InsertStatement['rows'][number][] = []
    this.AT_LEAST_ONE_SEP3({
      SEP: t.Comma,
      DEF: () => rows.push(this.SUBRULE(this.insertRow, { ARGS: [names] })),
      ERR_MSG: 'a row in parentheses',
    })
    return { kind: 'insert', metric, tags, fields, rows, span: this.spanSince(first) }
  })

  private metricName = this.RULE('metricName', (): NamedSpan => {
    const parts = this.SUBRULE(this.dottedName)
    return this.ACTION(() => this.named(parts))
  })

  /** `host = 'a'`, or `tag.host = 'a'` as in a condition. */
  private insertTag = this.RULE('insertTag', (): InsertStatement['tags'][number] => {
    const parts = this.SUBRULE(this.dottedName)
    this.CONSUME(t.Equal)
    const value = this.OR({
      DEF: [{ ALT: () => this.CONSUME(t.Text) }, { ALT: () => this.CONSUME(t.Parameter) }],
      ERR_MSG: 'a string or a parameter',
    })
    return this.ACTION(() => ({ key: this.named(parts, 'tag'), value: this.build.textOrParameter(value) }))
  })

  private insertField = this.RULE('insertField', (): NamedSpan => {
    const parts = this.SUBRULE(this.dottedName)
    return this.ACTION(() => this.named(parts, 'field'))
  })

  private insertRow = this.RULE('insertRow', (fields: readonly string[]): InsertStatement['rows'][number] => {
    const first = this.CONSUME(t.LeftParen)
    const found: SyntaxExpr[] = []
    this.AT_LEAST_ONE_SEP({
      SEP: t.Comma,
      DEF: () => found.push(this.SUBRULE(this.expression)),
      ERR_MSG: 'a time',
    })
    const last = this.CONSUME(t.RightParen)
    return this.ACTION(() => {
      const span = spanFrom(spanOf(first), spanOf(last))
      const [time, ...values] = found
      if (values.length !== fields.length) this.build.wrongRow(found.length, fields, span)
      return { time: time!, values, span }
    })
  })

  private deleteStatement = this.RULE('deleteStatement', (): DeleteStatement => {
    const first = this.CONSUME(t.Delete)
    this.CONSUME(t.From)
    const metric = this.SUBRULE(this.metricName)
    this.note(
      'a delete needs a range of time',
      "such as: delete from cpu where time >= '2024-03-01' and time < '2024-03-02'",
    )
    this.CONSUME(t.Where)
    const where = this.SUBRULE(this.expression)
    return { kind: 'delete', metric, where, span: this.spanSince(first) }
  })
}
