/**
 * What a segment tells of itself, when manifest or catalog are lost.
 *
 *   readSegmentMeta   header -> the manifest's entry, and which inputs it replaced
 *   segmentSeries     footer and dictionary -> metrics, fields, series: what a catalog is rebuilt from
 */
import { rollupWidthsUs } from '../rollup/widths.ts'
import type { FieldType, SegmentMeta, Tags } from '../types.ts'
import { decodePage } from './dictionary.ts'
import type { SegmentEnvironment } from './environment.ts'
import type { SegmentHeader } from './format.ts'
import { SegmentFile } from './segment-file.ts'

export interface SegmentEvidence {
  readonly meta: SegmentMeta
  readonly header: SegmentHeader
}

/** Reads the header alone. `path` is relative to the data directory. Throws `corrupt_segment`, `io_error`. */
export function readSegmentMeta(environment: SegmentEnvironment, path: string): SegmentEvidence {
  const file = new SegmentFile(environment, path)
  try {
    const { header } = file.readHeader()
    return { meta: metaOf(header, path), header }
  } finally {
    file.close()
  }
}

/** The manifest's entry for a segment with this header. */
export function metaOf(header: SegmentHeader, path: string): SegmentMeta {
  const { minTimeUs, maxTimeUs, minLsn, maxLsn, rows, bytes } = header
  const id = path.slice(path.lastIndexOf('/') + 1).replace(/\.seg$/, '')
  const settled = header.settled ? ({ settled: true } as const) : {}
  const meta = { id, path, minTimeUs, maxTimeUs, minLsn, maxLsn, rows, bytes, ...settled }
  if (header.kind.kind === 'rows') return meta
  return { ...meta, rollup: { of: header.replaced[0]!, widthUs: rollupWidthsUs[header.kind.level]! } }
}

/** Series of one metric: `series[i]` has the id `ids[i]`, and had the ordinal `ordinals[i]`. */
export interface SegmentSeries {
  readonly metric: string
  readonly fields: readonly { readonly name: string; readonly type: FieldType }[]
  readonly series: readonly Tags[]
  /** Decimal texts of unsigned 64-bit numbers. */
  readonly ids: readonly string[]
  readonly ordinals: Uint32Array
}

/** Goes through the dictionary, a page's part of a metric at a time. Throws `corrupt_segment`, `io_error`. */
export function* segmentSeries(environment: SegmentEnvironment, path: string): Generator<SegmentSeries, void> {
  const file = new SegmentFile(environment, path)
  try {
    const { header, footer } = file.readFooter()
    let first = 0
    for (const page of footer.pages) {
      const [bytes] = file.chunks([page], () => {})
      const keys = file.guard(page.at, 'dictionary', () => decodePage(bytes!, page.seriesCount, environment.ports.zstd))
      const end = first + keys.length
      for (const metric of footer.metrics) {
        const from = Math.max(first, metric.firstSeries)
        const to = Math.min(end, metric.firstSeries + metric.seriesCount)
        if (from >= to) continue
        const part = keys.slice(from - first, to - first)
        yield {
          metric: metric.name,
          // A rollup's columns are no fields of the metric.
          fields: header.kind.kind === 'rows' ? metric.fields : [],
          series: part.map(({ tags }) => tags),
          ids: part.map(({ id }) => id),
          ordinals: footer.ordinals.slice(from, to),
        }
      }
      first = end
    }
  } finally {
    file.close()
  }
}
