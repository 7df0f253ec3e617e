/**
 * Questions of several shapes, as sydraQL and as the model answers them.
 *
 *   question -> text -> database -> lines        question -> model's rows -> lines        the same lines, in any order
 */
import type { Database, Value } from '../../src/types.ts'
import type { SeededRandom } from '../simulated/random.ts'
import { type Cell, keyOf, type Rows, type StoredRow } from './model.ts'
import { metrics, type RandomRows } from './rows.ts'

export interface Question {
  readonly shape: 'rows' | 'count' | 'whole' | 'by-series' | 'by-host' | 'last'
  readonly metric: string
  readonly fromUs?: number
  readonly toUs?: number
  readonly host?: string
  /** Of buckets. */
  readonly width: keyof typeof widthsUs
  readonly field: string
  /** As of a snapshot. */
  readonly ref?: string
}

const widthsUs = { '10s': 10e6, '1m': 60e6, '5m': 300e6, '1h': 3600e6, '1d': 86_400e6 } as const

export function randomQuestion(random: SeededRandom, rows: RandomRows): Question {
  const pick = <T>(values: readonly T[]): T => values[random.below(values.length)]!
  const fromUs = random.chance(0.5) ? undefined : rows.time()
  const toUs = random.chance(0.6) ? undefined : (fromUs ?? rows.time()) + random.below(random.chance(0.5) ? 3e9 : 3e12)
  return {
    shape: pick(['rows', 'count', 'whole', 'by-series', 'by-series', 'by-host', 'last']),
    metric: pick(metrics),
    ...(fromUs !== undefined && { fromUs }),
    ...(toUs !== undefined && { toUs }),
    ...(random.chance(0.2) && { host: `h${random.below(4)}` }),
    width: pick(Object.keys(widthsUs) as (keyof typeof widthsUs)[]),
    field: pick(['f0', 'f0', 'f1']),
  }
}

export function textOf({ shape, metric, fromUs, toUs, host, width, field, ref }: Question): string {
  const conditions = [
    fromUs === undefined ? [] : `time >= ${fromUs}`,
    toUs === undefined ? [] : `time < ${toUs}`,
    host === undefined ? [] : `tag.host = '${host}'`,
  ].flat()
  const where = conditions.length === 0 ? '' : ` where ${conditions.join(' and ')}`
  const from = `from ${metric}${ref === undefined ? '' : ` as of '${ref}'`}${where}`
  const sums = `count(*) as n, count(${field}) as c, sum(${field}) as s, min(${field}) as lo, max(${field}) as hi`
  const bucket = `time_bucket(${width}, time) as t`
  switch (shape) {
    case 'rows':
      return `select series, * ${from}`
    case 'count':
      return `select count(*) as n ${from}`
    case 'whole':
      return `select ${sums} ${from}`
    case 'by-series':
      return `select ${bucket}, series, ${sums}, first(${field}) as a, last(${field}) as z ${from} group by t, series`
    case 'by-host':
      return `select ${bucket}, tag.host as host, ${sums} ${from} group by t, host`
    case 'last':
      return `select series, * ${from} order by time desc limit 1 per series`
  }
}

/** The answer's lines, sorted; undefined when the metric or the field is unknown. `rolledUp` is told when rollups were used. */
export async function ask(db: Database, question: Question, rolledUp: () => void): Promise<string[] | undefined> {
  try {
    const { rows, columns, stats } = await db.query<Record<string, Value>>(textOf(question)).all()
    if (stats.rollup !== null) rolledUp()
    if (question.shape !== 'rows' && question.shape !== 'last') return rows.map(row => JSON.stringify(row)).sort()
    return rowLines(storedRows(question.metric, columns, rows).values())
  } catch (error) {
    if (error instanceof Error && 'code' in error && /^unknown_(metric|field|tag)$/.test(String(error.code)))
      return undefined
    throw error
  }
}

