/**
 * verifySegment reads everything a segment holds and checks it against everything it says.
 *
 * Checked: every checksum, the order of series and rows, run tables, block ranges and bounds, statistics of groups, the
 * dictionary, header against contents. Nothing is cached, memory is one row group.
 */

import { compareUtf8 } from '../../lib/text.ts'
import { printSeries } from '../catalog/identity.ts'
import { DamageError } from '../codecs/bytes.ts'
import { newReadStatistics } from '../read-statistics.ts'
import { type FieldBuffer, RowBuffer } from '../row-buffer.ts'
import type { FieldInfo } from '../types.ts'
import { ChunkCache } from './chunk-cache.ts'
import type { NumberChunk } from './decode-column.ts'
import type { SegmentEnvironment } from './environment.ts'
import { type ColumnStatistics, columnsOf, type Footer, type FooterMetric, type GroupEntry } from './footer.ts'
import { loadGroup } from './load-group.ts'
import type { LoadedGroup } from './read-group.ts'
import { segmentSeries } from './recover.ts'
import { SegmentFile } from './segment-file.ts'

export interface VerifiedSegment {
  readonly rows: number
  readonly series: number
  readonly groups: number
}

/** Throws `corrupt_segment` naming the first thing that is wrong, `io_error`. */
export function verifySegment(environment: SegmentEnvironment, path: string): VerifiedSegment {
  const uncached = { ...environment, cache: new ChunkCache(0) }
  const file = new SegmentFile(uncached, path)
  try {
    const { header, footer } = file.readFooter()
    let minTimeUs = Infinity
    let maxTimeUs = -Infinity
    let groups = 0
    for (const metric of footer.metrics) {
      verifyCover(file, metric)
      for (const group of metric.groups) {
        verifyGroup(uncached, file, footer, metric, group)
        minTimeUs = Math.min(minTimeUs, group.minTimeUs)
        maxTimeUs = Math.max(maxTimeUs, group.maxTimeUs)
        groups++
      }
    }
    file.guard(0, 'header', () => {
      if (minTimeUs !== header.minTimeUs || maxTimeUs !== header.maxTimeUs) throw new DamageError('time range', 40)
    })
    verifyDictionary(uncached, file, path)
    return { rows: header.rows, series: header.seriesCount, groups }
  } finally {
    file.close()
  }
}

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
  const present: number[] = []
  for (let row = 0; row < rows.length; row++) if (buffer.valid[row] === 1) present.push(row)
  check(present.length === told.count, 'count')
  const values = present.map(row => buffer.values[row]!)
  switch (told.kind) {
    case 'boolean':
      check(values.reduce((sum, value) => sum + value, 0) === told.trueCount, 'true values')
      break
    case 'string':
      verifyStringBounds(told, values, buffer)
      break
    case 'number': {
      const numbers = Float64Array.from(values)
      const [min, max] = range(numbers)
      check(min === told.min && max === told.max, 'bounds')
      check(numbers.filter(Number.isNaN).length === told.nanCount, 'NaN count')
      const sum = numbers.reduce((total, value) => total + value, 0)
      const scale = numbers.reduce((total, value) => total + Math.abs(value), 0)
      check(sameNumber(sum, told.sum) || Math.abs(sum - told.sum) <= scale * 1e-12, 'sum')
      verifyEnds(told, present, buffer, rows)
      verifyBounds(group, field, buffer)
    }
  }
}

const sameNumber = (a: number | undefined, b: number): boolean => a === b || (Number.isNaN(a) && Number.isNaN(b))

function verifyEnds(
  told: ColumnStatistics & { kind: 'number' },
  present: readonly number[],
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
function verifyBounds({ head, fields }: LoadedGroup, field: number, { values, valid }: FieldBuffer): void {
  const { bounds } = fields[field]!.chunk as NumberChunk
  if (bounds === undefined) return
  const { blockStarts } = head
  for (let block = 0; block < blockStarts.length - 1; block++) {
    const from = blockStarts[block]!
    const to = blockStarts[block + 1]!
    const present = (values as Float64Array).slice(from, to).filter((_, i) => valid[from + i] === 1)
    const [min, max] = range(present)
    check(min === bounds.mins[block] && max === bounds.maxs[block], 'bounds of a block')
    check(present.filter(Number.isNaN).length === (bounds.nanCounts?.[block] ?? 0), 'NaN count of a block')
  }
}

function verifyStringBounds(
  told: ColumnStatistics & { kind: 'string' },
  codes: readonly number[],
  { dictionary }: FieldBuffer,
): void {
  const texts = [...new Set(codes)].map(code => dictionary!.at(code)).sort(compareUtf8)
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

/** Every key is there, and a metric's series come in the order of their printed forms. */
function verifyDictionary(environment: SegmentEnvironment, file: SegmentFile, path: string): void {
  let lastMetric: string | undefined
  let lastPrinted = ''
  for (const { metric, series } of segmentSeries(environment, path)) {
    for (const tags of series) {
      const printed = printSeries(metric, tags)
      file.guard(0, 'dictionary', () => {
        const inOrder = metric !== lastMetric || compareUtf8(lastPrinted, printed) < 0
        if (!inOrder) throw new DamageError(`series ${printed} is out of order`, 0)
      })
      lastMetric = metric
      lastPrinted = printed
    }
  }
}
