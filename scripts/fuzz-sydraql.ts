/**
 * Feeds sydraQL random texts for as long as asked: characters, words in any order, statements with something changed,
 * and selects of right syntax.
 * Nothing but a prepared query or an error with a place may come out, in less than a second.
 *
 *   npm run fuzz -- --minutes 10 --seed 42
 *
 * Exits with 1 and prints the text when something else does.
 */
import { parseArgs } from 'node:util'
import fc from 'fast-check'
import { checkCompletion, checkText } from '../test/sydraql/check-text.ts'
import { characters, mutatedStatement, plausibleSelect, tokenSoup } from '../test/sydraql/token-soup.ts'

/** A text that takes longer hangs. */
const elapsedMaxMs = 1000
const batchTexts = 500

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string' } } })
const minutes = Number(values.minutes)
const firstSeed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed)
if (!(minutes > 0) || !Number.isSafeInteger(firstSeed)) {
  console.error('usage: npm run fuzz -- [--minutes n] [--seed n]')
  process.exit(2)
}

const texts = fc.tuple(fc.oneof(characters, tokenSoup, mutatedStatement, plausibleSelect), fc.nat(300))
const outcomes = new Map<string, number>()
let count = 0
let slowest = { text: '', elapsedMs: 0 }
const endMs = performance.now() + minutes * 60_000

console.log(`seed ${firstSeed}, ${minutes} min`)
for (let seed = firstSeed; performance.now() < endMs; seed++) {
  for (const [text, offset] of fc.sample(texts, { seed, numRuns: batchTexts })) {
    const startMs = performance.now()
    try {
      const outcome = checkText(text)
      checkCompletion(text, offset)
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    } catch (error) {
      fail(seed, text, error)
    }
    const elapsedMs = performance.now() - startMs
    if (elapsedMs > slowest.elapsedMs) slowest = { text, elapsedMs }
    if (elapsedMs > elapsedMaxMs) fail(seed, text, `it took ${elapsedMs.toFixed(0)} ms`)
    count++
  }
}

console.log(`${count} texts: ${[...outcomes].map(([outcome, times]) => `${times} ${outcome}`).join(', ')}`)
console.log(`slowest, ${slowest.elapsedMs.toFixed(1)} ms: ${JSON.stringify(slowest.text)}`)

function fail(seed: number, text: string, why: unknown): never {
  console.error(`seed ${seed}: ${JSON.stringify(text)}`)
  console.error(why)
  process.exit(1)
}
