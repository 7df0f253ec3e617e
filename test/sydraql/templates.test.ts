/**
 * Templates: a plan from a filled template is the plan made for the values from scratch, spans and fired rules included, and
 * where one is an error so is the other. From scratch: with rules left out by name, of which there are none here.
 */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SydraError } from '../../src/lib/errors.ts'
import { type BindOptions, bind } from '../../src/sydraql/bind.ts'
import type { ParameterValue } from '../../src/sydraql/parameters.ts'
import type { LogicalPlan } from '../../src/sydraql/plan.ts'
import { type Prepared, prepare } from '../../src/sydraql/prepare.ts'
import { inputsOf } from '../../src/sydraql/rules/rule.ts'
import { demoSchema } from './demo-schema.ts'
import { plausibleSelect } from './token-soup.ts'

const nowUs = Date.UTC(2024, 2, 1, 12) * 1000
const scratch = new Set<string>()

function outcome(prepared: Prepared, values: readonly ParameterValue[], options: BindOptions): object {
  try {
    return bind(prepared, values, nowUs, options)
  } catch (error) {
    if (!(error instanceof SydraError)) throw error
    const { code, message, hint, position } = error
    return { code, message, hint, position }
  }
}

/** Whether the plans come from one template: rules make another schema each time. */
function isServed(query: Prepared, ...executions: readonly (readonly ParameterValue[])[]): boolean {
  bind(query, executions[0]!, nowUs)
  const leaf = (plan: LogicalPlan): LogicalPlan => inputsOf(plan).map(leaf)[0] ?? plan
  const schemas = executions.map((values, i) => leaf(bind(query, values, nowUs + i).plan).schema)
  return schemas.every(schema => schema === schemas[0])
}

const textOf = (plan: unknown): string =>
  JSON.stringify(plan, (_, value) => (typeof value === 'number' && !Number.isSafeInteger(value) ? `${value}` : value))

function expectSame(prepared: Prepared, values: readonly ParameterValue[]): void {
  // The first time is from scratch, too.
  outcome(prepared, values, {})
  for (const requireTimeRange of [false, true]) {
    const made = outcome(prepared, values, { requireTimeRange, withoutRules: scratch })
    const context = () => `${prepared.text} -- ${JSON.stringify(values)}`
    const filled = outcome(prepared, values, { requireTimeRange })
    // Texts are quicker to compare.
    if (textOf(filled) !== textOf(made)) expect(filled, context()).toStrictEqual(made)
  }
}

/** A select or show; undefined for other texts and those that are wrong. */
function prepared(text: string): Prepared | undefined {
  try {
    const found = prepare(text, demoSchema)
    return found.statement === 'select' || found.statement === 'show' ? found : undefined
  } catch (error) {
    if (!(error instanceof SydraError)) throw error
    return undefined
  }
}

const dayUs = 86_400e6
const anyValue: fc.Arbitrary<ParameterValue> = fc.oneof(
  fc.constantFrom(null, Number.NaN, Infinity, -1, 0, -0, 1, 2, 1.5, 0.5, 10, 2 ** 53, 1e18),
  fc.constantFrom('', 'a', 'b', '(', 'web-%', '5m', '-1h', '2024-03-01', '2024-02-29T12:00:00.5Z', 'utc', 'Mars/Base'),
  fc.constantFrom(true, false, new Date('2024-03-01'), new Date(Number.NaN)),
  fc.integer({ min: -3, max: 3 }).map(days => nowUs + days * dayUs),
)

/** What a literal of a text says, as a value that may stand for it. */
function valueOfText(text: string): ParameterValue {
  if (text === 'true' || text === 'false') return text === 'true'
  if (text.startsWith("'")) return text.slice(1, -1)
  const number = Number(text)
  return Number.isNaN(number) ? text : number
}
const literal =
  /'[^']*'|\b\d{4}-\d\d-\d\d(?:T[\d:.]+Z?)?\b|\b\d+(?:\.\d+)?(?:us|ms|[smhdw])?\b(?!-)|\b(?:true|false)\b/g

const golden = ['plans', 'rules', 'errors']
  .flatMap(name => readFileSync(new URL(`golden/${name}.txt`, import.meta.url), 'utf8').split('\n'))
  .filter(line => line.startsWith('> '))
  .map(line => line.slice(2).replace(/^.* \| /, ''))

