/** Text to syntax tree and back. */
import { Lexer } from 'chevrotain'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SydraError } from '../../src/lib/errors.ts'
import type {
  AsOf,
  FillSyntax,
  InsertStatement,
  OrderSyntax,
  SelectStatement,
  ShowStatement,
  SourceSyntax,
  Statement,
  SyntaxExpr,
} from '../../src/sydraql/ast.ts'
import { formatExpr, formatStatement } from '../../src/sydraql/format.ts'
import { functionInfo, functions } from '../../src/sydraql/functions.ts'
import { parse } from '../../src/sydraql/parse.ts'
import { SydraqlParser } from '../../src/sydraql/parser.ts'
import { lexed, reservedWords } from '../../src/sydraql/tokens.ts'
import { withoutSpans } from './without-spans.ts'

/** The expression of `select <text>`, printed: parentheses show how it was read. */
const expression = (text: string): string => {
  const { statement } = parse(`select ${text}`)
  if (statement.kind !== 'select') throw new Error('a select')
  return formatExpr(statement.items[0]!.expr)
}
const statement = (text: string): string => formatStatement(parse(text).statement)

test('the lexer can be optimised and has no pattern that another hides', () => {
  const { lexerDefinitionErrors } = new Lexer([...lexed], { ensureOptimizations: true, positionTracking: 'onlyOffset' })
  expect(lexerDefinitionErrors).toEqual([])
})

test('the grammar has no ambiguity that chevrotain finds', () => {
  expect(() => new SydraqlParser(false)).not.toThrow()
})

describe('expressions', () => {
  test.each([
    ['1 + 2 * 3', '1 + 2 * 3'],
    ['(1 + 2) * 3', '(1 + 2) * 3'],
    ['1 - 2 - 3', '1 - 2 - 3'],
    ['1 - (2 - 3)', '1 - (2 - 3)'],
    ['a or b and c', 'a or b and c'],
    ['(a or b) and c', '(a or b) and c'],
    ['a || b && c', 'a or b and c'],
    ['not a = b and c', 'not a = b and c'],
    ['not not a', 'not not a'],
    ['a between 1 and 2 and b', 'a between 1 and 2 and b'],
    ['a not between 1 and 2 + 3', 'a not between 1 and 2 + 3'],
    ['a is not null or b is null', 'a is not null or b is null'],
    ['a not in (1, 2)', 'a not in (1, 2)'],
    ["a NOT LIKE 'x%'", "a not like 'x%'"],
    ['a !~ /x/', 'a !~ /x/'],
    ['a =~ /x\\/y/', 'a =~ /x\\/y/'],
    ['a / b / c', 'a / b / c'],
    ['-a * b', '-a * b'],
    ['-(a * b)', '-(a * b)'],
    ['- - a', '-(-a)'],
    ['+a', 'a'],
    ['-5::text', '-5::string'],
    ['(-5)::text', '(-5)::string'],
    ['cast(a + 1 as int)', '(a + 1)::integer'],
    ['a::float::text', 'a::float::string'],
    ['a == b', 'a = b'],
    ['a <> b', 'a != b'],
    ['count(*)', 'count(*)'],
    ['count(distinct a)', 'count(distinct a)'],
    ['extract(hour from time)', "extract('hour', time)"],
    ['case when a then 1 else 2 end', 'case when a then 1 else 2 end'],
    ['case a when 1 then 2 end', 'case a when 1 then 2 end'],
    ['5m30s', '5m30s'],
    ['90s', '1m30s'],
    ['1500us', '1ms500us'],
    ['12mo', '1y'],
    ['2024-03-01', '2024-03-01T00:00:00Z'],
    ['2024-03-01T12:00:00.5+01:00', '2024-03-01T11:00:00.500Z'],
    ['2024-03-01T12:00', '2024-03-01T12:00:00Z'],
    ["'it''s'", "'it''s'"],
    ['1e3', '1000.0'],
    ['.5', '0.5'],
    ['99999999999999999999', '99999999999999999999'],
    ['tag.order', 'tag."order"'],
    ['"from"."a b"', '"from"."a b"'],
    ['first', 'first'],
    ['First(a)', 'First(a)'],
    ['1 -- comment\n + 2 /* and * another */', '1 + 2'],
  ])('%s', (text, printed) => {
    expect(expression(text)).toBe(printed)
    expect(expression(printed)).toBe(printed)
  })

  test('a chain of thousands is flat', () => {
    const chain = Array.from({ length: 5000 }, (_, i) => `a = ${i}`).join(' or ')
    expect(expression(chain)).toBe(chain)
  })
})

