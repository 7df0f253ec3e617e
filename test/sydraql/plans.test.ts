/**
 * Plans as text: each line of golden/plans.txt beginning with `>` is a query, followed by its plan or its error.
 * Refresh the files with `npx vitest run test/sydraql -u`, and read the difference.
 */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { SydraError } from '../../src/lib/errors.ts'
import { bind } from '../../src/sydraql/bind.ts'
import { bindWrite } from '../../src/sydraql/bind-write.ts'
import { explainText } from '../../src/sydraql/explain.ts'
import { formatExpr } from '../../src/sydraql/format.ts'
import { ruleNames } from '../../src/sydraql/optimize.ts'
import type { ParameterValue } from '../../src/sydraql/parameters.ts'
import { prepare } from '../../src/sydraql/prepare.ts'
import type { Write } from '../../src/sydraql/query.ts'
import { formatTimestamp } from '../../src/sydraql/times.ts'
import { demoSchema } from './demo-schema.ts'

const nowUs = Date.UTC(2024, 2, 1, 12) * 1000

/**
 * `query   -- params [1, "a"]`: the parameters as JSON behind the query. `-- plain`: the plan before any rule, too.
 * What writes shows what it asks of the engine.
 */
function outcome(line: string): string {
  const [query, params] = line.split(/\s+-- params /)
  const [text, plain] = query!.split(/\s+-- (?=plain$)/)
  const values: ParameterValue[] = params === undefined ? [] : JSON.parse(params)
  try {
    const prepared = prepare(text!, demoSchema)
    if (prepared.query.kind === 'insert' || prepared.query.kind === 'delete') {
      return writeText(bindWrite(prepared, values, nowUs))
    }
    const columns = prepared.schema.map(({ name, type, nullable }) => `${name} ${type}${nullable ? '?' : ''}`)
    const before = plain === undefined ? '' : `${explainText(bind(prepared, values, nowUs, { withoutRules }))}\n`
    return `${before}${explainText(bind(prepared, values, nowUs))}\ncolumns: ${columns.join(', ')}`
  } catch (error) {
    if (!(error instanceof SydraError)) throw error
    return [error, ...error.others].map(errorText).join('\n')
  }
}

const withoutRules = new Set(ruleNames)

function errorText({ code, message, hint, position }: SydraError): string {
  const at = position === undefined ? '' : ` at ${position.line}:${position.column}+${position.length}`
  return `${code}${at}: ${message}${hint === undefined ? '' : `\nhint: ${hint}`}`
}

function writeText(write: Write): string {
  if (write.kind === 'delete') {
    const { fromUs, toUs } = write.range
    const series = write.seriesPredicate === undefined ? '' : ` where ${formatExpr(write.seriesPredicate)}`
    return `delete ${write.metric} [${formatTimestamp(fromUs)}, ${formatTimestamp(toUs)})${series}`
  }
  const rows = write.rows.map(({ timeUs, fields }) => {
    const values = Object.entries(fields).map(([name, { type, value }]) => `${name} ${type} ${JSON.stringify(value)}`)
    return `  ${formatTimestamp(timeUs)} ${values.join(', ')}`
  })
  return [`insert ${write.metric} ${JSON.stringify(write.tags)}`, ...rows].join('\n')
}

test.each(['plans', 'writes', 'errors'])('golden/%s.txt', async name => {
  const url = new URL(`golden/${name}.txt`, import.meta.url)
  const queries = readFileSync(url, 'utf8')
    .split('\n')
    .filter(line => line.startsWith('> ') || line.startsWith('# '))
  const text = queries.map(line => (line.startsWith('# ') ? line : `${line}\n${outcome(line.slice(2))}`)).join('\n\n')
  await expect(`${text}\n`).toMatchFileSnapshot(url.pathname)
})