describe('the same plan from a template as from scratch', () => {
  test('golden queries', () => {
    for (const line of golden) {
      const [query, params] = line.split(/\s+-- (?:plain$|params )/)
      const found = prepared(query!)
      if (found !== undefined) expectSame(found, params ? JSON.parse(params) : [])
    }
  })

  test('golden queries with parameters and now() in the place of some literals', () => {
    const texts = golden.map(line => line.split(/\s+-- /)[0]!.replaceAll('?', '1')).filter(text => prepared(text))
    const kept = fc.constantFrom('literal', 'value', 'value', 'any', 'now')
    let templates = 0
    fc.assert(
      fc.property(
        fc.constantFrom(...texts),
        fc.infiniteStream(kept),
        fc.infiniteStream(anyValue),
        (text, choices, others) => {
          const values: ParameterValue[] = []
          const lifted = text.replaceAll(literal, found => {
            const choice = choices.next().value
            if (choice === 'literal') return found
            if (choice === 'now') return found.startsWith("'2") || found.startsWith('2024') ? 'now() - 1h' : found
            values.push(choice === 'value' ? valueOfText(found) : others.next().value)
            return '?'
          })
          const query = prepared(lifted)
          if (query === undefined) return
          expectSame(query, values)
          if (values.length > 0 && 'plan' in outcome(query, values, {}) && isServed(query, values, values)) templates++
          expectSame(
            query,
            Array.from(values, () => others.next().value),
          )
        },
      ),
      { numRuns: 3000 },
    )
    expect(templates).toBeGreaterThan(500)
  })

  test('plausible queries', () => {
    fc.assert(
      fc.property(plausibleSelect, fc.infiniteStream(anyValue), (text, values) => {
        const query = prepared(text)
        if (query !== undefined)
          expectSame(
            query,
            Array.from({ length: query.parameterCount }, () => values.next().value),
          )
      }),
      { numRuns: 1500 },
    )
  })
})

const served: [text: string, ...executions: ParameterValue[][]][] = [
  ['select usage from cpu where time >= now() - 1h order by time limit 10', [], []],
  ['select usage from cpu where time >= ? and time < ?', ['2024-03-01', '2024-03-02'], [0, 1]],
  ['select usage from cpu where time between ? and ? + 1h and tag.host = ?', [0, 5, 'a'], [1, 6, 'b']],
  ['select usage from cpu where usage > ? and note =~ ? and up = ?', [0, 'a', true], [1, 'b', false]],
  ['select usage from cpu where tag.host in (?, ?) limit ? offset ?', ['a', 'b', 1, 0], ['b', 'c', 2, 20]],
  ['select percentile(usage, ?), max(usage * ?) from cpu group by tag.host', [0.5, 1], [0.9, 2]],
  ['select time, moving_avg(usage, ?) v from cpu where time > ?', ['5m', 0], [3, 1]],
  [
    'select time_bucket(5m, time) t, avg(usage) v from cpu where time >= ? and time < now() group by t having v > ? fill(linear)',
    [0, 1],
    [1, 2],
  ],
  ['select max(v) from (select usage v from cpu where time >= ? order by v desc limit ?) s', [0, 1], [1, 2]],
  ['select usage from cpu where time >= ?', [0], [1], [2]],
]
const notServed: [why: string, text: string, ...executions: ParameterValue[][]][] = [
  ['a null', 'select usage from cpu where usage > ?', [1], [null]],
  ['an empty range', 'select usage from cpu where time > ? and time < ?', [1, 9], [9, 1]],
  ['no rows wanted', 'select usage from cpu limit ?', [1], [0]],
  ['a condition that a value decides', 'select usage from cpu where usage > 1 or ?', [true], [false]],
  ['ranges to choose from', 'select usage from cpu where time < ? or time > ?', [1, 9], [2, 8]],
  ['limits per series', 'select usage from cpu limit ? per tag.host', [1], [2]],
  ['a range carried over a join', 'select a.usage from cpu a join mem b on time where a.time > ?', [1], [2]],
]
describe('what a template serves', () => {
  test.each(served)('%s', (text, ...executions) => {
    expect(isServed(prepare(text, demoSchema), ...executions)).toBe(true)
  })
  test.each(notServed)('not: %s', (_, text, ...executions) => {
    expect(isServed(prepare(text, demoSchema), ...executions)).toBe(false)
  })
})

test('filling leaves the template as it was', () => {
  const query = prepare('select usage from cpu where time >= ? and usage > ? limit ?', demoSchema)
  bind(query, [1, 2, 3], nowUs)
  const first = JSON.stringify(bind(query, [1, 2, 3], nowUs))
  bind(query, ['2024-03-01', 7, 10], nowUs)
  expect(JSON.stringify(bind(query, [1, 2, 3], nowUs))).toBe(first)
})
