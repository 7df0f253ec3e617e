/**
 * Two runs of `npm run bench:peers -- --json FILE` or `bench:smoke` beside each other, ours of both:
 *
 *   npx node bench/compare.ts before.json after.json         the ratio is above 1 where the second is better
 *
 * Only runs of one machine in one condition can be compared; both are named.
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { ComparedResult } from './side-by-side/side-by-side.ts'

interface Run {
  readonly machine: string
  readonly results: readonly ComparedResult[]
}

const { positionals } = parseArgs({ allowPositionals: true })
const [before, after] = positionals.map(path => JSON.parse(readFileSync(path, 'utf8')) as Run)
if (before === undefined || after === undefined) throw new Error('two files are compared: before.json after.json')

const text = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3))
const earlier = new Map(before.results.map(result => [result.name, result]))
process.stdout.write(
  `before: ${before.machine}\nafter:  ${after.machine}\n\n|  | before | after | ratio |\n|---|---|---|---|\n`,
)
for (const { name, unit, better, ours } of after.results) {
  const was = earlier.get(name)?.ours
  const ratio = was === undefined ? '–' : text(better === 'more' ? ours / was : was / ours)
  process.stdout.write(`| ${name}, ${unit} | ${was === undefined ? '–' : text(was)} | ${text(ours)} | ${ratio} |\n`)
}