describe('statements', () => {
  test.each([
    'select * from cpu',
    'select a as x, b as "y z" from cpu as c where a > 1 group by x, tag.host having x > 2 fill(previous, 1h) order by x desc nulls last, b limit 10 offset 5',
    'select a from "weather.room1" fill(-1.5)',
    "select a from by_id('123') as c limit $1 offset $2",
    'select 1',
    'explain select 1',
    'explain json select 1',
    "show tags from cpu where tag like 'h%' limit 3",
    'explain show metrics',
    'explain analyze select 1',
    'explain analyze json select 1',
    'show rollups limit 2',
    'select distinct tag.host from cpu order by tag.host',
    'select time from /^cpu-\\d+/ as c where tag.host = $1',
    'select s.a from (select avg(usage) as a from (select * from cpu limit 9) as cpu) as s where s.a > 1',
    'select a.usage, b.used from cpu as a join mem as b on time within 5s join /x/ on time join (select 1) as c on time',
    'select usage from cpu order by time limit 3 per tag.host offset 1',
    "insert into cpu (host = 'a', dc = $1) fields (usage, up) values (now(), 0.5, true), ('2024-03-01', null, $2)",
    'insert into "weather.room1" values (now() - 1h, 5::integer)',
    "delete from cpu where time >= 2024-03-01T00:00:00Z and time < now() and tag.host = 'a'",
  ])('%s', text => {
    expect(statement(text)).toBe(text)
  })

  test('an alias may do without as, a trailing semicolon is allowed, keywords know no case', () => {
    expect(statement('SELECT Value V FROM cpu C GROUP BY V;')).toBe('select Value as V from cpu as C group by V')
  })

  test('what may be written in several ways', () => {
    expect(statement('select a from (select b from c) d JOIN e f ON Time WITHIN 0s')).toBe(
      'select a from (select b from c) as d join e as f on time',
    )
    expect(
      statement("insert into weather.room1 (tag.host = 'a', \"tag.x\" = 'b') fields (field.v, w) values (1, 2, 3)"),
    ).toBe('insert into "weather.room1" (host = \'a\', "tag.x" = \'b\') fields (v, w) values (1, 2, 3)')
    expect(statement('select insert, into, fields, values, within, per from delete within')).toBe(
      'select insert, into, fields, values, within, per from delete as within',
    )
  })

  test('parameters are numbered through sub-selects', () => {
    expect(statement('select ? from (select ? from a where b = ?) c where d = ?')).toBe(
      'select $1 from (select $2 from a where b = $3) as c where d = $4',
    )
  })

  test('words that are not reserved are names', () => {
    expect(reservedWords).toEqual(
      'select from where group having order limit offset as and or not in is like ilike between null true false case when then else end distinct join on'.split(
        ' ',
      ),
    )
    expect(statement('select fill, show, json first, by, last last from explain')).toBe(
      'select fill, show, json as first, by, last as last from explain',
    )
  })

  test('parameters are numbered in order', () => {
    expect(statement('select ? from cpu where a = ? limit ?')).toBe('select $1 from cpu where a = $2 limit $3')
    expect(parse('select $3, $1').parameterCount).toBe(3)
  })
})

// ---- round trip -----------------------------------------------------------------------------------------------------

