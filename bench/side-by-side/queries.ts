/**
 * One store each of the same points, then the same questions.
 *
 *   load     by the engine's first way, settled: what it takes on the disk
 *   opening  a new process, with its program loaded
 *   cold     a new process, files not in memory where the machine lets us drop them: each question once
 *   warm     one process, until its code is compiled and its caches are full; then asked in turn, `burstMs` each time
 *   export   a new process that is asked for everything, once: its memory
 *
 * Answers are compared with ours before anything is timed, in processes of their own: a difference ends the run. Figures are
 * medians of the runs.
 */
import { median, temporaryDirectory } from '../harness.ts'
import { type Aim, compared, type Result } from '../result.ts'
import { compareAnswers } from './answers.ts'
import { fileOf } from './data.ts'
import type { Rows, Sums } from './engine.ts'
import type { Settled } from './engine-process.ts'
import { type Question, questionsOf } from './questions.ts'
import { dropPageCache, type Field, ours, overHttp, type Running, started } from './running.ts'

const warmUpMs = 300
const burstMs = 20
/** Below it on both sides a row is reported, not judged. */
const judgedFromMs = 0.1

/** By engine. */
type Figures = Map<string, number>
/** Figures of many runs, by engine. */
class Runs {
  readonly #each = new Map<string, number[]>()
  add(name: string, value: number | undefined): void {
    if (value !== undefined) this.#each.set(name, [...(this.#each.get(name) ?? []), value])
  }
  medians(): Figures {
    return new Map([...this.#each].map(([name, each]) => [name, median(each)]))
  }
}

const judge = (name: string, unit: string, figures: Figures, aim?: Aim, judgedFrom = 0): Result | undefined =>
  compared(name, unit, figures, {
    better: 'less',
    ours,
    alsoOurs: [overHttp],
    judgedFrom,
    aim,
  })

export async function queriesBench(field: Field, runs: number): Promise<Result[]> {
  for (const form of ['wide', 'flat'] as const) fileOf(field.data, form)
  const questions = questionsOf(field.data)
  const directory = temporaryDirectory('queries')
  const stores = new Map<string, string>()
  try {
    const sizes = new Map<string, Settled>()
    for (const { name, ways } of field.engines) {
      const store = directory.make(name)
      const running = await started(name, store, field)
      stores.set(name, store)
      await running.ingest(ways[0]!)
      sizes.set(name, await running.settle())
      await running.close()
    }
    const bytes = (of: (settled: Settled) => number): Figures =>
      new Map([...sizes].map(([name, settled]) => [name, of(settled) / field.data.points]))
    const { values } = field.data
    const atMost = { decimal: 1.2, integer: 0.4, double: undefined }[values]
    return [
      judge(
        `bytes per value, ${values}, settled`,
        'bytes',
        bytes(settled => settled.bytes.settled),
        atMost === undefined ? undefined : { atMost },
      ),
      judge(
        '… all files, with a log that is kept',
        'bytes',
        bytes(settled => settled.bytes.all),
      ),
      ...(await warm(stores, field, await answered(stores, field, questions), runs)),
      ...(await cold(stores, field, questions, runs)),
      ...(await exporting(stores, field)),
    ].filter(result => result !== undefined)
  } finally {
    directory.remove()
  }
}

type Stores = ReadonlyMap<string, string>

interface Answered {
  readonly question: Question
  /** Names of those that can be asked it. */
  readonly by: readonly string[]
}

/** Which question each engine answers, all alike. */
async function answered(stores: Stores, field: Field, questions: readonly Question[]): Promise<Answered[]> {
  const running: Running[] = []
  try {
    for (const [name, store] of stores) running.push(await started(name, store, field))
    const found: Answered[] = []
    for (const question of questions) found.push({ question, by: await answering(running, question) })
    return found
  } finally {
    for (const engine of running) await engine.close().catch(() => {})
  }
}

async function answering(running: readonly Running[], { id, about }: Question): Promise<string[]> {
  const able: string[] = []
  let wanted: Rows | Sums | undefined
  for (const { name, ...engine } of running) {
    const { rows } = await engine.rows(id)
    if (rows === undefined) continue
    able.push(name)
    wanted ??= rows
    const difference = compareAnswers(wanted, rows)
    if (difference !== undefined) throw new Error(`${id}, ${about}: ${name} and ${running[0]!.name}: ${difference}`)
  }
  return able
}

async function warm(
  stores: Stores,
  field: Field,
  questions: readonly Answered[],
  runs: number,
): Promise<(Result | undefined)[]> {
  const running: Running[] = []
  const results: (Result | undefined)[] = []
  try {
    for (const [name, store] of stores) running.push(await started(name, store, field))
    for (const { question, by } of questions) {
      const { id, about } = question
      const able = running.filter(({ name }) => by.includes(name))
      const times = new Runs()
      for (const engine of able) await engine.ask(id, warmUpMs)
      for (let run = 0; run < runs; run++)
        for (const engine of able) times.add(engine.name, (await engine.ask(id, burstMs)).ms)
      const timesBest = aims[id]
      const aim = timesBest === undefined ? undefined : { timesBest }
      results.push(judge(`${id} ${about}`, 'ms', times.medians(), aim, judgedFromMs))
    }
    const peaks = new Map<string, number>()
    for (const engine of running) peaks.set(engine.name, (await engine.usage()).peakRssBytes / 1e6)
    results.push(judge('peak RSS, questions', 'MB', peaks, { atMost: 200 }))
  } finally {
    for (const engine of running) await engine.close().catch(() => {})
  }
  return results
}

/** Times the best peer; of the export, 25 M points/s where chDB, the best then, gave 15.3. */
const aims: Readonly<Record<string, number>> = {
  Q1a: 1,
  Q1b: 2,
  Q2: 1,
  Q3: 2,
  Q4: 2,
  Q5: 2,
  Q6: 2,
  Q7a: 1,
  Q7b: 1,
  Q8: 1,
  Q9: 2,
  Q10a: 2,
  Q10b: 2,
  Q11: 1.63,
  Q12: 1,
}

async function cold(
  stores: Stores,
  field: Field,
  questions: readonly Question[],
  runs: number,
): Promise<(Result | undefined)[]> {
  const opening = new Runs()
  const times = new Map(questions.map(({ id }) => [id, new Runs()]))
  let isDropped = true
  for (let run = 0; run < runs; run++)
    for (const [name, store] of stores) {
      const opened = await started(name, store, field)
      opening.add(name, opened.openMs)
      await opened.close()
      isDropped &&= dropPageCache()
      const engine = await started(name, store, field)
      for (const { id } of questions) times.get(id)!.add(name, (await engine.ask(id, 0)).ms)
      await engine.close()
    }
  const about = isDropped ? 'cold, from the disk' : 'cold'
  return [
    judge('opening (a server: its start)', 'ms', opening.medians(), { atMost: 20 }),
    ...questions.map(({ id }) => judge(`${id}, ${about}`, 'ms', times.get(id)!.medians(), undefined, judgedFromMs)),
  ]
}

async function exporting(stores: Stores, field: Field): Promise<(Result | undefined)[]> {
  const peaks = new Map<string, number>()
  for (const [name, store] of stores) {
    const engine = await started(name, store, field)
    const { ms } = await engine.ask('Q11', 0)
    if (ms !== undefined) peaks.set(name, (await engine.usage()).peakRssBytes / 1e6)
    await engine.close()
  }
  return [judge('peak RSS, Q11 alone', 'MB', peaks, { atMost: 200 })]
}
