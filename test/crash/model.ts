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
 * 4. Every row is there once, with the fields of the latest submission that had them (`duplicates`: or the first); nothing
 *    else is, and nothing that is expired.
 */
import { namespaceOf } from '../../src/storage/retention/rules.ts'
import type { PlainRow } from './rows.ts'

export type Cell = number | string | boolean

export interface StoredRow {
  readonly metric: string
  /** As printed: `m0.x{host="h1"}`. */
  readonly series: string
  readonly host: string | undefined
  readonly timeUs: number
  readonly fields: Map<string, Cell>
}
/** Series as printed, `@`, time in µs -> row. */
export type Rows = Map<string, StoredRow>

/** Rows of a metric with `fromUs <= time < toUs`, of one host or of all. */
export interface Deletion {
  readonly metric: string
  readonly fromUs: number
  readonly toUs: number
  readonly host: string | undefined
}

export interface Submission {
  readonly number: number
  readonly rows: readonly PlainRow[]
  readonly deletion?: Deletion
  outcome: 'open' | 'accepted' | 'refused'
}

export interface ModelRules {
  readonly duplicates: 'last' | 'first'
  /** Days that rows of a namespace are kept; 0: for ever. */
  readonly daysOf: (namespace: string) => number
}

export const markMetric = 'mark'
/** Deletes that neither succeeded nor were seen to fail before a restart. */
const doubtfulMax = 10
const markStartUs = Date.UTC(2025, 11, 1) * 1000
const minuteUs = 60e6

export class Model {
  readonly #rules: ModelRules
  /** Those that are in, or may be. */
  #submissions: Submission[] = []
  /** Whatever became of them. */
  readonly #all: Submission[] = []
  #count = 0
  #cached: { readonly length: number; readonly rows: Rows } | undefined

  constructor(rules: ModelRules) {
    this.#rules = rules
  }

  /** Adds the marker row; the order of the calls is the order of the writes. */
  submit(rows: readonly PlainRow[]): Submission {
    const number = this.#count++
    const mark = { series: markMetric, ts: markStartUs + number * 1000, value: number }
    return this.#add({ number, rows: [...rows, mark], outcome: 'open' })
  }

  delete(deletion: Deletion): Submission {
    return this.#add({ number: this.#count++, rows: [], deletion, outcome: 'open' })
  }

  /** It was refused before anything was written. */
  withdraw(submission: Submission): void {
    this.#submissions = this.#submissions.filter(each => each !== submission)
    this.#cached = undefined
  }

  /** What was accepted: what a snapshot keeps. */
  contents(): readonly Submission[] {
    return this.#submissions.filter(({ outcome }) => outcome === 'accepted')
  }

  /** The database is what it was then. */
  restore(contents: readonly Submission[]): void {
    this.#submissions = [...contents]
    this.#cached = undefined
  }

