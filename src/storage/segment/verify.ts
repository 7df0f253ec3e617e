/**
 * Verifying a segment: everything it holds is read and checked against everything it says.
 *
 * Checked: every checksum, the order of series and rows, run tables, block ranges and bounds, statistics of groups, the
 * dictionary, header against contents; given a catalog, that ordinals, ids and field types are what it says.
 *
 * Invariants:
 * 1. Nothing is cached; memory is one row group, and one page of the dictionary.
 * 2. What is damaged hides nothing else: each row group, and each page, is checked by itself.
 */
import { assert } from '../../lib/assert.ts'
import { compareUtf8, toHex } from '../../lib/text.ts'
import { printSeries, type SeriesHasher } from '../catalog/identity.ts'
import type { CatalogReader } from '../catalog/types.ts'
import { DamageError } from '../codecs/bytes.ts'
import { newReadStatistics } from '../read-statistics.ts'
import { type FieldBuffer, RowBuffer } from '../row-buffer.ts'
import type { FieldInfo } from '../types.ts'
import { ChunkCache } from './chunk-cache.ts'
import type { NumberChunk } from './decode-column.ts'
import { decodePage } from './dictionary.ts'
import type { SegmentEnvironment } from './environment.ts'
import { type ColumnStatistics, columnsOf, type Footer, type FooterMetric, type GroupEntry } from './footer.ts'
import type { SegmentHeader } from './format.ts'
import { loadGroup } from './load-group.ts'
import type { LoadedGroup } from './read-group.ts'
import { SegmentDamage, SegmentFile } from './segment-file.ts'

export interface VerifiedSegment {
  readonly rows: number
  readonly series: number
  readonly groups: number
}

export interface CheckedSegment {
  /** undefined when it cannot be read: nothing else was then checked. */
  readonly header: SegmentHeader | undefined
  readonly groups: number
  /** In the order of the file, groups first, then the dictionary. */
  readonly damages: readonly SegmentDamage[]
}

/** What a segment's series are compared with. */
export interface SeriesTruth {
  readonly catalog: CatalogReader & { readonly incarnation: string }
  readonly hash: SeriesHasher
}

/** Throws `corrupt_segment` naming the first thing that is wrong, `io_error`. */
export function verifySegment(environment: SegmentEnvironment, path: string): VerifiedSegment {
  const steps = checkSegment(environment, path)
  let step = steps.next()
  while (step.done !== true) step = steps.next()
  const { header, groups, damages } = step.value
  if (damages.length > 0) throw damages[0]
  assert(header !== undefined, 'a segment without a header is damaged')
  return { rows: header.rows, series: header.seriesCount, groups }
}

/** Yields after each part, for others to have a turn. Throws `io_error`. */
export function* checkSegment(
  environment: SegmentEnvironment,
  path: string,
  truth?: SeriesTruth,
): Generator<void, CheckedSegment> {
  const uncached = { ...environment, cache: new ChunkCache(0), onDamage: () => {} }
  const file = new SegmentFile(uncached, path)
  const damages: SegmentDamage[] = []
  const attempt = <T>(task: () => T): T | undefined => {
    try {
      return task()
    } catch (error) {
      if (!(error instanceof SegmentDamage)) throw error
      damages.push(error)
      return undefined
    }
  }
  try {
    const opened = attempt(() => file.readFooter())
    if (opened === undefined) return { header: undefined, groups: 0, damages }
    const { header, footer } = opened
    let minTimeUs = Infinity
    let maxTimeUs = -Infinity
    let groups = 0
    for (const metric of footer.metrics) {
      attempt(() => verifyCover(file, metric))
      for (const group of metric.groups) {
        attempt(() => verifyGroup(uncached, file, footer, metric, group))
        minTimeUs = Math.min(minTimeUs, group.minTimeUs)
        maxTimeUs = Math.max(maxTimeUs, group.maxTimeUs)
        groups++
        yield
      }
    }
    attempt(() =>
      file.guard(0, 'header', () => {
        if (minTimeUs !== header.minTimeUs || maxTimeUs !== header.maxTimeUs) throw new DamageError('time range', 40)
      }),
    )
    if (truth !== undefined && header.kind.kind === 'rows') attempt(() => verifyFields(file, footer, truth))
    let before: Before | undefined
    let local = 0
    for (const page of footer.pages) {
      const keys = attempt(() => {
        const [bytes] = file.chunks([page], () => {})
        return file.guard(page.at, 'dictionary', () => decodePage(bytes!, page.seriesCount, environment.ports.zstd))
      })
      const of = truth && { ...truth, sameOrdinals: toHex(header.incarnation) === truth.catalog.incarnation }
      const last =
        keys && attempt(() => file.guard(page.at, 'dictionary', () => verifyKeys(keys, footer, local, before, of)))
      before = last
      local += page.seriesCount
      yield
    }
    return { header, groups, damages }
  } finally {
    file.close()
  }
}