const span = { start: 0, end: 0 }
const leaf: fc.Arbitrary<SyntaxExpr> = fc.oneof(
  fc.integer().map(value => ({ kind: 'literal', type: 'integer', value, span }) as const),
  fc.double({ noNaN: true }).map(value => ({ kind: 'literal', type: 'float', value, span }) as const),
  fc.string().map(value => ({ kind: 'literal', type: 'string', value, span }) as const),
  fc.boolean().map(value => ({ kind: 'literal', type: 'boolean', value, span }) as const),
  fc.constant({ kind: 'literal', type: 'null', value: null, span } as const),
  fc.integer({ min: -1e12, max: 1e15 }).map(value => ({ kind: 'literal', type: 'duration', value, span }) as const),
  fc.integer({ min: 1, max: 99 }).map(value => ({ kind: 'literal', type: 'calendar', value, span }) as const),
  fc.integer({ min: -8e15, max: 8e15 }).map(value => ({ kind: 'literal', type: 'timestamp', value, span }) as const),
  fc
    .array(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 3 })
    .map(parts => ({ kind: 'name', parts, span }) as const),
  fc.integer({ min: 1, max: 9 }).map(index => ({ kind: 'parameter', index, span }) as const),
)
const operatorNames = functions.filter(info => info.kind === 'operator').map(info => info.name)

const { tree } = fc.letrec<{ tree: SyntaxExpr }>(tie => ({
  tree: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc
      .tuple(fc.constantFrom(...operatorNames, 'between'), fc.array(tie('tree'), { minLength: 3, maxLength: 4 }))
      .filter(([name, args]) => name !== 'neg' || args[0]!.kind !== 'literal')
      .map(([name, args]): SyntaxExpr => {
        const count =
          name === 'between'
            ? 3
            : name === 'in' || name === 'and' || name === 'or'
              ? args.length
              : functionInfo(name)!.parameters.length
        return { kind: 'operator', name, args: args.slice(0, count), span }
      }),
    fc.tuple(fc.constantFrom('avg', 'first', 'f'), fc.array(tie('tree'), { maxLength: 3 }), fc.boolean()).map(
      ([name, args, distinct]): SyntaxExpr => ({
        kind: 'call',
        name,
        args,
        distinct: distinct && args.length > 0,
        nameSpan: span,
        span,
      }),
    ),
    fc
      .tuple(
        fc.option(tie('tree'), { nil: undefined }),
        tie('tree'),
        tie('tree'),
        fc.option(tie('tree'), { nil: undefined }),
      )
      .map(
        ([subject, when, then, otherwise]): SyntaxExpr => ({
          kind: 'case',
          subject,
          branches: [{ when, then }],
          otherwise,
          span,
        }),
      ),
  ),
}))

test('what is printed of a tree parses to that tree', () => {
  fc.assert(
    fc.property(tree, expr => {
      const text = formatExpr(expr)
      const { statement } = parse(`select ${text}`)
      if (statement.kind !== 'select') throw new Error('a select')
      expect(withoutSpans(statement.items[0]!.expr)).toEqual(withoutSpans(expr))
    }),
    { numRuns: 500 },
  )
})

// ---- statements -----------------------------------------------------------------------------------------------------

