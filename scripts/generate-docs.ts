/**
 * Writes the generated parts of the documentation: what stands between `<!-- generated: name -->` and
 * `<!-- end of name -->`. With `--check` it only says whether they are up to date.
 *
 *   node scripts/generate-docs.ts [--check]
 */
import { readFileSync, writeFileSync } from 'node:fs'
import type { FunctionGroup, FunctionInfo } from '../src/sydraql/functions/types.ts'
import { functions, parameterList, returnName } from '../src/sydraql/functions.ts'
import { reservedWords } from '../src/sydraql/tokens.ts'

const titles: Readonly<Record<FunctionGroup, string>> = {
  aggregate: 'Aggregates',
  'series aggregate': 'Aggregates by series',
  'row function': 'Row functions',
  math: 'Numbers',
  text: 'Text',
  time: 'Time',
  conditional: 'Choice and casts',
  comparison: 'Comparisons',
  logic: 'Logic',
  arithmetic: 'Arithmetic',
}

const cell = (text: string): string => text.replaceAll('|', '\\|')

const call = (info: FunctionInfo): string => info.syntax ?? `${info.name}(${parameterList(info)})`

/** One table a group, from the function registry. */
export function functionTable(): string {
  return Object.entries(titles)
    .map(([group, title]) => {
      const rows = functions
        .filter(info => info.group === group)
        .map(info => `| \`${cell(call(info))}\` | ${returnName(info)} | ${cell(info.description)} |`)
      return [`### ${title}`, '', '| function | gives | meaning |', '|---|---|---|', ...rows].join('\n')
    })
    .join('\n\n')
}

/** The page with the part of this name replaced. */
export function withGenerated(page: string, name: string, content: string): string {
  const [start, end] = [`<!-- generated: ${name} -->`, `<!-- end of ${name} -->`]
  const from = page.indexOf(start)
  const to = page.indexOf(end)
  if (from < 0 || to < from) throw new Error(`the page has no part "${name}"`)
  return `${page.slice(0, from + start.length)}\n${content}\n${page.slice(to)}`
}

function main(check: boolean): void {
  const url = new URL('../docs/sydraql.md', import.meta.url)
  const page = readFileSync(url, 'utf8')
  let fresh = withGenerated(page, 'functions', functionTable())
  fresh = withGenerated(fresh, 'reserved words', `\`${reservedWords.join(' ')}\``)
  if (fresh === page) return
  if (check) {
    console.error('docs/sydraql.md is out of date: run node scripts/generate-docs.ts')
    process.exitCode = 1
    return
  }
  writeFileSync(url, fresh)
}

if (import.meta.main) main(process.argv.includes('--check'))
