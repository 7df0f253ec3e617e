/** A database of arrays: a catalog, and versions whose pieces read from arrays, honest to the contracts of storage. */

import { ArrayDictionary, type Dictionary } from '../../src/columnar/batch.ts'
import type { Scalar } from '../../src/columnar/value.ts'
import { referenceKernels } from '../../src/kernels/reference-kernels.ts'
import { compareUtf8 } from '../../src/lib/text.ts'
import type { ExecutionContext } from '../../src/operators/operator.ts'
import type { CatalogReader } from '../../src/storage/catalog/types.ts'
import { newReadStatistics } from '../../src/storage/read-statistics.ts'
import type { RowBuffer } from '../../src/storage/row-buffer.ts'
import type {
  FieldBound,
  FieldInfo,
  FieldStatistics,
  FieldType,
  MetricInfo,
  Piece,
  ReadRequest,
  Tags,
  Version,
} from '../../src/storage/types.ts'

export interface FakeRow {
  /** Catalog ordinal. */
  readonly series: number
  readonly timeUs: number
  /** By field id; undefined or null: missing. */
  readonly values: readonly (Scalar | undefined)[]
}

export interface FakeSeries {
  readonly metric: string
  readonly tags: Readonly<Record<string, string>>
}

export interface FakeDatabase {
  readonly catalog: CatalogReader
  readonly series: readonly FakeSeries[]
  /** Per metric name, pieces in write order; rows of a piece in any order, (series, time) unique. */
  readonly pieces: Readonly<Record<string, readonly (readonly FakeRow[])[]>>
}

export const tagsOf = ({ tags }: FakeSeries): Tags => Object.entries(tags).sort(([a], [b]) => compareUtf8(a, b))

export const printedOf = (series: FakeSeries): string =>
  `${series.metric}{${tagsOf(series)
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join(',')}}`

export function fakeCatalog(
  fields: Readonly<Record<string, Readonly<Record<string, FieldType>>>>,
  series: readonly FakeSeries[],
): CatalogReader {
  const metrics = Object.entries(fields).map(
    ([name, types], id): MetricInfo => ({
      id,
      name,
      fields: Object.entries(types).map(([field, type], index) => ({ id: index, name: field, type })),
    }),
  )
  const byName = new Map(metrics.map(metric => [metric.name, metric]))
  const ordinals = series.map((_, ordinal) => ordinal)
  const of = (metric: number) => ordinals.filter(ordinal => byName.get(series[ordinal]!.metric)!.id === metric)
  const printed = new ArrayDictionary(series.map(printedOf))
  const ids = new ArrayDictionary(series.map((_, ordinal) => String(1_000_000 + 7 * ordinal)))
  const tagKeys = [...new Set(series.flatMap(each => Object.keys(each.tags)))]
  const dictionaries = new Map<string, Dictionary & { strings: string[] }>(
    tagKeys.map(key => [key, new ArrayDictionary([...new Set(series.flatMap(each => each.tags[key] ?? []))])]),
  )
  return {
    version: 1,
    seriesCount: series.length,
    metric: name => byName.get(name),
    metrics: () => metrics.toSorted((a, b) => compareUtf8(a.name, b.name)),
    tagKeys: metric => [...new Set(of(metric).flatMap(each => Object.keys(series[each]!.tags)))].sort(),
    tag(key) {
      const dictionary = dictionaries.get(key)
      if (dictionary === undefined) return undefined
      return {
        key,
        dictionary,
        code: ordinal => dictionary.strings.indexOf(series[ordinal]!.tags[key] ?? '\u0000'),
      }
    },
    seriesOf: metric => Uint32Array.from(of(metric)),
    seriesWithTag: (metric, key, value) =>
      Uint32Array.from(of(metric).filter(each => series[each]!.tags[key] === value)),
    seriesById: id => {
      const found = ids.strings.indexOf(id)
      return found < 0 ? undefined : found
    },
    metricOf: ordinal => byName.get(series[ordinal]!.metric)!,
    tagsOf: ordinal => tagsOf(series[ordinal]!),
    printed,
    ids,
    ranks(metric) {
      const ranks = new Uint32Array(series.length)
      of(metric)
        .sort((a, b) => compareUtf8(printed.at(a), printed.at(b)))
        .forEach((ordinal, rank) => {
          ranks[ordinal] = rank
        })
      return ranks
    },
  }
}

export interface PieceHooks {
  onRead?(piece: number, rows: number): void
}

/** Rows per block, for skipping by bounds. */
const blockRows = 4

