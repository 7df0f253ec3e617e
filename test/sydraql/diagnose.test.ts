/** Diagnostics: every error of a text, at its place. */
import { describe, expect, test } from 'vitest'
import { diagnose } from '../../src/sydraql/editor/diagnose.ts'
import { demoSchema } from './demo-schema.ts'

const found = (text: string) =>
  diagnose(text, demoSchema).map(({ code, start, end }) => `${code}: ${text.slice(start, end)}`)

describe('diagnose', () => {
  test('a right statement has none', () => {
    expect(found('select usage from cpu where time > now() - 1h')).toEqual([])
    expect(found("insert into cpu (host = 'a') fields (usage) values (now(), 0.5)")).toEqual([])
  })

  test('a syntax error is the only one, in one line', () => {
    expect(diagnose('select usage\nfrom cpu wher usr', demoSchema)).toEqual([
      {
        code: 'syntax_error',
        message:
          'unexpected "usr", expected where, group by, having, order by, limit, offset, join, fill or the end of the query',
        hint: 'did you mean "where" for "wher"?',
        start: 27,
        end: 30,
        line: 2,
        column: 15,
        severity: 'error',
      },
    ])
  })

  test('what is missing at the end has no width', () => {
    expect(diagnose('select usage from ', demoSchema)).toMatchObject([{ start: 17, end: 17, line: 1, column: 18 }])
    expect(diagnose('', demoSchema)).toMatchObject([{ code: 'syntax_error', start: 0, end: 0, line: 1, column: 1 }])
  })

  test('errors of meaning come all at once, in the order of their places', () => {
    expect(found('select usr, tag.hots, abz(usage) from cpu where nothing = 1')).toEqual([
      'unknown_field: usr',
      'unknown_tag: tag.hots',
      'unknown_function: abz',
      'unknown_field: nothing',
    ])
  })
})
