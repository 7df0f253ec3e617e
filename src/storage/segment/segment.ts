/**
 * Segment: an immutable file of sorted rows, open for reading.
 *
 *   openSegment(environment, meta, catalog) -> pieces(request), one per row group -> read, statistics
 *
 * Nothing is read before the first request. The footer and what queries touch stay in the environment's cache.
 *
 * Invariants:
 * 1. Any damage is `corrupt_segment` naming file and offset; a wrong answer is never given for it.
 * 2. Series ordinals in what leaves are those of the given catalog: the stored ones are trusted only if they are of the
 *    same incarnation, else each series is found (or registered) by its full key.
 * 3. `close` gives back the handle. Pieces made before go on working while the file exists: whoever removes it makes
 *    sure that nobody reads it (versions.ts pins).
 */
import { assert } from '../../lib/assert.ts'
import { SydraError } from '../../lib/errors.ts'
import { toHex } from '../../lib/text.ts'
import { newReadStatistics } from '../read-statistics.ts'
import type { End, SeriesEnds } from '../series-ends.ts'
import type { SourceTombstones } from '../tombstones/tombstones.ts'
import type { MetricInfo, Piece, ReadRequest, SegmentMeta, Tags } from '../types.ts'
import { decodePage } from './dictionary.ts'
import type { SegmentEnvironment } from './environment.ts'
import type { Footer } from './footer.ts'
import { doubtAll, type MetricEnds, metricEnds, offerEnds } from './metric-ends.ts'
import {
  groupsAround,
  heapBytes,
  type OpenFooter,
  type OpenMetric,
  openFooter,
  WantedWalk,
  wantedSeries,
} from './open-footer.ts'
import { GroupPiece } from './piece.ts'
import { SegmentFile } from './segment-file.ts'

/** What a segment asks of the catalog. */
export interface SegmentCatalog {
  /** 32 hexadecimal digits. */
  readonly incarnation: string
  readonly seriesCount: number
  useMetric(name: string): MetricInfo
  useSeries(metric: MetricInfo, tags: Tags): number
}

export interface Segment {
  readonly meta: SegmentMeta
  /** The `source` of its pieces. */
  readonly source: object
  /** Whether it has the request's metric. */
  holds(request: ReadRequest): boolean
  /** What it has of each metric, by the order of names in the file. */
  contents(): SegmentContents[]
  /** One piece per row group that may hold rows of the request. */
  pieces(request: ReadRequest): Piece[]
  /** Tells the last, or first, values of the request's one field, a number, less what these tombstones hide. */
  ends(request: ReadRequest, into: SeriesEnds, tombstones: SourceTombstones | undefined): void
  close(): void
}

/** What a segment has of one metric. */
export interface SegmentContents {
  readonly metric: string
  readonly rows: number
  /** In the file: blocks, without what the footer says of them. */
  readonly bytes: number
  /** Inclusive. */
  readonly minTimeUs: number
  readonly maxTimeUs: number
}

export function openSegment(environment: SegmentEnvironment, meta: SegmentMeta, catalog: SegmentCatalog): Segment {
  return new OpenSegment(environment, meta, catalog)
}

class OpenSegment implements Segment {
  readonly meta: SegmentMeta
  readonly #environment: SegmentEnvironment
  readonly #catalog: SegmentCatalog
  readonly #file: SegmentFile
  /** The footer's key in the cache; its chunks follow. */
  readonly #firstKey: number

  constructor(environment: SegmentEnvironment, meta: SegmentMeta, catalog: SegmentCatalog) {
    this.meta = meta
    this.#environment = environment
    this.#catalog = catalog
    this.#file = new SegmentFile(environment, meta.path)
    this.#firstKey = environment.nextNumber() * 2 ** 32
  }

  get source(): object {
    return this.#file
  }

  holds(request: ReadRequest): boolean {
    return this.#footer(request).metrics.has(request.metric.name)
  }

  pieces(request: ReadRequest): Piece[] {
    const { statistics, fromUs, toUs } = request
    const pieces: Piece[] = []
    if (this.meta.maxTimeUs >= fromUs && this.meta.minTimeUs < toUs) this.#collect(request, pieces)
    if (pieces.length > 0) statistics.segmentsScanned++
    else statistics.segmentsPruned++
    return pieces
  }

  contents(): SegmentContents[] {
    const { metrics } = this.#footer({ statistics: newReadStatistics() }).footer
    return metrics.map(({ name, groups }) => {
      let [rows, bytes, minTimeUs, maxTimeUs] = [0, 0, Infinity, -Infinity]
      for (const group of groups) {
        rows += group.rows
        bytes += (group.head?.length ?? 0) + group.time.length + group.columnsLength
        minTimeUs = Math.min(minTimeUs, group.minTimeUs)
        maxTimeUs = Math.max(maxTimeUs, group.maxTimeUs)
      }
      return { metric: name, rows, bytes, minTimeUs, maxTimeUs }
    })
  }

