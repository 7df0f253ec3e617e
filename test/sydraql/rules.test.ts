/**
 * Each rule on and off: a line of golden/rules.txt beginning with `>` names a rule and a query, followed by the plan with
 * the rule and without it; `no <rule>`: it has nothing to do there. Refresh the file with `npx vitest run test/sydraql -u`, and read the difference.
 */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { bind } from '../../src/sydraql/bind.ts'
import { explainText } from '../../src/sydraql/explain.ts'
import { ruleNames } from '../../src/sydraql/optimize.ts'
import { prepare } from '../../src/sydraql/prepare.ts'
import { demoSchema } from './demo-schema.ts'

const nowUs = Date.UTC(2024, 2, 1, 12) * 1000
const url = new URL('golden/rules.txt', import.meta.url)
const lines = readFileSync(url, 'utf8').split('\n')
const cases = lines
  .filter(line => line.startsWith('> '))
  .map(line => {
    const [name, query] = line.slice(2).split(' | ')
    const fires = !name!.startsWith('no ')
    return { line, fires, rule: name!.replace(/^no /, ''), query: query! }
  })

test('golden/rules.txt', async () => {
  const texts = cases.map(({ line, fires, rule, query }) => {
    const prepared = prepare(query, demoSchema)
    const [on, off] = [bind(prepared, [], nowUs), bind(prepared, [], nowUs, { withoutRules: new Set([rule]) })]
    expect(on.firedRules.includes(rule), line).toBe(fires)
    if (!fires) return `${line}\n${explainText(on)}`
    return `${line}\n${explainText(on)}\nwithout:\n${explainText(off)}`
  })
  await expect(`${texts.join('\n\n')}\n`).toMatchFileSnapshot(url.pathname)
})

test('every rule has a case', () => {
  expect([...new Set(cases.filter(({ fires }) => fires).map(({ rule }) => rule))].sort()).toEqual([...ruleNames].sort())
})
