/**
 * Salvaging a segment: what can be read of a damaged one, as a segment of its own.
 *
 *   group      head, times, columns   -> all of it, or without the columns that are damaged, or not at all
 *   dictionary pages                  -> as they are, or from the catalog, where that knows the ordinals
 *
 * Invariants:
 * 1. The result holds only what passed its checksum and lies in order; everything else is in `losses`, once.
 * 2. LSNs, ordinals and incarnation stay: it takes the place of the old one among the others. Where ordinals contradict the
 *    catalog, they are given up, and series are found by their keys.
 * 3. Memory is one row group, and the keys of its series.
 */
import type { Kernels } from '../../kernels/kernels.ts'
import { toHex } from '../../lib/text.ts'
import { printSeries } from '../catalog/identity.ts'
import type { CatalogReader } from '../catalog/types.ts'
import { newReadStatistics } from '../read-statistics.ts'
import { RowBuffer } from '../row-buffer.ts'
import type { FieldInfo, MetricInfo, Tags } from '../types.ts'
import { ChunkCache } from './chunk-cache.ts'
import { decodePage, type SeriesKey, type SeriesKeys } from './dictionary.ts'
import { type SegmentSink, SegmentWriter } from './encode.ts'
import type { SegmentEnvironment } from './environment.ts'
import { type ColumnEntry, columnsOf, type Footer, type FooterMetric, type GroupEntry } from './footer.ts'
import type { SegmentHeader } from './format.ts'
import { loadGroup } from './load-group.ts'
import { SegmentDamage, SegmentFile } from './segment-file.ts'

/** Rows that are gone, or a field of them. */
export interface Loss {
  /** undefined: all that the segment had. */
  readonly metric: string | undefined
  /** undefined: the rows themselves. */
  readonly field: string | undefined
  readonly rows: number
  readonly seriesCount: number
  /** As printed, as far as they are known: the first hundred. */
  readonly series: readonly string[]
  /** Inclusive: µs since the epoch, UTC. */
  readonly minTimeUs: number
  readonly maxTimeUs: number
}

export const seriesNamedMax = 100

export interface Salvaged {
  /** Rows of the new segment; 0: there is none. */
  readonly rows: number
  readonly losses: readonly Loss[]
}

type Truth = CatalogReader & { readonly incarnation: string }

/**
 * Writes what is left to the sink, and yields after each group. undefined when header, footer or trailer are damaged, so
 * that nothing in it can be found. Throws `io_error`.
 */
export function* salvageSegment(
  environment: SegmentEnvironment,
  path: string,
  catalog: Truth,
  sink: SegmentSink,
): Generator<void, Salvaged | undefined> {
  const uncached = { ...environment, cache: new ChunkCache(0), onDamage: () => {} }
  const file = new SegmentFile(uncached, path)
  try {
    const opened = attempt(() => file.readFooter())
    if (opened === undefined) return undefined
    const { header, footer } = opened
    const { keys, incarnation } = readKeys(uncached, file, header, footer, catalog)
    const writer = writerFor(uncached, header, incarnation, sink)
    const losses: Loss[] = []
    let rows = 0
    for (const metric of footer.metrics) {
      const info: MetricInfo = {
        id: 0,
        name: metric.name,
        fields: metric.fields.map((field, id): FieldInfo => ({ id, ...field })),
      }
      for (const group of metric.groups) {
        const read = readGroup(uncached, file, footer, metric, group, info)
        const lost = lossOf(metric, group, (local: number) => keys.get(footer.ordinals[local]!))
        const known = read && rowsWithKeys(read.buffer, keys)
        if (known === undefined || known.length < group.rows)
          losses.push({ ...lost, rows: group.rows - (known?.length ?? 0) })
        for (const column of read?.lostColumns ?? [])
          losses.push({ ...lost, field: metric.fields[column.field]!.name, rows: column.statistics.count })
        if (read !== undefined && known !== undefined && known.length > 0) {
          writer.rows(info, read.buffer, known.length === read.buffer.length ? undefined : known)
          rows += known.length
        }
        yield
      }
    }
    if (rows > 0) writer.close(seriesKeys(keys)).seal(header.parts)
    return { rows, losses }
  } finally {
    file.close()
  }
}

function attempt<T>(task: () => T): T | undefined {
  try {
    return task()
  } catch (error) {
    if (error instanceof SegmentDamage) return undefined
    throw error
  }
}

function writerFor(
  { ports, kernels }: { readonly ports: SegmentEnvironment['ports']; readonly kernels: Kernels },
  header: SegmentHeader,
  incarnation: string,
  sink: SegmentSink,
): SegmentWriter {
  // Not settled: a merge may write it again, with rollups.
  const head = {
    minLsn: header.minLsn,
    maxLsn: header.maxLsn,
    retentionClass: header.retentionClass,
    replaced: header.replaced,
    incarnation,
  }
  return new SegmentWriter(head, kernels, ports.checksums, ports.zstd, sink)
}

