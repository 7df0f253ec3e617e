/**
 * A database of arrays that is written to, step by step, and live queries that are kept upon it: after each step what is
 * maintained must be what the batch planner gives.
 */
import { expect } from 'vitest'
import type { Scalar } from '../../../src/columnar/value.ts'
import { startExecution } from '../../../src/operators/execution.ts'
import { rowKeyOf, sameRow } from '../../../src/operators/live/difference.ts'
import { rowsAt } from '../../../src/operators/live/run-at.ts'
import type {
  CommittedDelete,
  CommittedRows,
  LiveContext,
  LiveDelta,
  LiveQuery,
  LiveRow,
  LiveSource,
  Moment,
  Step,
} from '../../../src/operators/live/types.ts'
import type { FieldInfo, FieldRows, MetricInfo, Version } from '../../../src/storage/types.ts'
import { bind } from '../../../src/sydraql/bind.ts'
import { prepare } from '../../../src/sydraql/prepare.ts'
import type { QueryParameters } from '../../../src/types.ts'
import { type FakeDatabase, type FakeRow, type FakeSeries, fakeContext, fakeVersion } from '../fake-database.ts'

export interface WrittenRow {
  readonly series: number
  readonly timeUs: number
  /** By field id; undefined or null: missing. */
  readonly values: readonly (Scalar | undefined)[]
}

/** What happens between two moments. */
export type Happening =
  | { readonly kind: 'rows'; readonly metric: string; readonly rows: readonly WrittenRow[] }
  | {
      readonly kind: 'delete'
      readonly metric: string
      readonly fromUs: number
      readonly toUs: number
      readonly series: readonly number[] | undefined
    }

export interface WorldOptions {
  readonly duplicates?: 'last' | 'first'
  readonly rowsMax?: number
  readonly bytesMax?: number
  /** Rows that old are not seen, by the clock of the moment. */
  readonly keptUs?: number
}

export class World {
  readonly #database: Pick<FakeDatabase, 'catalog' | 'series'>
  readonly #options: WorldOptions
  #pieces: Readonly<Record<string, readonly (readonly FakeRow[])[]>> = {}
  #lsn = 0
  /** By ordinal: the greatest time so far. */
  readonly #frontier = new Map<number, number>()
  #rows: CommittedRows[] = []
  #deletes: CommittedDelete[] = []
  #before: Moment
  nowUs = 0

  constructor(database: Pick<FakeDatabase, 'catalog' | 'series'>, options: WorldOptions = {}) {
    this.#database = database
    this.#options = options
    this.#before = this.moment()
  }

  get catalog() {
    return this.#database.catalog
  }