const name = fc.oneof(
  fc.constantFrom('cpu', 'a.b', 'within', 'per', 'by_id', 'of', 'time', 'select', 'x y'),
  fc.string({ minLength: 1 }),
)
const optional = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(of, { nil: undefined })
const named = name.map(name => ({ name, span }))
const exprs = fc.array(tree, { minLength: 1, maxLength: 2 })
const count = fc.oneof(
  fc.nat().map(value => ({ kind: 'literal', type: 'integer', value, span }) as const),
  fc.integer({ min: 1, max: 9 }).map(index => ({ kind: 'parameter', index, span }) as const),
)
const duration = fc.integer({ min: 0, max: 1e12 })
const fill: fc.Arbitrary<FillSyntax> = fc.oneof(
  fc
    .constantFrom('none', 'null', 'linear')
    .map(mode => ({ mode, lookbackUs: undefined, value: undefined, span }) as const),
  optional(duration).map(lookbackUs => ({ mode: 'previous', lookbackUs, value: undefined, span }) as const),
  fc.double({ noNaN: true }).map(value => ({ mode: 'constant', lookbackUs: undefined, value, span }) as const),
)
const order: fc.Arbitrary<OrderSyntax> = fc.record({
  expr: tree,
  descending: fc.boolean(),
  nulls: optional(fc.constantFrom('first', 'last')),
})
/** Absent where it is undefined, as the parser has it. */
const past = { asOf: optional(fc.string().map(ref => ({ ref, span }))) }
const present = <T extends { asOf: AsOf | undefined }>({ asOf, ...source }: T) => ({ ...source, ...(asOf && { asOf }) })
const { select } = fc.letrec<{ select: SelectStatement; source: SourceSyntax }>(tie => ({
  source: fc.oneof(
    { depthSize: 'small' },
    fc
      .record({ kind: fc.constant('metric' as const), name, ...past, alias: optional(name), span: fc.constant(span) })
      .map(present),
    fc
      .record({
        kind: fc.constant('series' as const),
        id: fc.string(),
        ...past,
        alias: optional(name),
        span: fc.constant(span),
      })
      .map(present),
    fc
      .record({
        kind: fc.constant('regex' as const),
        pattern: fc.stringMatching(/^([a-z]|\\\/|[.^$()[\]'"-])([a-z]|\\\/|[.*^$()[\]'"-])*$/),
        ...past,
        alias: optional(name),
        span: fc.constant(span),
      })
      .map(present),
    fc.record({ kind: fc.constant('query' as const), select: tie('select'), alias: name, span: fc.constant(span) }),
  ),
  select: fc
    .record({
      distinct: fc.boolean(),
      items: fc.array(fc.record({ expr: tree, alias: optional(name), span: fc.constant(span) }), {
        minLength: 1,
        maxLength: 3,
      }),
      source: optional(tie('source')),
      joins: fc.array(fc.record({ source: tie('source'), withinUs: duration, span: fc.constant(span) }), {
        maxLength: 2,
      }),
      where: optional(tree),
      groupBy: fc.oneof(fc.constant([]), exprs),
      having: optional(tree),
      fill: optional(fill),
      orderBy: fc.array(order, { maxLength: 2 }),
      limit: optional(count),
      limitPer: optional(tree),
      offset: optional(count),
    })
    .map(
      ({ joins, limitPer, ...rest }): SelectStatement => ({
        kind: 'select',
        ...rest,
        joins: rest.source === undefined ? [] : joins,
        limitPer: rest.limit === undefined ? undefined : limitPer,
        span,
      }),
    ),
}))
const show: fc.Arbitrary<ShowStatement> = fc.record({
  kind: fc.constant('show' as const),
  subject: fc.constantFrom('metrics', 'series', 'tags', 'fields', 'segments', 'rollups', 'functions', 'settings'),
  from: optional(named),
  where: optional(tree),
  limit: optional(count),
  span: fc.constant(span),
})
const textOrParameter = fc.oneof(
  fc.string().map(value => ({ kind: 'literal', type: 'string', value, span }) as const),
  fc.integer({ min: 1, max: 9 }).map(index => ({ kind: 'parameter', index, span }) as const),
)
const insert: fc.Arbitrary<InsertStatement> = fc
  .tuple(
    named,
    fc.array(fc.record({ key: named, value: textOrParameter }), { maxLength: 2 }),
    optional(fc.array(named, { minLength: 1, maxLength: 3 })),
  )
  .chain(([metric, tags, fields]) => {
    const count = fields?.length ?? 1
    const values = fc.array(tree, { minLength: count, maxLength: count })
    return fc.record({
      kind: fc.constant('insert' as const),
      metric: fc.constant(metric),
      tags: fc.constant(tags),
      fields: fc.constant(fields),
      rows: fc.array(fc.record({ time: tree, values, span: fc.constant(span) }), { minLength: 1, maxLength: 3 }),
      span: fc.constant(span),
    })
  })
const anyStatement: fc.Arbitrary<Statement> = fc.oneof(
  { weight: 3, arbitrary: select },
  show,
  insert,
  fc.record({ kind: fc.constant('delete' as const), metric: named, where: tree, span: fc.constant(span) }),
  fc.record({
    kind: fc.constant('explain' as const),
    analyze: fc.boolean(),
    format: fc.constantFrom('text', 'json'),
    statement: fc.oneof(select, show),
    span: fc.constant(span),
  }),
)

test('what is printed of a statement parses to that statement', () => {
  fc.assert(
    fc.property(anyStatement, statement => {
      expect(withoutSpans(parse(formatStatement(statement)).statement)).toEqual(withoutSpans(statement))
    }),
    { numRuns: 500 },
  )
})

// ---- errors ---------------------------------------------------------------------------------------------------------

/** `^` marks where the error is said to be. */
test.each([
  ['select a from b join c^', 'a join needs "on time"', 'within 5s'],
  ['select a from b join c ^where d', 'a join needs "on time"', 'within 5s'],
  ['select a from b join c on ^b.time = c.time', 'write "on time"', 'belong to where'],
  ['select a from b join c on time ^= c.time', 'nothing follows "on time"', 'belong to where'],
  ['select a from b join c on time within^', 'within needs a duration', 'within 5s'],
  ['select a from b join c on time within ^5', 'within needs a duration', 'within 5s'],
  ['select a from b join c on time within ^1mo', 'fixed length', undefined],
  ['select a from b ^left join c on time', 'there is no left join', 'write join'],
  ['select a from b limit 5 per^', '"per" needs', 'limit 5 per tag.host'],
  ['select a from (select b from c)^', 'a sub-select needs an alias', 'as s'],
  ['select a from (select b from c) ^where d', 'a sub-select needs an alias', 'as s'],
  ['select (^select 1)', 'expected an expression', 'after from or join'],
  ['insert into cpu^', 'an insert needs its values', 'values (now(), 0.5)'],
  ['insert into cpu ^vales (1, 2)', 'an insert needs its values', 'did you mean "values"'],
  ['insert into cpu fields (a, b) values (1, 2, 3), ^(1, 2)', '2 values, expected 3: time, a, b', undefined],
  ['insert into cpu values ^(1)', '1 value, expected 2: time, value', undefined],
  ['insert into cpu (host = ^5) values (1, 2)', 'a string or a parameter', undefined],
  ['delete from cpu^', 'a delete needs a range of time', 'time >='],
  ['delete ^form cpu where a', 'expected from', 'did you mean "from"'],
  ['select a order by b ^from c', 'unexpected', '"from" stands before "order by"'],
  ['select a from b limit 5 ^order by c', 'unexpected', '"order by" stands before "limit"'],
  ['select a from b where c ^where d', 'unexpected', 'a second "where"'],
  ['select a from b joni ^c on time', 'unexpected', 'did you mean "join"'],
  ['select a from b limit 5 ^pre c', 'unexpected', 'did you mean "per"'],
  ['select a from b join c onn ^time', 'a join needs "on time"', 'did you mean "on"'],
  ['explain ^analyse select 1', 'expected select or show', 'did you mean "analyze"'],
  ['^insrt into a values (1, 2)', 'expected select, show, insert, delete or explain', 'did you mean "insert"'],
  ["select a from b as c ^of 'x'", 'unexpected', undefined],
  ["select a from (select b from c) as d ^as of 'x'", 'unexpected', undefined],
])('%s', (marked, message, hint) => {
  const text = marked.replace('^', '')
  let error: unknown
  try {
    parse(text)
  } catch (thrown) {
    error = thrown
  }
  if (!(error instanceof SydraError)) throw new Error('an error is expected')
  expect(error.message).toContain(message)
  expect(error.hint ?? '').toContain(hint ?? '')
  expect(error.position?.offset).toBe(marked.indexOf('^'))
})
