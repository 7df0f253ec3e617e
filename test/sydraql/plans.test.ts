/**
 * Plans as text: each line of golden/plans.txt beginning with `>` is a query, followed by its plan or its error.
 * Refresh the files with `npx vitest run test/sydraql -u`, and read the difference.
 */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { SydraError } from '../../src/lib/errors.ts'
import { bind } from '../../src/sydraql/bind.ts'
import { explainText } from '../../src/sydraql/explain.ts'
import type { ParameterValue } from '../../src/sydraql/parameters.ts'
import { prepare } from '../../src/sydraql/prepare.ts'
import { demoSchema } from './demo-schema.ts'

const nowUs = Date.UTC(2024, 2, 1, 12) * 1000

/** `query   -- params [1, "a"]`: the parameters as JSON behind the query. */
function outcome(line: string): string {
  const [text, params] = line.split(/\s+-- params /)
  const values: ParameterValue[] = params === undefined ? [] : JSON.parse(params)
  try {
    const prepared = prepare(text!, demoSchema)
    const columns = prepared.schema.map(({ name, type, nullable }) => `${name} ${type}${nullable ? '?' : ''}`)
    return `${explainText(bind(prepared, values, nowUs))}\ncolumns: ${columns.join(', ')}`
  } catch (error) {
    if (!(error instanceof SydraError)) throw error
    const { position } = error
    const at = position === undefined ? '' : ` at ${position.line}:${position.column}+${position.length}`
    return `${error.code}${at}: ${error.message}${error.hint === undefined ? '' : `\nhint: ${error.hint}`}`
  }
}

test.each(['plans', 'errors'])('golden/%s.txt', async name => {
  const url = new URL(`golden/${name}.txt`, import.meta.url)
  const queries = readFileSync(url, 'utf8')
    .split('\n')
    .filter(line => line.startsWith('> ') || line.startsWith('# '))
  const text = queries.map(line => (line.startsWith('# ') ? line : `${line}\n${outcome(line.slice(2))}`)).join('\n\n')
  await expect(`${text}\n`).toMatchFileSnapshot(url.pathname)
})