/** The last series before a page, if it could be read. */
interface Before {
  readonly metric: FooterMetric
  readonly printed: string
}

/** Series of a metric come in the order of their printed forms, with their ids, and are those of the catalog. */
function verifyKeys(
  keys: ReturnType<typeof decodePage>,
  { metrics, ordinals }: Footer,
  firstLocal: number,
  before: Before | undefined,
  truth: (SeriesTruth & { readonly sameOrdinals: boolean }) | undefined,
): Before | undefined {
  let last = before
  let metricAt = metrics.findIndex(({ firstSeries, seriesCount }) => firstLocal < firstSeries + seriesCount)
  for (const [i, { id, tags }] of keys.entries()) {
    while (firstLocal + i >= metrics[metricAt]!.firstSeries + metrics[metricAt]!.seriesCount) metricAt++
    const metric = metrics[metricAt]!
    const printed = printSeries(metric.name, tags)
    if (last?.metric === metric && compareUtf8(last.printed, printed) >= 0)
      throw new DamageError(`series ${printed} is out of order`, 0)
    last = { metric, printed }
    if (truth === undefined) continue
    const { catalog, hash, sameOrdinals } = truth
    if (hash(encoder.encode(printed)).toString() !== id) throw new DamageError(`${id} is not the id of ${printed}`, 0)
    const ordinal = ordinals[firstLocal + i]!
    if (sameOrdinals && (ordinal >= catalog.seriesCount || catalog.printed.at(ordinal) !== printed))
      throw new DamageError(`${printed} is not series ${ordinal} of the catalog`, 0)
  }
  return last
}

function verifyFields(file: SegmentFile, { metrics }: Footer, { catalog }: SeriesTruth): void {
  file.guard(0, 'footer', () => {
    for (const { name, fields } of metrics)
      for (const field of fields) {
        const known = catalog.metric(name)?.fields.find(each => each.name === field.name)
        if (known !== undefined && known.type !== field.type)
          throw new DamageError(`field ${field.name} of ${name} is ${field.type}, in the catalog ${known.type}`, 0)
      }
  })
}

const encoder = new TextEncoder()

/** The metric's groups hold its series without a gap, in order. */
function verifyCover(file: SegmentFile, { name, groups, firstSeries, seriesCount }: FooterMetric): void {
  let next = firstSeries
  let lastTimeUs = -Infinity
  for (const group of groups) {
    file.guard(group.time.at, `metric ${name}`, () => {
      const goesOn = group.firstSeries === next - 1 && group.minTimeUs > lastTimeUs
      if (group.firstSeries !== next && !goesOn) throw new DamageError('series of a row group', 0)
    })
    next = group.firstSeries + group.runCount
    lastTimeUs = group.runCount === 1 ? group.maxTimeUs : Infinity
  }
  file.guard(0, `metric ${name}`, () => {
    if (next !== firstSeries + seriesCount) throw new DamageError('series without rows', 0)
  })
}

function verifyGroup(
  environment: SegmentEnvironment,
  file: SegmentFile,
  footer: Footer,
  metric: FooterMetric,
  group: GroupEntry,
): void {
  const columns = file.guard(group.columnsAt, 'footer', () => columnsOf(footer, metric, group))
  const loaded = loadGroup(environment, file, 0, metric, group, columns, () => {})
  const fields = columns.map(({ field }, id): FieldInfo => ({ id, ...metric.fields[field]! }))
  const rows = new RowBuffer(fields, group.rows)
  const progress = { field: -1 }
  const statistics = newReadStatistics()
  const everything = {
    runs: undefined,
    ordinal: (run: number) => footer.ordinals[group.firstSeries + run]!,
    fromUs: -Infinity,
    toUs: Infinity,
    bounds: [],
  }
  file.guard(
    () => columns[progress.field]?.at ?? group.time.at,
    'column',
    () => environment.groups.read(loaded, everything, rows, statistics, progress),
  )
  file.guard(group.time.at, 'times', () => verifyTimes(loaded, group, rows))
  for (const [i, column] of columns.entries()) {
    const { name } = metric.fields[column.field]!
    file.guard(column.at, `field ${name}`, () => verifyColumn(column.statistics, loaded, i, rows))
  }
}

const check = (right: boolean, what: string): void => {
  if (!right) throw new DamageError(`${what} do not fit the rows`, 0)
}

