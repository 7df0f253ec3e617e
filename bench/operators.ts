/**
 * Figures of the operators over pieces in memory: what execution costs without storage.
 *
 *   npx node bench/operators.ts [part of a name]
 *
 * Pieces copy plain arrays, which is about as fast as decoding (1 G values/s); statistics are those of row groups.
 */

import { ArrayDictionary, rowCount } from '../src/columnar/batch.ts'
import { createWasmKernels } from '../src/kernels/wasm-kernels.ts'
import { execute } from '../src/operators/execute.ts'
import type { ExecutionContext } from '../src/operators/operator.ts'
import type { CatalogReader } from '../src/storage/catalog/types.ts'
import { newReadStatistics } from '../src/storage/read-statistics.ts'
import type { FieldStatistics, MetricInfo, Piece, Version } from '../src/storage/types.ts'
import { bind } from '../src/sydraql/bind.ts'
import { prepare } from '../src/sydraql/prepare.ts'

const names = ['value', ...Array.from({ length: 10 }, (_, i) => `f${i}`)]
const metric: MetricInfo = { id: 0, name: 'cpu', fields: names.map((name, id) => ({ id, name, type: 'float' })) }
const groupRows = 8192
/** All pieces are of one segment: none overlaps another. */
const source = {}

function catalogOf(seriesCount: number): CatalogReader {
  const names = Array.from({ length: seriesCount }, (_, i) => `h${String(i).padStart(6, '0')}`)
  const printed = new ArrayDictionary(names.map(name => `cpu{host="${name}"}`))
  const hosts = new ArrayDictionary(names)
  const ordinals = Uint32Array.from(names.keys())
  return {
    version: 1,
    seriesCount,
    metric: name => (name === 'cpu' ? metric : undefined),
    metrics: () => [metric],
    tagKeys: () => ['host'],
    tag: key => (key === 'host' ? { key, dictionary: hosts, code: series => series } : undefined),
    seriesOf: () => ordinals,
    seriesWithTag: (_metric, _key, value) => Uint32Array.of(names.indexOf(value)),
    seriesById: () => undefined,
    metricOf: () => metric,
    tagsOf: series => [['host', names[series]!]],
    printed,
    ids: printed,
    ranks: () => ordinals,
  }
}

/** Row groups of one series each, a row a second. */
function versionOf(seriesCount: number, rowsPerSeries: number): Version {
  const values = Float64Array.from(
    { length: groupRows * 2 },
    (_, i) => Math.round(5000 + 3000 * Math.sin(i / 300)) / 100,
  )
  return {
    lsn: 1,
    horizonUs: () => -Infinity,
    release() {},
    pieces({ fromUs, toUs, series }) {
      const pieces: Piece[] = []
      for (let ordinal = 0; ordinal < seriesCount; ordinal++) {
        if (series !== undefined && !series.has(ordinal)) continue
        for (let first = 0; first < rowsPerSeries; first += groupRows) {
          const rows = Math.min(groupRows, rowsPerSeries - first)
          if (first * 1e6 >= toUs || (first + rows) * 1e6 <= fromUs) continue
          pieces.push(pieceOf(ordinal, first, rows, values, fromUs, toUs))
        }
      }
      return pieces
    },
  }
}

function pieceOf(
  series: number,
  first: number,
  rows: number,
  values: Float64Array,
  fromUs: number,
  toUs: number,
): Piece {
  const minTimeUs = first * 1e6
  const maxTimeUs = (first + rows - 1) * 1e6
  const statistics: FieldStatistics = {
    count: rows,
    nanCount: 0,
    min: 20,
    max: 80,
    sum: 50 * rows,
    first: 50,
    firstTimeUs: minTimeUs,
    last: 50,
    lastTimeUs: maxTimeUs,
  }
  return {
    rows,
    minTimeUs,
    maxTimeUs,
    series,
    source,
    whole: fromUs <= minTimeUs && toUs > maxTimeUs,
    statistics: () => statistics,
    read(from, to, into) {
      const start = Math.max(0, Math.ceil((Math.max(from, fromUs) - minTimeUs) / 1e6))
      const end = Math.min(rows, Math.ceil((Math.min(to, toUs) - minTimeUs) / 1e6))
      if (end <= start) return
      const count = end - start
      into.reserve(count)
      const at = into.length
      into.series.fill(series, at, at + count)
      for (let i = 0; i < count; i++) into.timeUs[at + i] = minTimeUs + (start + i) * 1e6
      for (const field of into.fields) {
        ;(field.values as Float64Array).set(values.subarray(start, end), at)
        field.valid.fill(1, at, at + count)
      }
      into.length += count
    },
  }
}

const kernels = createWasmKernels()

