/** Whatever the text: a prepared query, or a SydraError that says where. Never another error, never a hang. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SydraError } from '../../src/lib/errors.ts'
import { bind } from '../../src/sydraql/bind.ts'
import { bindWrite } from '../../src/sydraql/bind-write.ts'
import { explainJson, explainText } from '../../src/sydraql/explain.ts'
import { queryLengthMax } from '../../src/sydraql/limits.ts'
import { parse } from '../../src/sydraql/parse.ts'
import { prepare } from '../../src/sydraql/prepare.ts'
import { checkCompletion, checkText } from './check-text.ts'
import { demoSchema } from './demo-schema.ts'
import { characters, mutatedStatement, plausibleSelect, statements, tokenSoup } from './token-soup.ts'

const nowUs = 1709294400000000

function attempt(text: string): SydraError | undefined {
  try {
    const prepared = prepare(text, demoSchema)
    const parameters = new Array(prepared.parameterCount).fill(null)
    if (prepared.statement === 'insert' || prepared.statement === 'delete') {
      bindWrite(prepared, parameters, nowUs)
      return undefined
    }
    const bound = bind(prepared, parameters, nowUs)
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

describe('any text', () => {
  test.each([
    ['of characters', characters, 200],
    ['of tokens', tokenSoup, 300],
    ['that was a statement', mutatedStatement, 400],
    ['with a right syntax', plausibleSelect, 400],
  ])('%s', (_, texts, numRuns) => {
    fc.assert(
      fc.property(texts, fc.nat(300), (text, offset) => {
        checkText(text)
        checkCompletion(text, offset)
        expectPosition(text, attempt(text))
      }),
      { numRuns },
    )
  })
  test.each(statements)('every prefix and every cut of %s', text => {
    expect(attempt(text)).toBeUndefined()
    for (let at = 0; at < text.length; at++) {
      checkText(text.slice(0, at))
      checkText(text.slice(0, at) + text.slice(at + 1))
      checkCompletion(text, at)
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
    ['sub-selects', `${'select a from ('.repeat(many)}select a from cpu${') as s'.repeat(many)}`],
    ['open sub-selects', 'select a from ('.repeat(many)],
    ['sub-selects and parentheses', `${'select a from ('.repeat(150)}select ${'('.repeat(100)}`],
    [
      'expressions in deep sub-selects',
      `${'select a from ('.repeat(150)}select 1${' + 1'.repeat(100)} from cpu${') as s'.repeat(150)}`,
    ],
    ['joins', `select 1 from cpu a ${'join cpu b on time '.repeat(many)}`],
    [
      'sources of sub-selects',
      `select 1 from cpu ${'join (select usage from cpu join mem on time) s on time '.repeat(200)}`,
    ],
    ['values', `insert into cpu values ${Array.from({ length: 60_000 }, () => '(1,2)').join(',')}`],
    ['parentheses in an insert', `insert into cpu values (1, ${'('.repeat(many)}1${')'.repeat(many)})`],
    ['signs in a delete', `delete from cpu where ${'- '.repeat(many)}time`],
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

  test('an insert of ten thousand rows is fine', () => {
    const rows = Array.from({ length: 10_000 }, (_, i) => `(${1_700_000_000 + i}, ${i}.25, true, 'note ${i}')`)
    const { statement } = parse(`insert into cpu (host = 'a') fields (usage, up, note) values ${rows.join(', ')}`)
    expect(statement.kind === 'insert' && statement.rows.length).toBe(10_000)
  })

  test('many alternatives are fine', () => {
    const hosts = Array.from({ length: 2000 }, (_, i) => `tag.host = 'h${i}'`)
    expect(attempt(`select usage from cpu where ${hosts.join(' or ')}`)).toBeUndefined()
    expect(attempt(`select usage from cpu where usage in (${'1, '.repeat(5000)}1)`)).toBeUndefined()
  })
})
