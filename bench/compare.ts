/**
 * Two runs of `npm run bench -- --json FILE` beside each other, ours of both:
 *
 *   npx node bench/compare.ts before.json after.json         the ratio is above 1 where the second is better
 *
 * Only runs of one machine in one condition can be compared; both are named.
 */
import { parseArgs } from 'node:util'
import { readRun, shown } from './result.ts'

const { positionals } = parseArgs({ allowPositionals: true })
const [before, after] = positionals.map(readRun)
if (before === undefined || after === undefined) throw new Error('two files are compared: before.json after.json')

const earlier = new Map(before.results.map(result => [result.name, result]))
process.stdout.write(
  `before: ${before.machine}\nafter:  ${after.machine}\n\n|  | before | after | ratio |\n|---|---|---|---|\n`,
)
for (const { name, unit, better = 'less', ours } of after.results) {
  const was = earlier.get(name)?.ours
  const ratio = was === undefined ? undefined : better === 'more' ? ours / was : was / ours
  process.stdout.write(`| ${name}, ${unit} | ${shown(was)} | ${shown(ours)} | ${shown(ratio)} |\n`)
}