function verifyTimes({ head, time }: LoadedGroup, group: GroupEntry, { timeUs }: RowBuffer): void {
  const { runStarts, runMinUs, runMaxUs, blockStarts } = head
  let minUs = Infinity
  let maxUs = -Infinity
  for (let run = 0; run < group.runCount; run++) {
    const from = runStarts[run]!
    const to = runStarts[run + 1]!
    for (let row = from + 1; row < to; row++) check(timeUs[row]! > timeUs[row - 1]!, 'times of a series')
    check(timeUs[from] === runMinUs[run] && timeUs[to - 1] === runMaxUs[run], 'times of the run table')
    minUs = Math.min(minUs, timeUs[from]!)
    maxUs = Math.max(maxUs, timeUs[to - 1]!)
  }
  check(minUs === group.minTimeUs && maxUs === group.maxTimeUs, 'times of the group')
  for (let block = 0; block < group.blockCount; block++) {
    const [min, max] = range(timeUs.subarray(blockStarts[block]!, blockStarts[block + 1]!))
    check(min === time.minUs[block] && max === time.maxUs[block], 'times of a block')
  }
}

function range(values: Float64Array): [min: number, max: number] {
  let min = Infinity
  let max = -Infinity
  for (const value of values) {
    if (value < min) min = value
    if (value > max) max = value
  }
  return [min, max]
}

function verifyColumn(told: ColumnStatistics, group: LoadedGroup, field: number, rows: RowBuffer): void {
  const buffer = rows.fields[field]!
  const present = presentRows(buffer, rows.length)
  check(present.length === told.count, 'count')
  const { values } = buffer
  switch (told.kind) {
    case 'boolean': {
      let trueCount = 0
      for (const row of present) trueCount += values[row]!
      check(trueCount === told.trueCount, 'true values')
      break
    }
    case 'string':
      verifyStringBounds(told, present, buffer)
      break
    case 'number': {
      let [min, max, nanCount, sum, scale] = [Infinity, -Infinity, 0, 0, 0]
      for (const row of present) {
        const value = values[row]!
        if (value < min) min = value
        if (value > max) max = value
        if (Number.isNaN(value)) nanCount++
        sum += value
        scale += Math.abs(value)
      }
      check(min === told.min && max === told.max, 'bounds')
      check(nanCount === told.nanCount, 'NaN count')
      check(sameNumber(sum, told.sum) || Math.abs(sum - told.sum) <= scale * 1e-12, 'sum')
      verifyEnds(told, present, buffer, rows)
      verifyBounds(group, field, buffer)
    }
  }
}

function presentRows({ valid, nulls }: FieldBuffer, length: number): Uint32Array {
  const present = new Uint32Array(length)
  let count = 0
  for (let row = 0; row < length; row++) if (!nulls || valid[row] === 1) present[count++] = row
  return present.subarray(0, count)
}

const sameNumber = (a: number | undefined, b: number): boolean => a === b || (Number.isNaN(a) && Number.isNaN(b))

function verifyEnds(
  told: ColumnStatistics & { kind: 'number' },
  present: Uint32Array,
  { values }: FieldBuffer,
  { timeUs }: RowBuffer,
): void {
  let first = present[0]!
  let last = first
  for (const row of present) {
    if (timeUs[row]! < timeUs[first]!) first = row
    if (timeUs[row]! >= timeUs[last]!) last = row
  }
  check(timeUs[first] === told.firstTimeUs && sameNumber(values[first], told.first), 'first value')
  check(timeUs[last] === told.lastTimeUs && sameNumber(values[last], told.last), 'last value')
}

/** Bounds of blocks: what queries skip by. */
function verifyBounds({ head, fields }: LoadedGroup, field: number, { values, valid, nulls }: FieldBuffer): void {
  const { bounds } = fields[field]!.chunk as NumberChunk
  if (bounds === undefined) return
  const { blockStarts } = head
  for (let block = 0; block < blockStarts.length - 1; block++) {
    const from = blockStarts[block]!
    const to = blockStarts[block + 1]!
    let [min, max, nanCount] = [Infinity, -Infinity, 0]
    for (let row = from; row < to; row++) {
      if (nulls && valid[row] !== 1) continue
      const value = values[row]!
      if (value < min) min = value
      if (value > max) max = value
      if (Number.isNaN(value)) nanCount++
    }
    check(min === bounds.mins[block] && max === bounds.maxs[block], 'bounds of a block')
    check(nanCount === (bounds.nanCounts?.[block] ?? 0), 'NaN count of a block')
  }
}

function verifyStringBounds(
  told: ColumnStatistics & { kind: 'string' },
  present: Uint32Array,
  { dictionary, values }: FieldBuffer,
): void {
  const codes = new Set<number>()
  for (const row of present) codes.add(values[row]!)
  const texts = [...codes].map(code => dictionary!.at(code)).sort(compareUtf8)
  for (const [bound, text] of [
    [told.min, texts[0]!],
    [told.max, texts.at(-1)!],
  ] as const) {
    const encoded = new TextEncoder().encode(text)
    const prefix = encoded.subarray(0, bound.bytes.length)
    check(
      bound.bytes.every((byte, i) => byte === prefix[i]),
      'text bounds',
    )
    check(bound.truncated === encoded.length > bound.bytes.length, 'text bounds')
  }
}
