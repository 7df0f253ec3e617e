/**
 * What the database must hold, as a naive model: submissions in order, each accepted, refused or neither yet.
 *
 *   submission -> rows + one marker row (metric `mark`, value = its number), so that what is found tells which ones are in
 *   deletion   -> the rows it leaves tell
 *
 * Invariants the tests hold the engine to:
 * 1. An accepted submission is there, whole.
 * 2. Another one is there whole or not at all; what a restart decided stays decided.
 * 3. An accepted delete stays done; another one is done whole or not at all. Rows written later stand.
 * 4. Every row is there once, with the fields of the latest submission that had them; nothing else is.
 */
import type { Database, RowObject } from '../../src/types.ts'

export type Cell = number | string | boolean
/** Series as printed, `@`, time in µs -> fields. */
export type Rows = Map<string, Map<string, Cell>>

/** Rows of a metric with `fromUs <= time < toUs`, of one host or of all. */
export interface Deletion {
  readonly metric: string
  readonly fromUs: number
  readonly toUs: number
  readonly host: string | undefined
}

export interface Submission {
  readonly number: number
  readonly rows: readonly RowObject[]
  readonly deletion?: Deletion
  outcome: 'open' | 'accepted' | 'refused'
}

export const markMetric = 'mark'
/** Deletes that neither succeeded nor were seen to fail before a restart. */
const doubtfulMax = 10
const markStartUs = Date.UTC(2026, 5, 1) * 1000

export class Model {
  /** Those that are in, or may be. */
  #submissions: Submission[] = []
  #count = 0

  get accepted(): number {
    return this.#submissions.filter(({ outcome }) => outcome === 'accepted').length
  }

  /** Adds the marker row; the order of the calls is the order of the writes. */
  submit(rows: readonly RowObject[]): Submission {
    const number = this.#count++
    const mark = { series: markMetric, ts: markStartUs + number, value: number }
    const submission: Submission = { number, rows: [...rows, mark], outcome: 'open' }
    this.#submissions.push(submission)
    return submission
  }

  delete(deletion: Deletion): Submission {
    const submission: Submission = { number: this.#count++, rows: [], deletion, outcome: 'open' }
    this.#submissions.push(submission)
    return submission
  }

  /** Holds what a restarted database has against the model; from then on what is in is accepted, the rest is gone. */
  restarted(found: Rows): string | undefined {
    const present = new Set<number>()
    for (const [key, fields] of found) if (key.startsWith(`${markMetric}@`)) present.add(fields.get('value') as number)
    const lost = this.#submissions.find(
      ({ outcome, number, deletion }) => outcome === 'accepted' && deletion === undefined && !present.has(number),
    )
    if (lost !== undefined) return `submission ${lost.number} was acknowledged and is lost`
    this.#submissions = this.#submissions.filter(
      ({ number, deletion }) => deletion !== undefined || present.delete(number),
    )
    if (present.size > 0) return `submissions ${[...present]} came from nowhere, or came back`
    return this.#settleDeletions(found)
  }

  /** Finds which of the deletes that were not accepted are done. */
  #settleDeletions(found: Rows): string | undefined {
    const doubtful = this.#submissions.filter(
      ({ outcome, deletion }) => deletion !== undefined && outcome !== 'accepted',
    )
    if (doubtful.length > doubtfulMax) throw new Error('too many deletes to tell')
    let verdict: string | undefined
    for (let choice = 0; choice < 2 ** doubtful.length; choice++) {
      const undone = new Set(doubtful.filter((_, i) => ((choice >> i) & 1) === 1))
      const done = this.#submissions.filter(submission => !undone.has(submission))
      const problem = difference(merged(done), found)
      if (problem === undefined) {
        this.#submissions = done
        for (const submission of done) submission.outcome = 'accepted'
        return undefined
      }
      verdict ??= problem
    }
    return verdict
  }

  /** Holds what a running database shows against the model, when no submission is open. */
  running(found: Rows): string | undefined {
    return difference(merged(this.#submissions.filter(({ outcome }) => outcome === 'accepted')), found)
  }
}

function merged(submissions: readonly Submission[]): Rows {
  const all: Rows = new Map()
  for (const { rows, deletion } of submissions) {
    if (deletion !== undefined) for (const key of all.keys()) if (concerns(deletion, key)) all.delete(key)
    for (const row of rows) {
      const key = `${printed(row)}@${row.ts}`
      let fields = all.get(key)
      if (fields === undefined) all.set(key, (fields = new Map()))
      if (row.value !== undefined) fields.set('value', row.value as Cell)
      for (const [name, value] of Object.entries(row.fields ?? {})) fields.set(name, value as Cell)
    }
  }
  return all
}

function concerns({ metric, fromUs, toUs, host }: Deletion, key: string): boolean {
  const at = key.lastIndexOf('@')
  const timeUs = Number(key.slice(at + 1))
  if (timeUs < fromUs || timeUs >= toUs || /^[^{@]*/.exec(key)![0] !== metric) return false
  return host === undefined || key.includes(`host="${host}"`)
}

function printed({ series, tags }: RowObject): string {
  const pairs = Object.entries(tags ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
  return pairs.length === 0 ? series : `${series}{${pairs.map(([key, value]) => `${key}="${value}"`).join(',')}}`
}

function difference(expected: Rows, found: Rows): string | undefined {
  for (const [key, fields] of expected) {
    const there = found.get(key)
    if (there === undefined) return `row ${key} is lost`
    const same = fields.size === there.size && [...fields].every(([name, value]) => Object.is(there.get(name), value))
    if (!same) return `row ${key} is ${text(there)} and should be ${text(fields)}`
  }
  for (const key of found.keys()) if (!expected.has(key)) return `row ${key} came from nowhere`
  return undefined
}

const text = (fields: ReadonlyMap<string, Cell>): string => JSON.stringify([...fields]).slice(0, 400)

/** Everything a database holds, by way of queries. Throws when a row comes twice or is counted otherwise. */
export async function readAll(db: Database): Promise<Rows> {
  const all: Rows = new Map()
  for (const metric of new Set([...db.series()].map(info => info.metric))) {
    const { columns, rows } = await db.query(`select series, * from ${metric}`).all()
    const names = columns.map(({ name }) => name).filter(name => !/^(series|time|tag\..*)$/.test(name))
    for (const row of rows) {
      const key = `${row['series']}@${row['time']}`
      if (all.has(key)) throw new Error(`row ${key} is there twice`)
      const fields = new Map<string, Cell>()
      for (const name of names) if (row[name] !== null) fields.set(name, row[name] as Cell)
      all.set(key, fields)
    }
    const counted = await db.query(`select count(*) as n from ${metric}`).first()
    if (counted?.['n'] !== rows.length) throw new Error(`${metric} has ${rows.length} rows, counted ${counted?.['n']}`)
  }
  return all
}