const seriesKeys = (keys: ReadonlyMap<number, SeriesKey>): SeriesKeys => ({
  ids: { size: keys.size, at: ordinal => keys.get(ordinal)!.id },
  tagsOf: ordinal => keys.get(ordinal)!.tags,
})

/** The series by ordinal, as far as a page or the catalog knows them. */
function readKeys(
  environment: SegmentEnvironment,
  file: SegmentFile,
  header: SegmentHeader,
  { ordinals, pages, metrics }: Footer,
  catalog: Truth,
): { readonly keys: ReadonlyMap<number, SeriesKey>; readonly incarnation: string } {
  const keys = new Map<number, SeriesKey>()
  const incarnation = toHex(header.incarnation)
  const knows = (ordinal: number): boolean => incarnation === catalog.incarnation && ordinal < catalog.seriesCount
  let contradicts = false
  let local = 0
  for (const page of pages) {
    const read = attempt(() => {
      const [bytes] = file.chunks([page], () => {})
      return file.guard(page.at, 'dictionary', () => decodePage(bytes!, page.seriesCount, environment.ports.zstd))
    })
    for (let i = 0; i < page.seriesCount; i++, local++) {
      const ordinal = ordinals[local]!
      const key =
        read?.[i] ?? (knows(ordinal) ? { id: catalog.ids.at(ordinal), tags: catalog.tagsOf(ordinal) } : undefined)
      if (key === undefined) continue
      keys.set(ordinal, key)
      const metric = metrics.find(each => local < each.firstSeries + each.seriesCount)!
      contradicts ||= knows(ordinal) && catalog.printed.at(ordinal) !== printSeries(metric.name, key.tags as Tags)
    }
  }
  return { keys, incarnation: contradicts ? noIncarnation : incarnation }
}

/** Of no catalog: series are found by their keys. */
const noIncarnation = '0'.repeat(32)

interface ReadGroup {
  readonly buffer: RowBuffer
  readonly lostColumns: readonly ColumnEntry[]
}

/** undefined when head or times are damaged, or the rows out of order. */
function readGroup(
  environment: SegmentEnvironment,
  file: SegmentFile,
  footer: Footer,
  metric: FooterMetric,
  group: GroupEntry,
  { fields }: MetricInfo,
): ReadGroup | undefined {
  const columns = attempt(() => file.guard(group.columnsAt, 'footer', () => columnsOf(footer, metric, group)))
  if (columns === undefined) return undefined
  const read = (wanted: readonly ColumnEntry[]): RowBuffer | undefined =>
    attempt(() => {
      const buffer = new RowBuffer(fields, group.rows)
      const byField = fields.map(({ id }) => wanted.find(({ field }) => field === id))
      const loaded = loadGroup(environment, file, 0, metric, group, byField, () => {})
      const everything = {
        runs: undefined,
        ordinal: (run: number) => footer.ordinals[group.firstSeries + run]!,
        fromUs: Number.NEGATIVE_INFINITY,
        toUs: Number.POSITIVE_INFINITY,
        bounds: [],
      }
      file.guard(group.time.at, 'column', () =>
        environment.groups.read(loaded, everything, buffer, newReadStatistics(), { field: -1 }),
      )
      return buffer
    })
  let good = columns
  let buffer = read(columns)
  if (buffer === undefined) {
    if (read([]) === undefined) return undefined
    good = columns.filter(column => read([column]) !== undefined)
    buffer = read(good)
  }
  if (buffer === undefined || !isInOrder(buffer)) return undefined
  return { buffer, lostColumns: columns.filter(column => !good.includes(column)) }
}

function isInOrder({ series, timeUs, length }: RowBuffer): boolean {
  for (let row = 1; row < length; row++)
    if (series[row] === series[row - 1] && !(timeUs[row]! > timeUs[row - 1]!)) return false
  return length > 0
}

/** Rows whose series is known and that have a field left. */
function rowsWithKeys({ series, fields, length }: RowBuffer, keys: ReadonlyMap<number, SeriesKey>): Uint32Array {
  const rows = new Uint32Array(length)
  let count = 0
  for (let row = 0; row < length; row++)
    if (keys.has(series[row]!) && fields.some(({ valid }) => valid[row] === 1)) rows[count++] = row
  return rows.subarray(0, count)
}

function lossOf(metric: FooterMetric, group: GroupEntry, keyOf: (local: number) => SeriesKey | undefined): Loss {
  const locals = Array.from({ length: Math.min(group.runCount, seriesNamedMax) }, (_, run) => group.firstSeries + run)
  return {
    metric: metric.name,
    field: undefined,
    rows: group.rows,
    seriesCount: group.runCount,
    series: locals.flatMap(local => {
      const key = keyOf(local)
      return key === undefined ? [] : [printSeries(metric.name, key.tags)]
    }),
    minTimeUs: group.minTimeUs,
    maxTimeUs: group.maxTimeUs,
  }
}
