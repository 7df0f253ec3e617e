/**
 * The metric that a live query is written into.
 *
 *   keep     every row that was ever in the result stays, as it was last: the metric outlives what it was made from
 *   delete   the metric is the result: what leaves it is deleted, and what became null
 *
 * Invariants:
 * 1. Changes are written one after the other; `write` resolves when all of it is as durable as `fsync` says.
 * 2. Writing a change again changes nothing: a row of one series and time is one row, and the last one wins.
 */
import { SydraError } from '../../lib/errors.ts'
import type { LiveDelta, LiveRow } from '../../operators/live/types.ts'
import { formatName } from '../../sydraql/format.ts'
import type { Database, RowObject } from '../../types.ts'
import { type Place, type RowMapping, rowMapping } from './into-rows.ts'
import type { LiveColumn } from './types.ts'

/** What it needs of the database. */
export type IntoDatabase = Pick<Database, 'ingest' | 'query'>

/** A change of the result, or the whole of it. */
export interface IntoChange {
  readonly columns: readonly LiveColumn[]
  /** What it was before is void: `added` has all rows. */
  readonly isWhole: boolean
  readonly delta: LiveDelta
}

export interface Written {
  /** The commit of the last rows; undefined: there were none. */
  readonly writtenLsn: number | undefined
  readonly rows: number
  readonly deleted: number
}

export interface IntoMetric {
  write(change: IntoChange): Promise<Written>
}

/** Series that one statement names. */
const seriesMax = 500

export function intoMetric(db: IntoDatabase, metric: string, removed: 'keep' | 'delete'): IntoMetric {
  let known: readonly LiveColumn[] = []
  let mapping: RowMapping | undefined

  return {
    async write({ columns, isWhole, delta }) {
      const { added, changed } = delta
      if (mapping === undefined || columns !== known) {
        mapping = rowMapping(columns, metric)
        known = columns
      }
      let deleted = 0
      if (removed === 'delete') {
        const { place, fields, isNull } = mapping
        const hasNull = (row: LiveRow): boolean => fields.some((_, field) => isNull(row, field))
        deleted = isWhole
          ? await deleteOthers(db, metric, mapping, added)
          : await deletePlaces(db, metric, [...delta.removed, ...changed.filter(hasNull)].map(place))
      }
      if (added.length + changed.length === 0) return { writtenLsn: undefined, rows: 0, deleted }
      return { ...(await ingestRows(db, points(mapping, added, changed))), deleted }
    },
  }
}

function* points({ point }: RowMapping, ...lists: readonly (readonly LiveRow[])[]): Generator<RowObject> {
  for (const rows of lists) {
    for (const row of rows) {
      const found = point(row)
      if (found !== undefined) yield found
    }
  }
}

async function ingestRows(db: IntoDatabase, rows: Iterable<RowObject>): Promise<Omit<Written, 'deleted'>> {
  let writtenLsn: number | undefined
  const { ingested, failure } = await db.ingest(rows, {
    precision: 'us',
    onError: 'abort',
    onCommit: ({ lsn }) => {
      writtenLsn = lsn
    },
  })
  if (failure !== undefined) throw failure
  return { writtenLsn, rows: ingested }
}

// ---- what is not in the result any more ---------------------------------------------------------------------------------

/** A delete for each time. */
async function deletePlaces(db: IntoDatabase, metric: string, places: readonly Place[]): Promise<number> {
  for (const [timeUs, found] of Map.groupBy(places, ({ timeUs }) => timeUs))
    await deleteSeries(
      db,
      metric,
      timeUs,
      found.map(({ series }) => series),
    )
  return places.length
}

/** Deletes what the metric has and the result has not: whole ranges of time where it has nothing there. */
async function deleteOthers(
  db: IntoDatabase,
  metric: string,
  mapping: RowMapping,
  rows: readonly LiveRow[],
): Promise<number> {
  const { place, isNull } = mapping
  const wanted = new Map<number, Map<string, LiveRow>>()
  for (const row of rows) {
    const { series, timeUs } = place(row)
    const atTime = wanted.get(timeUs)
    if (atTime === undefined) wanted.set(timeUs, new Map([[series, row]]))
    else atTime.set(series, row)
  }
  let deleted = 0
  /** Times without any row of the result, that follow one another. */
  let unwanted: { readonly fromUs: number; toUs: number } | undefined
  let stale: string[] = []
  let lastUs: number | undefined
  const endOfTime = async (): Promise<void> => {
    if (lastUs === undefined || stale.length === 0) return
    deleted += stale.length
    if (!wanted.has(lastUs)) {
      unwanted ??= { fromUs: lastUs, toUs: lastUs }
      unwanted.toUs = lastUs + 1
    } else await deleteSeries(db, metric, lastUs, stale)
    stale = []
  }
  const endOfRange = async (): Promise<void> => {
    if (unwanted !== undefined) await deleteRange(db, metric, unwanted.fromUs, unwanted.toUs, [])
    unwanted = undefined
  }
  for await (const { series, timeUs, hasValue } of storedRows(db, metric, mapping)) {
    if (timeUs !== lastUs) {
      await endOfTime()
      if (wanted.has(timeUs)) await endOfRange()
      lastUs = timeUs
    }
    const row = wanted.get(timeUs)?.get(series)
    if (row === undefined || hasValue.some((has, field) => has && isNull(row, field))) stale.push(series)
  }
  await endOfTime()
  await endOfRange()
  return deleted
}

interface StoredRow extends Place {
  readonly hasValue: readonly boolean[]
}

/** By time. */
async function* storedRows(db: IntoDatabase, metric: string, { fields }: RowMapping): AsyncGenerator<StoredRow> {
  const existing = new Set<string>()
  try {
    for await (const { field } of db.query<{ field: string }>(`show fields from ${formatName(metric)}`))
      existing.add(field)
  } catch (error) {
    if (isUnknownMetric(error)) return
    throw error
  }
  const columns = fields.map((field, index) => (existing.has(field) ? `, field.${formatName(field)} as f${index}` : ''))
  const text = `select series as s, time as t${columns.join('')} from ${formatName(metric)}`
  for await (const row of db.query(text)) {
    const hasValue = fields.map((_, index) => (row[`f${index}`] ?? null) !== null)
    yield { series: row['s'] as string, timeUs: row['t'] as number, hasValue }
  }
}

async function deleteSeries(
  db: IntoDatabase,
  metric: string,
  timeUs: number,
  series: readonly string[],
): Promise<void> {
  for (let at = 0; at < series.length; at += seriesMax)
    await deleteRange(db, metric, timeUs, timeUs + 1, series.slice(at, at + seriesMax))
}

/** No series: all of the metric. */
async function deleteRange(
  db: IntoDatabase,
  metric: string,
  fromUs: number,
  toUs: number,
  series: readonly string[],
): Promise<void> {
  const condition = series.length === 0 ? '' : ` and series in (${series.map(() => '?')})`
  const text = `delete from ${formatName(metric)} where time >= ? and time < ?${condition}`
  try {
    await db.query(text, [fromUs, toUs, ...series]).all()
  } catch (error) {
    if (!isUnknownMetric(error)) throw error
  }
}

const isUnknownMetric = (error: unknown): boolean => error instanceof SydraError && error.code === 'unknown_metric'