  /**
   * Holds what a restarted database has against the model; from then on what is in is accepted, the rest is gone.
   * `instead`: what it may be as well, where a restore was under way.
   */
  restarted(found: Rows, nowUs: number, instead?: readonly Submission[]): string | undefined {
    this.#cached = undefined
    const before = this.#submissions
    const verdict = this.#settle(found, nowUs)
    if (verdict === undefined || instead === undefined) return verdict
    this.#submissions = [...instead]
    if (this.#settle(found, nowUs) === undefined) return undefined
    this.#submissions = before
    return `${verdict}; nor was it restored`
  }

  /** The rows that a running database shows when no submission is open. */
  expected(nowUs: number): Rows {
    if (this.#cached?.length !== this.#submissions.length) {
      const accepted = this.contents()
      const rows = this.merged(accepted)
      if (accepted.length < this.#submissions.length) return this.visible(rows, nowUs)
      this.#cached = { length: accepted.length, rows }
    }
    return this.visible(this.#cached.rows, nowUs)
  }

  /** Without what is expired. */
  visible(rows: Rows, nowUs: number): Rows {
    const horizons = new Map<string, number>()
    const horizonUs = (metric: string): number => {
      let horizon = horizons.get(metric)
      if (horizon === undefined) {
        const days = this.#rules.daysOf(namespaceOf(metric))
        horizon = days === 0 ? Number.NEGATIVE_INFINITY : Math.floor(nowUs / minuteUs) * minuteUs - days * 86_400e6
        horizons.set(metric, horizon)
      }
      return horizon
    }
    return new Map([...rows].filter(([, { metric, timeUs }]) => timeUs >= horizonUs(metric)))
  }

  merged(submissions: readonly Submission[]): Rows {
    const { duplicates } = this.#rules
    const all: Rows = new Map()
    for (const { rows, deletion } of submissions) {
      if (deletion !== undefined) for (const [key, row] of all) if (concerns(deletion, row)) all.delete(key)
      for (const row of rows) {
        const stored = storedRow(row)
        const key = keyOf(stored)
        const there = all.get(key)
        if (there === undefined) all.set(key, stored)
        else
          for (const [name, value] of stored.fields)
            if (duplicates === 'last' || !there.fields.has(name)) there.fields.set(name, value)
      }
    }
    return all
  }

  /** Rows of the last submissions. */
  lastKeys(count: number): ReadonlySet<string> {
    return new Set(this.#all.slice(-count).flatMap(({ rows }) => rows.map(row => keyOf(storedRow(row)))))
  }

  /** Every row there ever was, with every value its fields had; `deletions`: all there were. */
  history(): {
    readonly values: ReadonlyMap<string, ReadonlyMap<string, ReadonlySet<Cell>>>
    readonly deletions: Deletion[]
  } {
    const values = new Map<string, Map<string, Set<Cell>>>()
    for (const row of this.#all.flatMap(({ rows }) => rows)) {
      const stored = storedRow(row)
      const key = keyOf(stored)
      const fields = values.get(key) ?? new Map<string, Set<Cell>>()
      values.set(key, fields)
      for (const [name, value] of stored.fields) fields.set(name, (fields.get(name) ?? new Set()).add(value))
    }
    return { values, deletions: this.#all.flatMap(({ deletion }) => deletion ?? []) }
  }

  #add(submission: Submission): Submission {
    this.#submissions.push(submission)
    this.#all.push(submission)
    return submission
  }

  #settle(found: Rows, nowUs: number): string | undefined {
    const present = new Set<number>()
    for (const { metric, fields } of found.values())
      if (metric === markMetric) present.add(fields.get('value') as number)
    const lost = this.#submissions.find(
      ({ outcome, number, deletion }) => outcome === 'accepted' && deletion === undefined && !present.has(number),
    )
    if (lost !== undefined) return `submission ${lost.number} was acknowledged and is lost`
    const left = this.#submissions.filter(({ number, deletion }) => deletion !== undefined || present.delete(number))
    if (present.size > 0) return `submissions ${[...present]} came from nowhere, or came back`
    return this.#settleDeletions(left, found, nowUs)
  }

  /** Finds which of the deletes that were not accepted are done. */
  #settleDeletions(submissions: readonly Submission[], found: Rows, nowUs: number): string | undefined {
    const doubtful = submissions.filter(({ outcome, deletion }) => deletion !== undefined && outcome !== 'accepted')
    if (doubtful.length > doubtfulMax) throw new Error('too many deletes to tell')
    let verdict: string | undefined
    for (let choice = 0; choice < 2 ** doubtful.length; choice++) {
      const undone = new Set(doubtful.filter((_, i) => ((choice >> i) & 1) === 1))
      const done = submissions.filter(submission => !undone.has(submission))
      const problem = difference(this.visible(this.merged(done), nowUs), found)
      if (problem === undefined) {
        this.#submissions = done
        for (const submission of done) submission.outcome = 'accepted'
        return undefined
      }
      verdict ??= problem
    }
    return verdict
  }
}

export const keyOf = ({ series, timeUs }: StoredRow): string => `${series}@${timeUs}`

function storedRow({ series: metric, tags = {}, ts, value, fields }: PlainRow): StoredRow {
  const cells = Object.entries({ ...fields, ...(value !== undefined && { value }) })
  return {
    metric,
    series: printed(metric, tags),
    host: tags['host'] ?? undefined,
    timeUs: ts,
    fields: new Map(cells as [string, Cell][]),
  }
}

export function concerns({ metric, fromUs, toUs, host }: Deletion, row: StoredRow): boolean {
  if (row.metric !== metric || row.timeUs < fromUs || row.timeUs >= toUs) return false
  return host === undefined || row.host === host
}

function printed(metric: string, tags: NonNullable<PlainRow['tags']>): string {
  const pairs = Object.entries(tags).sort(([a], [b]) => (a < b ? -1 : 1))
  return pairs.length === 0 ? metric : `${metric}{${pairs.map(([key, value]) => `${key}="${value}"`).join(',')}}`
}

/** The first difference in words; undefined where there is none. */
export function difference(expected: Rows, found: Rows): string | undefined {
  for (const [key, { fields }] of expected) {
    const there = found.get(key)?.fields
    if (there === undefined) return `row ${key} is lost`
    const same = fields.size === there.size && [...fields].every(([name, value]) => Object.is(there.get(name), value))
    if (!same) return `row ${key} is ${text(there)} and should be ${text(fields)}`
  }
  for (const key of found.keys()) if (!expected.has(key)) return `row ${key} came from nowhere`
  return undefined
}

const text = (fields: ReadonlyMap<string, Cell>): string => JSON.stringify([...fields]).slice(0, 400)