export function fakeVersion(database: FakeDatabase, hooks: PieceHooks = {}): Version & { released: number } {
  return {
    lsn: 1,
    released: 0,
    horizonUs: () => -Infinity,
    pieces(request) {
      const ranks = database.catalog.ranks(request.metric.id)
      const pieces = database.pieces[request.metric.name] ?? []
      return pieces.flatMap((rows, index) => {
        const sorted = rows.toSorted((a, b) => ranks[a.series]! - ranks[b.series]! || a.timeUs - b.timeUs)
        return sorted.some(row => belongs(row, request))
          ? [{ ...fakePiece(sorted, request, ranks, index, hooks), source: rows }]
          : []
      })
    },
    sources: () =>
      Object.values(database.pieces)
        .flat()
        .filter(rows => rows.length > 0)
        .map(rows => {
          const times = rows.map(({ timeUs }) => timeUs)
          return { rows: rows.length, minTimeUs: Math.min(...times), maxTimeUs: Math.max(...times), segment: rows }
        }),
    release() {
      this.released++
    },
  }
}

const belongs = (row: FakeRow, { series, fromUs, toUs }: ReadRequest): boolean =>
  (series === undefined || series.has(row.series)) && row.timeUs >= fromUs && row.timeUs < toUs

function fakePiece(
  sorted: readonly FakeRow[],
  request: ReadRequest,
  ranks: Uint32Array,
  index: number,
  hooks: PieceHooks,
): Piece {
  const times = sorted.map(row => row.timeUs)
  return {
    rows: sorted.length,
    minTimeUs: Math.min(...times),
    maxTimeUs: Math.max(...times),
    series: sorted.every(row => row.series === sorted[0]!.series) ? sorted[0]!.series : undefined,
    whole: sorted.every(row => belongs(row, request)),
    statistics: field => statisticsOf(sorted, request.fields[field]!, ranks),
    read(fromUs, toUs, into, bounds = []) {
      const rows: FakeRow[] = []
      for (let from = 0; from < sorted.length; from += blockRows) {
        const block = sorted.slice(from, from + blockRows)
        if (bounds.every(bound => block.some(row => within(row, bound, request.fields)))) rows.push(...block)
      }
      const wanted = rows.filter(row => belongs(row, request) && row.timeUs >= fromUs && row.timeUs < toUs)
      append(wanted, into)
      request.statistics.rowsScanned += wanted.length
      hooks.onRead?.(index, wanted.length)
    },
  }
}

function within(row: FakeRow, bound: FieldBound, fields: readonly FieldInfo[]): boolean {
  const value = row.values[fields[bound.field]!.id]
  if (typeof value !== 'number') return false
  return Number.isNaN(value) ? bound.nan : value >= bound.min && value <= bound.max
}

export function append(rows: readonly FakeRow[], into: RowBuffer): void {
  into.reserve(rows.length)
  for (const row of rows) {
    const at = into.length++
    into.series[at] = row.series
    into.timeUs[at] = row.timeUs
    for (const buffer of into.fields) {
      const value = row.values[buffer.field.id] ?? null
      buffer.valid[at] = value === null ? 0 : 1
      if (value === null) buffer.nulls = true
      buffer.values[at] = typeof value === 'string' ? buffer.dictionary!.code(value) : Number(value)
    }
  }
}

function statisticsOf(sorted: readonly FakeRow[], field: FieldInfo, ranks: Uint32Array): FieldStatistics | undefined {
  if (field.type !== 'float' && field.type !== 'integer') return undefined
  const rows = sorted.filter(row => typeof row.values[field.id] === 'number')
  const values = rows.map(row => row.values[field.id] as number)
  const numbers = values.filter(value => !Number.isNaN(value))
  const byTime = rows.toSorted((a, b) => a.timeUs - b.timeUs || ranks[a.series]! - ranks[b.series]!)
  return {
    count: values.length,
    nanCount: values.length - numbers.length,
    min: Math.min(Infinity, ...numbers),
    max: Math.max(-Infinity, ...numbers),
    sum: values.reduce((sum, value) => sum + value, 0),
    first: (byTime[0]?.values[field.id] as number) ?? NaN,
    firstTimeUs: byTime[0]?.timeUs ?? NaN,
    last: (byTime.at(-1)?.values[field.id] as number) ?? NaN,
    lastTimeUs: byTime.at(-1)?.timeUs ?? NaN,
  }
}

/** A context over a fake database: a clock that stands still, timers that run at once. */
export function fakeContext(database: FakeDatabase, overrides: Partial<ExecutionContext> = {}): ExecutionContext {
  return {
    version: fakeVersion(database),
    catalog: database.catalog,
    kernels: referenceKernels,
    clock: { nowUs: () => 0, monotonicMs: () => 0 },
    timers: { after: () => () => {}, soon: task => setImmediate(task) },
    signal: new AbortController().signal,
    batchRows: 8192,
    memoryMaxBytes: 256 * 1024 * 1024,
    duplicates: 'last',
    read: newReadStatistics(),
    operators: [],
    ...overrides,
  }
}
