/** Rollups of the pieces of a database of arrays: buckets made by the real builder, read honestly. */
import { referenceKernels } from '../../src/kernels/reference-kernels.ts'
import { RollupBuckets } from '../../src/storage/rollup/buckets.ts'
import { rollupMetric } from '../../src/storage/rollup/columns.ts'
import type { Rollup } from '../../src/storage/rollup/view.ts'
import { RowBuffer } from '../../src/storage/row-buffer.ts'
import type { MetricInfo, Piece, Version } from '../../src/storage/types.ts'
import { append, type FakeDatabase, type FakeRow, fakeVersion } from './fake-database.ts'

/** A version whose pieces have rollups of these widths. */
export function versionWithRollups(database: FakeDatabase, widthsUs: readonly number[]): Version {
  return {
    ...fakeVersion(database),
    rollupWidthsUs: widthsUs,
    rollups: ({ metric }) => ({
      rowsFromUs: -Infinity,
      segments: (database.pieces[metric.name] ?? [])
        .filter(rows => rows.length > 0)
        .map(rows => ({
          source: rows,
          cuts: [],
          rollups: widthsUs.map(widthUs => fakeRollup(rows, metric, widthUs, database)),
        })),
    }),
  }
}

function fakeRollup(rows: readonly FakeRow[], metric: MetricInfo, widthUs: number, { catalog }: FakeDatabase): Rollup {
  const ranks = catalog.ranks(metric.id)
  const buffer = new RowBuffer(metric.fields)
  append(
    rows.toSorted((a, b) => ranks[a.series]! - ranks[b.series]! || a.timeUs - b.timeUs),
    buffer,
  )
  const made = new RollupBuckets(rollupMetric(metric, metric.fields), metric.fields, widthUs, referenceKernels)
  for (let from = 0; from < buffer.length; ) {
    let to = from + 1
    while (to < buffer.length && buffer.series[to] === buffer.series[from]) to++
    made.add(buffer, from, to)
    from = to
  }
  const { series, timeUs, length, fields } = made.buffer
  const times = timeUs.subarray(0, length)
  const minTimeUs = Math.min(...times)
  const maxTimeUs = Math.max(...times)
  return {
    widthUs,
    minTimeUs,
    maxTimeUs,
    fromUs: -Infinity,
    pieces: (request): Piece[] => [
      {
        rows: length,
        minTimeUs,
        maxTimeUs,
        series: undefined,
        whole: false,
        statistics: () => undefined,
        read(fromUs, toUs, into) {
          for (let row = 0; row < length; row++) {
            if (timeUs[row]! < Math.max(fromUs, request.fromUs) || timeUs[row]! >= Math.min(toUs, request.toUs))
              continue
            if (request.series?.has(series[row]!) === false) continue
            into.reserve(1)
            into.series[into.length] = series[row]!
            into.timeUs[into.length] = timeUs[row]!
            for (const column of into.fields) {
              const found = fields.find(({ field }) => field.name === column.field.name)!
              column.values[into.length] = found.values[row]!
              column.valid[into.length] = found.valid[row]!
              if (found.valid[row] === 0) column.nulls = true
            }
            into.length++
          }
        },
      },
    ],
  }
}
