/** Text to syntax tree and back. */
import { Lexer } from 'chevrotain'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { SyntaxExpr } from '../../src/sydraql/ast.ts'
import { formatExpr, formatStatement } from '../../src/sydraql/format.ts'
import { functionInfo, functions } from '../../src/sydraql/functions.ts'
import { parse } from '../../src/sydraql/parse.ts'
import { SydraqlParser } from '../../src/sydraql/parser.ts'
import { lexed, reservedWords } from '../../src/sydraql/tokens.ts'

/** The expression of `select <text>`, printed: parentheses show how it was read. */
const expression = (text: string): string => {
  const { statement } = parse(`select ${text}`)
  if (statement.kind !== 'select') throw new Error('a select')
  return formatExpr(statement.items[0]!.expr)
}
const statement = (text: string): string => formatStatement(parse(text).statement)

const withoutSpans = (node: unknown): unknown =>
  JSON.parse(JSON.stringify(node, (key, value) => (key === 'span' || key === 'nameSpan' ? undefined : value)))

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
  ])('%s', text => {
    expect(statement(text)).toBe(text)
  })

  test('an alias may do without as, a trailing semicolon is allowed, keywords know no case', () => {
    expect(statement('SELECT Value V FROM cpu C GROUP BY V;')).toBe('select Value as V from cpu as C group by V')
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