  #collect(request: ReadRequest, pieces: Piece[]): void {
    const open = this.#footer(request)
    const found = open.metrics.get(request.metric.name)
    if (found === undefined) return
    const { metric } = found
    const fields = this.#fieldsOf(request, found)
    const wanted = request.series && wantedSeries(found, open.ordinals, request.series)
    if (wanted?.length === 0) return
    const { fromUs, toUs, statistics } = request
    const { groups, blocksBefore } = metric
    const [from, to] = wanted === undefined ? [0, groups.length] : groupsAround(metric, wanted)
    statistics.blocksPruned += blocksBefore[from]! + blocksBefore[groups.length]! - blocksBefore[to]!
    const walk = wanted && new WantedWalk(wanted)
    for (let i = from; i < to; i++) {
      const group = groups[i]!
      const runs = walk?.runsOf(group)
      if (group.maxTimeUs < fromUs || group.minTimeUs >= toUs || runs?.length === 0) {
        statistics.blocksPruned += group.blockCount
        continue
      }
      pieces.push(
        new GroupPiece(this.#environment, this.#file, this.#firstKey, open, metric, group, request, fields, runs),
      )
    }
  }

  ends(request: ReadRequest, into: SeriesEnds, tombstones: SourceTombstones | undefined): void {
    const open = this.#footer(request)
    const found = open.metrics.get(request.metric.name)
    const field = found === undefined ? -1 : this.#fieldsOf(request, found)[0]!
    if (found === undefined || field < 0) return
    const wanted = request.series && wantedSeries(found, open.ordinals, request.series)
    const { minTimeUs, maxTimeUs } = this.meta
    const isCut = into.end === 'last' ? maxTimeUs >= into.toUs : minTimeUs < into.fromUs
    if (isCut) doubtAll(found, open.ordinals, wanted, into)
    else offerEnds(this.#endsOf(open, found, field, into.end), found, open.ordinals, wanted, into, tombstones)
  }

  #endsOf(open: OpenFooter, metric: OpenMetric, field: number, end: End): MetricEnds {
    const key = `${field} ${end}`
    let ends = metric.ends.get(key)
    if (ends === undefined) {
      ends = this.#file.guard(0, 'footer', () => metricEnds(open.footer, metric, field, end))
      metric.ends.set(key, ends)
      this.#environment.cache.set(this.#firstKey, open, heapBytes(open))
    }
    return ends
  }

  /** Indexes of the requested fields in the segment's metric, -1 where it lacks them. */
  #fieldsOf(request: ReadRequest, { metric, fields }: OpenMetric): number[] {
    return request.fields.map(field => {
      const index = fields.get(field.name) ?? -1
      const type = metric.fields[index]?.type
      if (type !== undefined && type !== field.type)
        throw new SydraError(
          'corrupt_segment',
          `segment ${this.meta.path} has field ${field.name} of ${metric.name} as ${type}, the catalog as ${field.type}`,
        )
      return index
    })
  }

  #footer(request: Pick<ReadRequest, 'statistics'>): OpenFooter {
    const cached = this.#environment.cache.get<OpenFooter>(this.#firstKey)
    if (cached !== undefined) return cached
    const { header, footer } = this.#file.readFooter()
    request.statistics.bytesRead += footer.bytes.length
    const open = openFooter(footer, this.#mapSeries(footer, toHex(header.incarnation), request))
    this.#environment.cache.set(this.#firstKey, open, heapBytes(open))
    return open
  }

  #mapSeries(footer: Footer, incarnation: string, request: Pick<ReadRequest, 'statistics'>): Uint32Array {
    const catalog = this.#catalog
    const known = incarnation === catalog.incarnation && footer.ordinals.every(ordinal => ordinal < catalog.seriesCount)
    if (known) return footer.ordinals
    const ordinals = new Uint32Array(footer.ordinals.length)
    let local = 0
    let metricAt = 0
    for (const page of footer.pages) {
      const [bytes] = this.#file.chunks([page], read => {
        request.statistics.bytesRead += read
      })
      const keys = this.#file.guard(page.at, 'dictionary', () =>
        decodePage(bytes!, page.seriesCount, this.#environment.ports.zstd),
      )
      for (const { tags } of keys) {
        while (local >= footer.metrics[metricAt]!.firstSeries + footer.metrics[metricAt]!.seriesCount) metricAt++
        ordinals[local++] = catalog.useSeries(catalog.useMetric(footer.metrics[metricAt]!.name), tags)
      }
    }
    assert(local === ordinals.length, 'pages hold every series')
    return ordinals
  }

  close(): void {
    this.#file.close()
  }
}
