/** What the language page and the README show, runs: their examples, the page's literals, error and plan. */
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Database, errorCodes, open, type QueryParameter, type RowObject, type SydraError } from '../src/index.ts'
import { functions } from '../src/sydraql/functions.ts'
import * as limits from '../src/sydraql/limits.ts'
import { showSchemas } from '../src/sydraql/schema.ts'

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
const page = read('docs/sydraql.md')
const fencesOf = (text: string) =>
  [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language, code]) => ({ language, text: code! }))
const fences = fencesOf(page)

/** Statements of a block: each begins a line with its keyword. */
const statementsOf = (block: string): string[] => block.split(/\n(?=(?:select|insert|delete|show|explain)\b)/)
const statements = [...fences, ...fencesOf(read('README.md'))]
  .filter(({ language }) => language === 'sql')
  .flatMap(({ text }) => statementsOf(text))

const codes = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, code]) => code!)

const dayMs = 24 * 3600e3
const stepMs = 5 * 60e3

/** A day of 2024 and the day before now, in the metrics that the page asks about. */
function* rows(): Generator<RowObject> {
  for (const start of [Date.parse('2024-03-01T00:00:00Z'), Date.now() - dayMs]) {
    for (let step = 0; step * stepMs < dayMs; step++) {
      const ts = new Date(start + step * stepMs)
      for (const [index, host] of ['web-1', 'web-2'].entries()) {
        const tags = { host, dc: 'x', room: `room${index}` }
        yield { series: 'cpu', ts, tags, fields: { usage: 50 + 45 * Math.sin(step / 9 + index), temp: 60 + index } }
        yield { series: 'http', ts, tags: { host }, fields: { requests: (step % 100) * 7 } }
        if (step % 2 === 0)
          yield { series: 'weather', ts, tags: { room: `room${index}` }, fields: { celsius: 20 + index } }
      }
      yield { series: 'meter', ts, tags: { house: 'h' }, fields: { kwh: step / 10 } }
    }
  }
}

let db: Database
beforeAll(async () => {
  db = await open(':memory:')
  expect(await db.ingest(rows())).toMatchObject({ rejected: 0 })
  await db.snapshot('monday')
  return () => db.close()
})

const all = async (text: string) => (await db.query(text, parametersOf(text)).all()).rows
const parametersOf = (text: string): QueryParameter[] =>
  ['web-1', new Date('2024-03-01'), 0.5].slice(0, [...text.matchAll(/\?/g)].length)

describe('the language page', () => {
  test('has examples of every statement', () => {
    const first = new Set(statements.map(text => /^\w+/.exec(text)?.[0]))
    expect([...first].sort()).toEqual(['delete', 'explain', 'insert', 'select', 'show'])
  })

  test.each(statements)('%s', async text => {
    expect(db.diagnose(text)).toEqual([])
    expect((await all(text)).length).toBeGreaterThan(0)
  })

  const beginning = /`((?:select [^`…]+ from|insert into|delete from|show|explain [^`]*select) [^`…]+)`/g
  const inline = [...page.replaceAll(/<!-- generated[\s\S]*?<!-- end/g, '').matchAll(beginning)].map(
    ([, text]) => text!,
  )
  test.each(inline)('%s', async text => {
    expect((await all(text)).length).toBeGreaterThan(0)
  })

  test('its literals are literals', async () => {
    const table = page.slice(page.indexOf('| literal |'), page.indexOf('## Statements'))
    const [text, number, duration, timestamp] = table.split('\n').slice(2).map(codes)
    const literals = [...text!, ...number!, ...duration![0]!.split(' '), ...timestamp!.slice(0, 2)]
    for (const literal of literals)
      expect({ literal, rows: await all(`select ${literal} as v`) }).toMatchObject({ rows: [{}] })
    for (const width of duration![1]!.split(' '))
      await all(`select time_bucket(${width}, time) as t from cpu group by t`)
  })

  test('its plan is the plan', async () => {
    const block = fences.find(({ language, text }) => language === '' && text.startsWith('explain select'))!.text
    const [statement, plan] = block.split('\n\n')
    const lines = (await all(statement!)).map(row => row['plan'])
    expect(lines.slice(0, lines.indexOf('operators:'))).toEqual(plan!.trimEnd().split('\n'))
  })

  test('its error is the error', async () => {
    const shown = fences.find(({ language, text }) => language === '' && text.startsWith('expected'))!.text
    const error: SydraError = await all('select from cpu').then(undefined, reason => reason)
    expect(`${error.message}\n`).toBe(shown)
  })

  test('its limits are the limits', () => {
    const paragraph = /\*\*Limits of a query\*\*[^;]+/.exec(page)![0]
    const numbers = [...paragraph.matchAll(/[\d,]+/g)]
      .map(([text]) => Number(text.replaceAll(',', '')))
      .filter(n => n > 1)
    const { nestingDepthMax, queryNodesMax, sourcesMax, columnsMax, groupKeysMax, parametersMax } = limits
    expect(numbers).toEqual([nestingDepthMax, queryNodesMax, sourcesMax, columnsMax, groupKeysMax, parametersMax])
    expect(limits.queryLengthMax).toBe(2 ** 20)
  })

  test('what show gives is what it says', () => {
    const table = page.slice(page.indexOf('| `show` |'), page.indexOf('`as of'))
    const said = table
      .split('\n')
      .slice(2)
      .flatMap(line => {
        const [subjects = [], columns = []] = line.split('|').slice(1, 3).map(codes)
        return subjects.map((subject, index) => [subject, columns[index]] as const)
      })
    const known = Object.entries(showSchemas).map(([name, schema]) => [
      name,
      schema.map(column => column.name).join(' '),
    ])
    expect(Object.fromEntries(said)).toEqual(Object.fromEntries(known))
    const kinds = /kinds are `([^`]+)`/.exec(page)![1]!.split(' ')
    expect(new Set(kinds)).toEqual(new Set(functions.map(({ kind }) => kind)))
  })

  test('completion and diagnostics answer as shown', () => {
    const text = 'select us from cpu'
    const item = { label: 'usage', kind: 'field', insert: 'usage' }
    expect(page).toContain(
      `db.complete('${text}', 9) // { from: 7, to: 9, items: [{ label: 'usage', kind: 'field', insert: 'usage', … }`,
    )
    expect(db.complete(text, 9)).toMatchObject({ from: 7, to: 9, items: [item] })
    expect(page).toContain(
      `db.diagnose('${text}') // [{ code: 'unknown_field', start: 7, end: 9, severity: 'error', … }]`,
    )
    expect(db.diagnose(text)).toMatchObject([{ code: 'unknown_field', start: 7, end: 9, severity: 'error' }])
  })

  test('names no code that there is not', () => {
    const table = page.slice(page.indexOf('| code |'), page.indexOf('## What a query is'))
    const named = table
      .split('\n')
      .slice(2)
      .flatMap(line => [...(line.split('|')[1]?.matchAll(/`(\w+)`/g) ?? [])].map(([, code]) => code))
    expect(named.length).toBeGreaterThan(15)
    for (const code of named) expect(Object.keys(errorCodes)).toContain(code)
  })
})