/** What the model says. */
export function answer({ shape, metric, fromUs, toUs, host, width, field }: Question, all: Rows): string[] {
  const rows = [...all.values()].filter(
    row =>
      row.metric === metric &&
      row.timeUs >= (fromUs ?? Number.NEGATIVE_INFINITY) &&
      row.timeUs < (toUs ?? Number.POSITIVE_INFINITY) &&
      (host === undefined || row.host === host),
  )
  const widthUs = widthsUs[width]
  const bucketOf = ({ timeUs }: StoredRow): number => Math.floor(timeUs / widthUs) * widthUs
  switch (shape) {
    case 'rows':
      return rowLines(rows)
    case 'count':
      return [JSON.stringify({ n: rows.length })]
    case 'whole':
      return [JSON.stringify(sumsOf(rows, field))]
    case 'by-series':
      return grouped(rows, row => `${bucketOf(row)} ${row.series}`).map(group => {
        const { t, series } = { t: bucketOf(group[0]!), series: group[0]!.series }
        const values = group.toSorted((a, b) => a.timeUs - b.timeUs).flatMap(row => row.fields.get(field) ?? [])
        return JSON.stringify({ t, series, ...sumsOf(group, field), a: values[0] ?? null, z: values.at(-1) ?? null })
      })
    case 'by-host':
      return grouped(rows, row => `${bucketOf(row)} ${row.host}`).map(group =>
        JSON.stringify({ t: bucketOf(group[0]!), host: group[0]!.host, ...sumsOf(group, field) }),
      )
    case 'last':
      return rowLines(
        grouped(rows, row => row.series).map(group => group.reduce((a, b) => (b.timeUs > a.timeUs ? b : a))),
      )
  }
}

/** The first difference in words; undefined where there is none. */
export function compareLines(
  question: Question,
  expected: readonly string[],
  found: string[] | undefined,
): string | undefined {
  const wanted = expected.toSorted()
  if (found === undefined) {
    // What nobody has written yet is unknown: then there is no value of it.
    const some = wanted.find(line => (/"[cn]":/.test(line) ? !/"c":0|^{"n":0}$/.test(line) : true))
    return some && `${textOf(question)}: unknown, and there should be ${some}`
  }
  const at = wanted.findIndex((line, i) => line !== found[i])
  if (at < 0 && wanted.length === found.length) return undefined
  return `${textOf(question)}: line ${at} is ${found[at < 0 ? wanted.length : at]} and should be ${wanted[at]}`
}

/** Every row of a metric. Throws when one comes twice. */
export async function readMetric(db: Database, metric: string, into: Rows, ref?: string): Promise<number> {
  const asOf = ref === undefined ? '' : ` as of '${ref}'`
  const { columns, rows } = await db.query<Record<string, Value>>(`select series, * from ${metric}${asOf}`).all()
  for (const [key, row] of storedRows(metric, columns, rows)) into.set(key, row)
  return rows.length
}

/** Everything a database holds, by way of queries. Throws when a row comes twice or is counted otherwise. */
export async function readAll(db: Database, ref?: string): Promise<Rows> {
  const all: Rows = new Map()
  for (const metric of new Set([...db.series()].map(info => info.metric))) {
    const read = await readMetric(db, metric, all, ref)
    if (ref !== undefined) continue
    const counted = await db.query(`select count(*) as n from ${metric}`).first()
    if (counted?.['n'] !== read) throw new Error(`${metric} has ${read} rows, counted ${counted?.['n']}`)
  }
  return all
}

function storedRows(
  metric: string,
  columns: readonly { readonly name: string }[],
  rows: readonly Record<string, Value>[],
): Rows {
  const names = columns.map(({ name }) => name).filter(name => !/^(series|time|tag\..*)$/.test(name))
  const all: Rows = new Map()
  for (const row of rows) {
    const fields = new Map<string, Cell>()
    for (const name of names) if (row[name] !== null) fields.set(name, row[name] as Cell)
    const host = (row['tag.host'] ?? undefined) as string | undefined
    const stored = { metric, series: row['series'] as string, host, timeUs: row['time'] as number, fields }
    const key = keyOf(stored)
    if (all.has(key)) throw new Error(`row ${key} is there twice`)
    all.set(key, stored)
  }
  return all
}

const rowLines = (rows: Iterable<StoredRow>): string[] =>
  Array.from(rows, row => JSON.stringify([keyOf(row), [...row.fields].sort(([a], [b]) => (a < b ? -1 : 1))])).sort()

function grouped(rows: readonly StoredRow[], keyed: (row: StoredRow) => string): StoredRow[][] {
  return [...Map.groupBy(rows, keyed).values()]
}

function sumsOf(rows: readonly StoredRow[], field: string): Record<string, number | null> {
  const values = rows.flatMap(({ fields }) => (fields.has(field) ? [fields.get(field) as number] : []))
  const some = values.length > 0
  return {
    n: rows.length,
    c: values.length,
    s: some ? values.reduce((sum, value) => sum + value, 0) : null,
    lo: some ? Math.min(...values) : null,
    hi: some ? Math.max(...values) : null,
  }
}
