/** Whatever the text: a prepared query, or a SydraError that says where. Never another error, never a hang. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SydraError } from '../../src/lib/errors.ts'
import { bind } from '../../src/sydraql/bind.ts'
import { explainJson, explainText } from '../../src/sydraql/explain.ts'
import { queryLengthMax } from '../../src/sydraql/limits.ts'
import { prepare } from '../../src/sydraql/prepare.ts'
import { demoSchema } from './demo-schema.ts'

function attempt(text: string): SydraError | undefined {
  try {
    const prepared = prepare(text, demoSchema)
    const bound = bind(prepared, new Array(prepared.parameterCount).fill(null), 1709294400000000)
    explainText(bound)
    JSON.parse(explainJson(bound))
    return undefined
  } catch (error) {
    if (!(error instanceof SydraError)) throw error
    expect(error.code).not.toBe('internal_error')
    return error
  }
}

function expectPosition(text: string, error: SydraError | undefined): void {
  if (error === undefined || error.position === undefined) return
  const { line, column, offset, length } = error.position
  expect(offset).toBeGreaterThanOrEqual(0)
  expect(offset + length).toBeLessThanOrEqual(text.length)
  const lines = text.slice(0, offset).split('\n')
  expect([line, column]).toEqual([lines.length, lines.at(-1)!.length + 1])
}

const soup = (
  'select from where group by having fill order limit offset as and or not in is like between null true false case when then ' +
  'else end distinct asc desc nulls first last explain show metrics series tags cpu mem usage value up note cores time tag.host ' +
  'tag.dc field.usage avg( count( max( time_bucket( round( coalesce( ( ) , , . ; :: + - * / % = != < <= >= =~ !~ ? $1 * 1 2.5 1h 1mo ' +
  "'a' '2024-03-01' 2024-03-01 /x/ linear previous float text now() || &&"
).split(' ')

describe('any text', () => {
  test('of characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), text => expectPosition(text, attempt(text))),
      { numRuns: 1000 },
    )
  })
  test('of tokens', () => {
    const tokens = fc.array(fc.constantFrom(...soup), { maxLength: 30 })
    fc.assert(
      fc.property(fc.constantFrom('', 'select ', 'select usage from cpu where '), tokens, (start, words) => {
        const text = start + words.join(' ')
        expectPosition(text, attempt(text))
      }),
      { numRuns: 2000 },
    )
  })
  test('every prefix and every cut of a long query', () => {
    const text =
      "select time_bucket(5m, time, 'Europe/Berlin') as t, tag.host, avg(usage)::integer, case when max(value) > 1 then 'a' else null end\n" +
      "from cpu c where time between '2024-03-01' and now() - 1h and tag.dc not in ('x', ?) -- comment\n" +
      'group by t, tag.host having count(*) > 3 fill(previous, 1h) order by t desc nulls last limit 10 offset 2'
    expect(attempt(text)).toBeUndefined()
    for (let at = 0; at < text.length; at++) {
      expectPosition(text.slice(0, at), attempt(text.slice(0, at)))
      const cut = text.slice(0, at) + text.slice(at + 1)
      expectPosition(cut, attempt(cut))
    }
  })
})

describe('too much', () => {
  const many = 10_000
  test.each([
    ['parentheses', `select ${'('.repeat(many)}1${')'.repeat(many)}`],
    ['calls', `select ${'abs('.repeat(many)}1${')'.repeat(many)}`],
    ['signs', `select ${'- '.repeat(many)}a`],
    ['negations', `select ${'not '.repeat(many)}true`],
    ['sums', `select 1${' + 1'.repeat(many)}`],
    ['casts', `select 1${'::float'.repeat(many)}`],
    ['cases', `select ${'case when true then '.repeat(many)}1${' end'.repeat(many)}`],
    ['list elements', `select usage from cpu where usage in (${'1,'.repeat(110_000)}1)`],
    ['characters', 'a'.repeat(queryLengthMax + 1)],
  ])('%s', (_, text) => {
    expect(attempt(text)?.code).toBe('query_too_complex')
  })

  test.each([
    ['open parentheses', `select ${'('.repeat(100)}`, 'syntax_error'],
    ['an unclosed string', `select '${"''".repeat(200_000)}`, 'syntax_error'],
    ['an unclosed comment', `select /*${'* /'.repeat(200_000)}`, 'syntax_error'],
    ['digits', `select ${'1'.repeat(500_000)}x`, 'syntax_error'],
    ['a long number', `select ${'1'.repeat(500_000)}`, 'integer_out_of_range'],
    ['durations', `select ${'1s'.repeat(200_000)}x`, 'syntax_error'],
    ['slashes', `select ${'/'.repeat(500_000)}`, 'syntax_error'],
    ['a long regex', `select tag.host =~ /${'(a*)*'.repeat(50_000)}/ from cpu`, 'invalid_regex'],
  ])('%s', (_, text, code) => {
    expect(attempt(text)?.code).toBe(code)
  })

  test('many alternatives are fine', () => {
    const hosts = Array.from({ length: 2000 }, (_, i) => `tag.host = 'h${i}'`)
    expect(attempt(`select usage from cpu where ${hosts.join(' or ')}`)).toBeUndefined()
    expect(attempt(`select usage from cpu where usage in (${'1, '.repeat(5000)}1)`)).toBeUndefined()
  })
})
