/** The registry, and what analysis and binding make of it. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { functionTable, withGenerated } from '../../scripts/generate-docs.ts'
import { bind } from '../../src/sydraql/bind.ts'
import { explained, explainText } from '../../src/sydraql/explain.ts'
import { callableNames, functionInfo, functions, signature } from '../../src/sydraql/functions.ts'
import { ruleNames } from '../../src/sydraql/optimize.ts'
import { prepare } from '../../src/sydraql/prepare.ts'
import { demoSchema } from './demo-schema.ts'

const nowUs = Date.UTC(2024, 2, 1) * 1000

describe('registry', () => {
  test('names are unique and lower case', () => {
    const names = functions.map(info => info.name)
    expect(new Set(names).size).toBe(names.length)
    expect(names.every(name => /^[a-z][a-z0-9_]*$/.test(name))).toBe(true)
  })
  test.each(functions.map(info => [info.name, info.example]))('the example of %s can be planned', (_, example) => {
    expect(bind(prepare(example, demoSchema), [], nowUs).plan).toBeDefined()
  })
  test('signatures', () => {
    const of = (name: string) => signature(functionInfo(name)!)
    expect(of('round')).toBe('round(x number [, digits integer]) → number')
    expect(of('count')).toBe('count([distinct] v | *) → integer')
    expect(of('ge')).toBe('a >= b → boolean')
    expect(callableNames).toContain('mod')
    expect(callableNames).not.toContain('add')
  })
  test('the documentation has the table of this registry', () => {
    const page = readFileSync(new URL('../../docs/sydraql.md', import.meta.url), 'utf8')
    expect(withGenerated(page, 'functions', functionTable())).toBe(page)
  })
})

describe('bind', () => {
  test('a Date, a text and µs are the same time', () => {
    const prepared = prepare('select usage from cpu where time >= ?', demoSchema)
    const plans = [new Date('2024-03-01'), '2024-03-01', 1709251200000000].map(
      value => bind(prepared, [value], nowUs).plan,
    )
    expect(plans[0]).toEqual(plans[1])
    expect(plans[1]).toEqual(plans[2])
  })
  test('now() is the time given, each time', () => {
    const prepared = prepare('select now() as n', demoSchema)
    const rows = [nowUs, nowUs + 1].map(now => explainText(bind(prepared, [], now)).split('\n')[0])
    expect(rows).toEqual(['project 2024-03-01T00:00:00Z as n', 'project 2024-03-01T00:00:00.000001Z as n'])
  })
  test('a query that nothing varies has one plan, once it has come again', () => {
    const prepared = prepare('select usage from cpu', demoSchema)
    bind(prepared, [], 0)
    expect(bind(prepared, [], 1)).toBe(bind(prepared, [], 2))
  })
  test('a time range can be required', () => {
    const options = { requireTimeRange: true }
    expect(() => bind(prepare('select usage from cpu', demoSchema), [], nowUs, options)).toThrow(
      expect.objectContaining({ code: 'time_range_required' }),
    )
    expect(
      bind(prepare('select usage from cpu where time > now() - 1h', demoSchema), [], nowUs, options).plan,
    ).toBeDefined()
  })
  test('a value never becomes syntax', () => {
    const prepared = prepare('select usage from cpu where tag.host = ?', demoSchema)
    const plan = explainText(bind(prepared, ["' or true --"], nowUs))
    expect(plan).toContain("series where tag.host = ''' or true --'")
  })
})

describe('rules', () => {
  const text =
    'select usage from cpu where time >= now() - 1h and not (usage < 1) and tag.host = ? order by time limit 10'
  test.each(ruleNames)('%s can be switched off', rule => {
    const prepared = prepare(text, demoSchema)
    const { firedRules, plan } = bind(prepared, ['a'], nowUs, { withoutRules: new Set([rule]) })
    expect(firedRules).not.toContain(rule)
    expect(plan.schema).toEqual(prepared.schema)
  })
  test('without any the plan has a node per clause', () => {
    const { plan, firedRules } = bind(prepare(text, demoSchema), ['a'], nowUs, { withoutRules: new Set(ruleNames) })
    const kinds: string[] = []
    for (let node = plan; ; node = node.input) {
      kinds.push(node.kind)
      if (!('input' in node)) break
    }
    expect(kinds).toEqual(['limit', 'project', 'sort', 'filter', 'scan'])
    expect(firedRules).toEqual([])
  })
})

describe('explain', () => {
  test('as rows of text, and as one of JSON', () => {
    const prepared = prepare('explain select count(*) from cpu where time >= 2024-03-01', demoSchema)
    const bound = bind(prepared, [], nowUs)
    expect(prepared.schema).toEqual([{ name: 'plan', type: 'string', nullable: false }])
    expect(explained(bound, 'text').rows).toHaveLength(4)
    const [[json]] = explained(bound, 'json').rows as [[string]]
    expect(JSON.parse(json)).toMatchObject({
      plan: { kind: 'project', input: { kind: 'aggregate', input: { kind: 'scan', range: { to_us: null } } } },
      rules: ['time-range', 'prune-columns'],
    })
  })
})