  moment(): Moment {
    const { keptUs } = this.#options
    const version = fakeVersion({ ...this.#database, pieces: this.#pieces })
    const horizon = keptUs === undefined ? -Infinity : this.nowUs - keptUs
    const seen: Version = {
      ...version,
      lsn: this.#lsn,
      horizonUs: () => horizon,
      pieces: request => version.pieces({ ...request, fromUs: Math.max(request.fromUs, horizon) }),
    }
    return { version: seen, nowUs: this.nowUs }
  }

  happens(happening: Happening): void {
    this.#lsn++
    if (happening.kind === 'rows') this.#commit(happening.metric, happening.rows)
    else this.#delete(happening)
  }

  /** All that happened since the last to these metrics. */
  step(metrics: ReadonlySet<string>): Step {
    const step: Step = {
      before: this.#before,
      after: this.moment(),
      rows: this.#rows.filter(({ rows }) => metrics.has(rows.metric.name)),
      deletes: this.#deletes.filter(({ metric }) => metrics.has(metric.name)),
    }
    this.#before = step.after
    this.#rows = []
    this.#deletes = []
    return step
  }

  /** A later version that shows these metrics the same takes the place of the last step's; false: there is none. */
  movesOn(metrics: ReadonlySet<string>): boolean {
    const isSame = ![...this.#rows.map(({ rows }) => rows.metric), ...this.#deletes.map(({ metric }) => metric)].some(
      ({ name }) => metrics.has(name),
    )
    if (!isSame || this.nowUs !== this.#before.nowUs) return false
    this.#before = this.moment()
    this.#rows = []
    this.#deletes = []
    return true
  }

  get rows(): readonly CommittedRows[] {
    return this.#rows
  }

  context(): LiveContext {
    const { duplicates = 'last', rowsMax = 100_000, bytesMax = 2 ** 26 } = this.#options
    return {
      catalog: this.catalog,
      kernels: fakeContext({ ...this.#database, pieces: {} }).kernels,
      duplicates,
      disabledRules: new Set(),
      execution: ({ version }) =>
        startExecution(fakeContext({ ...this.#database, pieces: {} }, { version, duplicates, batchRows: 5 })),
      rowsMax,
      bytesMax,
    }
  }

  source(text: string, params: QueryParameters = []): LiveSource {
    const prepared = prepare(text, this.catalog)
    return {
      planAt: (nowUs, withoutRules) => bind(prepared, params, nowUs, { withoutRules }).plan,
      dependsOnNow: text.includes('now()'),
    }
  }

  #commit(name: string, rows: readonly WrittenRow[]): void {
    const metric = this.catalog.metric(name)!
    const late = Uint8Array.from(rows, ({ series, timeUs }) => {
      const frontier = this.#frontier.get(series) ?? -Infinity
      if (timeUs <= frontier) return 1
      this.#frontier.set(series, timeUs)
      return 0
    })
    this.#rows.push({
      lsn: this.#lsn,
      rows: metricRows(metric, rows),
      late: late.includes(1) ? late : undefined,
    })
    // A piece has a (series, time) once: what comes again is in another.
    const pieces: FakeRow[][] = []
    const seen = new Map<string, number>()
    for (const row of rows) {
      const key = `${row.series} ${row.timeUs}`
      const turn = seen.get(key) ?? 0
      seen.set(key, turn + 1)
      ;(pieces[turn] ??= []).push(row)
    }
    this.#pieces = { ...this.#pieces, [name]: [...(this.#pieces[name] ?? []), ...pieces] }
  }

  #delete({ metric: name, fromUs, toUs, series }: Extract<Happening, { readonly kind: 'delete' }>): void {
    const isGone = (row: FakeRow): boolean =>
      row.timeUs >= fromUs && row.timeUs < toUs && (series === undefined || series.includes(row.series))
    this.#deletes.push({
      lsn: this.#lsn,
      metric: this.catalog.metric(name)!,
      fromUs,
      toUs,
      series: series && Uint32Array.from(series).sort(),
    })
    const pieces = (this.#pieces[name] ?? []).map(rows => rows.filter(row => !isGone(row)))
    this.#pieces = { ...this.#pieces, [name]: pieces.filter(rows => rows.length > 0) }
  }
}

/** As a batch has them: a column for each field that any row has. */
function metricRows(metric: MetricInfo, rows: readonly WrittenRow[]): CommittedRows['rows'] {
  return {
    metric,
    length: rows.length,
    series: Uint32Array.from(rows, row => row.series),
    timeUs: Float64Array.from(rows, row => row.timeUs),
    fields: metric.fields.flatMap(field => fieldRows(field, rows) ?? []),
  }
}

function fieldRows(field: FieldInfo, rows: readonly WrittenRow[]): FieldRows | undefined {
  const given = rows.map(row => row.values[field.id] ?? null)
  if (given.every(value => value === null)) return undefined
  const valid = given.includes(null) ? Uint8Array.from(given, value => (value === null ? 0 : 1)) : undefined
  if (field.type !== 'string') {
    const numbers = given.map(Number)
    return {
      field,
      values: field.type === 'boolean' ? Uint8Array.from(numbers) : Float64Array.from(numbers),
      valid,
      strings: undefined,
    }
  }
  const strings = [...new Set(given.filter(value => value !== null))] as string[]
  return {
    field,
    values: Uint32Array.from(given, value => Math.max(0, strings.indexOf(value as string))),
    valid,
    strings,
  }
}

/** Rows that a subscriber has, kept by what it is told. */
export class Maintained {
  readonly query: LiveQuery
  readonly #context: LiveContext
  readonly #keyOf: (row: LiveRow) => Scalar
  #rows = new Map<Scalar, LiveRow[]>()

  constructor(query: LiveQuery, context: LiveContext) {
    this.query = query
    this.#context = context
    this.#keyOf = rowKeyOf(query.columns.keys)
  }

  async begin(at: Moment): Promise<void> {
    this.#rows = new Map()
    for (const row of await this.fresh(at)) this.#add(row)
  }

  fresh(at: Moment): Promise<LiveRow[]> {
    return rowsAt(this.query.planAt(at.nowUs), at, this.#context)
  }

  /** Takes a step; what is kept then must be what the query gives. */
  async take(step: Step): Promise<LiveDelta> {
    const delta = await this.query.step(step)
    this.#apply(delta)
    await this.check(step.after)
    return delta
  }

  async check(at: Moment): Promise<void> {
    const expected = sorted(await this.fresh(at))
    const found = sorted([...this.#rows.values()].flat())
    if (expected.length === found.length && expected.every((row, i) => sameRow(row, found[i]!))) return
    expect(found).toEqual(expected)
  }

  #apply({ added, changed, removed }: LiveDelta): void {
    const isMultiset = this.query.columns.keys.length === this.query.columns.schema.length
    for (const row of removed) {
      const rows = this.#rows.get(this.#keyOf(row))
      expect(rows, `removed, and not there: ${JSON.stringify(row)}`).toBeDefined()
      rows!.pop()
      if (rows!.length === 0) this.#rows.delete(this.#keyOf(row))
    }
    for (const row of changed) {
      expect(this.#rows.get(this.#keyOf(row)), `changed, and not there: ${JSON.stringify(row)}`).toHaveLength(1)
      this.#rows.set(this.#keyOf(row), [row])
    }
    for (const row of added) {
      if (!isMultiset) expect(this.#rows.has(this.#keyOf(row)), `added, and there: ${JSON.stringify(row)}`).toBe(false)
      this.#add(row)
    }
  }

  /** As `catchUp` tells it: what is removed may not be there. */
  catchUp({ changed, removed }: LiveDelta): void {
    for (const row of removed) this.#rows.delete(this.#keyOf(row))
    for (const row of changed) this.#rows.set(this.#keyOf(row), [row])
  }

  #add(row: LiveRow): void {
    const key = this.#keyOf(row)
    const there = this.#rows.get(key)
    if (there === undefined) this.#rows.set(key, [row])
    else there.push(row)
  }
}

const sorted = (rows: readonly LiveRow[]): LiveRow[] => {
  const text = (row: LiveRow): string =>
    JSON.stringify(row.map(value => (typeof value === 'number' ? `${value}` : value)))
  return rows.toSorted((a, b) => (text(a) < text(b) ? -1 : text(a) > text(b) ? 1 : 0))
}

export const hosts: readonly FakeSeries[] = [
  { metric: 'cpu', tags: { host: 'a', dc: 'x' } },
  { metric: 'cpu', tags: { host: 'b', dc: 'x' } },
  { metric: 'mem', tags: { host: 'a' } },
  { metric: 'cpu', tags: { host: 'c', dc: 'y' } },
  { metric: 'cpu', tags: {} },
  { metric: 'mem', tags: { host: 'b' } },
]
