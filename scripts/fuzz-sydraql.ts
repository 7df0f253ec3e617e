/**
 * Feeds sydraQL random texts for as long as asked: characters, words in any order, statements with something changed,
 * and selects of right syntax. Nothing but a prepared query or an error with a place may come out, in less than a second.
 *
 *   npm run fuzz -- --minutes 10 --seed 42
 *
 * Prints counts and the slowest text. Exits with 1 and prints the text when something else happens. A worker runs the
 * texts and the main thread watches it, so that a text that never ends is found, too.
 */
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import fc from 'fast-check'
import { checkCompletion, checkText } from '../test/sydraql/check-text.ts'
import { characters, mutatedStatement, plausibleSelect, tokenSoup } from '../test/sydraql/token-soup.ts'

/** Longer than this is too slow. */
const elapsedMaxMs = 1000
/** A text that has not ended by then never will. */
const silenceMaxMs = 10_000
const batchTexts = 500

interface Job {
  readonly minutes: number
  readonly seed: number
}
/** What the worker says: the text it begins with, what broke, or how it went. */
type Message =
  | { readonly kind: 'begins'; readonly text: string }
  | { readonly kind: 'fails'; readonly why: string }
  | { readonly kind: 'ends'; readonly summary: string }

if (isMainThread) watch(jobFromArguments())
else parentPort?.postMessage(fuzz(workerData, text => parentPort?.postMessage({ kind: 'begins', text })))

function jobFromArguments(): Job {
  const { values } = parseArgs({ options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string' } } })
  const minutes = Number(values.minutes)
  const seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed)
  if (minutes > 0 && Number.isSafeInteger(seed)) return { minutes, seed }
  console.error('usage: npm run fuzz -- [--minutes n] [--seed n]')
  process.exit(2)
}

function watch(job: Job): void {
  console.log(`seed ${job.seed}, ${job.minutes} min`)
  let text = ''
  // The worker's start is not counted.
  let heardMs = Number.POSITIVE_INFINITY
  const fail = (why: unknown): never => {
    console.error(`${JSON.stringify(text)}\n${why}`)
    process.exit(1)
  }
  const worker = new Worker(new URL(import.meta.url), { workerData: job })
  worker.on('message', (message: Message) => {
    heardMs = performance.now()
    if (message.kind === 'begins') text = message.text
    else if (message.kind === 'fails') fail(message.why)
    else console.log(message.summary)
  })
  worker.on('error', fail)
  const watchdog = setInterval(() => {
    if (performance.now() - heardMs > silenceMaxMs) fail('it does not end')
  }, 500)
  worker.on('exit', () => clearInterval(watchdog))
}

function fuzz({ minutes, seed: firstSeed }: Job, begin: (text: string) => void): Message {
  const texts = fc.tuple(fc.oneof(characters, tokenSoup, mutatedStatement, plausibleSelect), fc.nat(300))
  const outcomes = new Map<string, number>()
  let count = 0
  let slowest = { text: '', elapsedMs: 0 }
  // Lexer, parser and grammar are made at their first use: that is not the first text's time.
  checkText('select 1')
  checkCompletion('select 1', 8)
  const endMs = performance.now() + minutes * 60_000
  for (let seed = firstSeed; performance.now() < endMs; seed++) {
    for (const [text, offset] of fc.sample(texts, { seed, numRuns: batchTexts })) {
      begin(text)
      const startMs = performance.now()
      try {
        const outcome = checkText(text)
        checkCompletion(text, offset)
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      } catch (error) {
        return { kind: 'fails', why: `seed ${seed}: ${error instanceof Error ? error.stack : error}` }
      }
      const elapsedMs = performance.now() - startMs
      if (elapsedMs > slowest.elapsedMs) slowest = { text, elapsedMs }
      if (elapsedMs > elapsedMaxMs) return { kind: 'fails', why: `seed ${seed}: ${elapsedMs.toFixed(0)} ms` }
      count++
    }
  }
  const counts = [...outcomes].map(([outcome, times]) => `${times} ${outcome}`).join(', ')
  const slow = `slowest, ${slowest.elapsedMs.toFixed(1)} ms: ${JSON.stringify(slowest.text)}`
  return { kind: 'ends', summary: `${count} texts: ${counts}\n${slow}` }
}