async function measure(
  name: string,
  text: string,
  seriesCount: number,
  rowsPerSeries: number,
  repeats = 3,
  off: string[] = [],
) {
  if (process.argv[2] !== undefined && !name.includes(process.argv[2])) return
  const catalog = catalogOf(seriesCount)
  const version = versionOf(seriesCount, rowsPerSeries)
  const { plan } = bind(prepare(text, catalog), [], 0)
  let best = Infinity
  let bestFirst = Infinity
  let rows = 0
  for (let repeat = 0; repeat < repeats; repeat++) {
    const context: ExecutionContext = {
      version,
      catalog,
      kernels,
      clock: { nowUs: () => 0, monotonicMs: () => performance.now() },
      timers: { after: () => () => {}, soon: task => setImmediate(task) },
      signal: new AbortController().signal,
      batchRows: 8192,
      memoryMaxBytes: 1e9,
      duplicates: 'last',
      read: newReadStatistics(),
      operators: [],
    }
    rows = 0
    const started = performance.now()
    let first = 0
    const { stream } = execute(plan, context, { disabledRules: new Set(off) })
    for await (const batch of stream) {
      if (rows === 0) first = performance.now() - started
      rows += rowCount(batch)
    }
    best = Math.min(best, performance.now() - started)
    bestFirst = Math.min(bestFirst, first)
  }
  const total = seriesCount * rowsPerSeries
  const rate = total / best / 1000
  console.log(
    `${name.padEnd(52)} ${best.toFixed(3).padStart(10)} ms  first ${bestFirst.toFixed(3).padStart(8)} ms  ` +
      `${rate.toFixed(0).padStart(6)} M rows/s  ${rows} rows out  rss ${Math.round(process.memoryUsage.rss() / 1e6)} MB`,
  )
}

const hour = "time >= '1970-01-01T01:00:00Z' and time < '1970-01-01T02:00:00Z'"
await measure(
  'max per minute of one series over an hour',
  `select time_bucket(1m, time), max(value) from cpu where ${hour} and tag.host = 'h000042' group by time_bucket(1m, time)`,
  100,
  86_400,
  300,
)
await measure(
  'last of one series over an hour',
  `select last(value) from cpu where ${hour} and tag.host = 'h000042'`,
  100,
  86_400,
  300,
)
await measure(
  'sum min max count, from statistics',
  'select sum(value), min(value), max(value), count(*) from cpu',
  100,
  86_400,
  10,
)
await measure('the same, decoding', 'select sum(value), min(value), max(value), count(*) from cpu', 100, 86_400, 5, [
  'statistics-answer',
])
await measure('avg by host', 'select tag.host, avg(value) from cpu group by tag.host', 100, 86_400, 5, [
  'statistics-answer',
])
await measure('avg by host, row by row', 'select tag.host, avg(value) from cpu group by tag.host', 100, 86_400, 3, [
  'statistics-answer',
  'series-groups',
])
await measure(
  'avg per minute',
  'select time_bucket(1m, time), avg(value) from cpu group by time_bucket(1m, time)',
  100,
  86_400,
  5,
)
await measure(
  'avg per minute and host',
  'select time_bucket(1m, time), tag.host, avg(value) from cpu group by time_bucket(1m, time), tag.host',
  100,
  86_400,
  3,
)
await measure(
  'avg per minute and host, row by row',
  'select time_bucket(1m, time), tag.host, avg(value) from cpu group by time_bucket(1m, time), tag.host',
  100,
  86_400,
  1,
  ['bucket-runs'],
)
const byHour = 'from cpu group by time_bucket(1h, time), tag.host'
await measure('sum per hour and host', `select time_bucket(1h, time), tag.host, sum(value) ${byHour}`, 100, 86_400, 3)
await measure('rate per hour and host', `select time_bucket(1h, time), tag.host, rate(value) ${byHour}`, 100, 86_400, 3)
await measure(
  'rate per hour, row by row',
  `select time_bucket(1h, time), rate(value) from cpu group by time_bucket(1h, time)`,
  100,
  86_400,
  3,
  ['bucket-runs'],
)
await measure(
  'integral per minute and host',
  `select time_bucket(1m, time), tag.host, integral(value) from cpu group by time_bucket(1m, time), tag.host`,
  100,
  86_400,
  3,
)
const tenSums = Array.from({ length: 10 }, (_, i) => `avg(f${i})`).join(', ')
await measure(
  'avg of ten fields per hour and host',
  `select time_bucket(1h, time), tag.host, ${tenSums} ${byHour}`,
  100,
  86_400,
  3,
)
await measure(
  'avg of ten fields per minute and host',
  `select time_bucket(1m, time), tag.host, ${tenSums} from cpu group by time_bucket(1m, time), tag.host`,
  100,
  86_400,
  2,
)
for (const name of ['percentile', 'approx_percentile'])
  await measure(
    `${name} per 5 minutes`,
    `select time_bucket(5m, time), ${name}(value, 0.95) from cpu group by time_bucket(5m, time)`,
    100,
    86_400,
    3,
  )
await measure('approx_count_distinct(value)', 'select approx_count_distinct(value) from cpu', 100, 86_400, 2)
await measure('mode(value) by host', 'select mode(value) from cpu group by tag.host', 100, 86_400, 2)
await measure('max_by(time, value) by host', 'select max_by(time, value) from cpu group by tag.host', 100, 86_400, 2)
await measure('filter value > 79, count', 'select count(*) from cpu where value > 79', 100, 86_400, 5)
await measure('count where value * 2 + 1 > 150', 'select count(*) from cpu where value * 2 + 1 > 150', 100, 86_400, 5)
await measure('percentile(value, 0.95)', 'select percentile(value, 0.95) from cpu', 10, 86_400, 2)
await measure('top 10 of 8.64 M by value', 'select time, value from cpu order by value desc limit 10', 100, 86_400, 2)
await measure('rows by time', 'select time, tag.host, value from cpu', 100, 100_000, 1)
await measure('rows by series, time', 'select time, tag.host, value from cpu order by series, time', 100, 100_000, 1)
await measure('rows by time, 100 000 series over a minute', 'select time, tag.host, value from cpu', 100_000, 60, 1)
