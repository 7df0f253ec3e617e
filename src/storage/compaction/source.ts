/**
 * One input of a merge: a segment read series by series, in the order it lies in, each chunk once or twice.
 *
 *   MergeSource   header, footer, ordinals        keyOf(local): id and tags, from the dictionary pages
 *   SourceMetric  of one metric: how many rows a series has; rows of neighbouring series, appended to a RowBuffer
 *
 * Invariants:
 * 1. Series are asked for in ascending local numbers: what was passed is let go.
 * 2. Any damage is `corrupt_segment` naming the file; what leaves has been checked.
 */
import { assert } from '../../lib/assert.ts'
import { SydraError } from '../../lib/errors.ts'
import { toHex } from '../../lib/text.ts'
import type { RowBuffer } from '../row-buffer.ts'
import { decodePage, type SeriesKey } from '../segment/dictionary.ts'
import type { SegmentEnvironment } from '../segment/environment.ts'
import { columnsOf, type Footer, type FooterMetric, type GroupEntry } from '../segment/footer.ts'
import type { GroupHead } from '../segment/group-head.ts'
import { loadGroup, loadHead } from '../segment/load-group.ts'
import { SegmentFile } from '../segment/segment-file.ts'
import type { FieldInfo, ReadStatistics } from '../types.ts'
import type { MergeInput, MergeJob } from './job.ts'

export class MergeSource {
  readonly input: MergeInput
  readonly footer: Footer
  /** Local number -> catalog ordinal. */
  readonly ordinals: Uint32Array
  readonly file: SegmentFile
  /** The local number after the last on each dictionary page. */
  readonly #pageEnds: Uint32Array
  readonly #environment: SegmentEnvironment
  readonly #firstKey: number
  readonly #statistics: ReadStatistics

  constructor(
    environment: SegmentEnvironment,
    input: MergeInput,
    { incarnation, seriesCount }: Pick<MergeJob, 'incarnation' | 'seriesCount'>,
    statistics: ReadStatistics,
  ) {
    this.input = input
    this.#environment = environment
    this.#firstKey = environment.nextNumber() * 2 ** 32
    this.#statistics = statistics
    this.file = new SegmentFile(environment, input.path)
    const { header, footer } = this.file.readFooter()
    statistics.bytesRead += footer.bytes.length
    assert(header.kind.kind === 'rows', 'rows are merged, rollups are made')
    assert(
      input.ordinals !== undefined || toHex(header.incarnation) === incarnation,
      'ordinals of another catalog come with the job',
    )
    this.footer = footer
    let paged = 0
    this.#pageEnds = Uint32Array.from(footer.pages, ({ seriesCount }) => (paged += seriesCount))
    this.ordinals = input.ordinals ?? footer.ordinals
    assert(this.ordinals.length === footer.ordinals.length, 'each series has an ordinal')
    if (this.ordinals.some(ordinal => ordinal >= seriesCount))
      throw new SydraError('corrupt_segment', `segment ${input.path} has series that the catalog does not know`)
  }

  metric(name: string): FooterMetric | undefined {
    return this.footer.metrics.find(metric => metric.name === name)
  }

  /** The dictionary page with this local number, and the number of the page's first series. */
  pageWith(local: number): { readonly page: number; readonly first: number } {
    const ends = this.#pageEnds
    let low = 0
    let high = ends.length - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if (ends[middle]! <= local) low = middle + 1
      else high = middle
    }
    return { page: low, first: low === 0 ? 0 : ends[low - 1]! }
  }

  /** Ids and tags of a page's series. */
  page(page: number): readonly SeriesKey[] {
    const entry = this.footer.pages[page]!
    const [bytes] = this.file.chunks([entry], this.#count)
    return this.file.guard(entry.at, 'dictionary', () =>
      decodePage(bytes!, entry.seriesCount, this.#environment.ports.zstd),
    )
  }

  /** `fields`: those to read; undefined where this segment's metric lacks the field. */
  read(
    metric: FooterMetric,
    group: GroupEntry,
    fields: readonly (number | undefined)[],
    runs: Uint32Array | undefined,
    fromUs: number,
    toUs: number,
    into: RowBuffer,
  ): void {
    const { file, ordinals } = this
    const present = file.guard(group.columnsAt, 'footer', () => columnsOf(this.footer, metric, group))
    const byField = new Map(present.map(column => [column.field, column]))
    const columns = fields.map(field => (field === undefined ? undefined : byField.get(field)))
    const loaded = loadGroup(this.#environment, file, this.#firstKey, metric, group, columns, this.#count)
    const progress = { field: -1 }
    const ordinal = (run: number): number => ordinals[group.firstSeries + run]!
    file.guard(
      () => columns[progress.field]?.at ?? group.time.at,
      'column',
      () => {
        const wanted = { runs, ordinal, fromUs, toUs, bounds: [] }
        this.#environment.groups.read(loaded, wanted, into, this.#statistics, progress)
      },
    )
  }

  head(group: GroupEntry): GroupHead {
    return loadHead(this.#environment, this.file, this.#firstKey, group, this.#count)
  }

  readonly #count = (bytes: number): void => {
    this.#statistics.bytesRead += bytes
  }
}

/** Rows of one series in one group. */
export interface SeriesPart {
  readonly minTimeUs: number
  readonly rows: number
  /** About what their strings take once they are decoded, at most. */
  readonly textBytes: number
}

/** Strings are rarely packed more tightly than this, */
const textRatio = 16
/** and a group has no more of them. */
const groupTextBytesMax = 4 * 2 ** 20

export class SourceMetric {
  readonly source: MergeSource
  readonly metric: FooterMetric
  /** Of the metric's series, in their order. */
  readonly ordinals: Uint32Array
  readonly #fields: readonly (number | undefined)[]
  readonly #hasText: boolean
  /** The first group that a series not yet counted may be in. */
  #counting = 0
  /** The last head that was asked for. */
  #head: { readonly group: GroupEntry; readonly head: GroupHead } | undefined
  /** The first group that a series not yet read may be in. */
  #reading = 0

  /** `fields`: of the result. */
  constructor(source: MergeSource, metric: FooterMetric, fields: readonly FieldInfo[]) {
    this.source = source
    this.metric = metric
    const { firstSeries, seriesCount } = metric
    this.ordinals = source.ordinals.subarray(firstSeries, firstSeries + seriesCount)
    const indexes = new Map(metric.fields.map(({ name }, index) => [name, index]))
    this.#fields = fields.map(({ name }) => indexes.get(name))
    this.#hasText = metric.fields.some(({ type }) => type === 'string')
  }

  /** Where the rows of the n-th series lie. Ascending n. */
  parts(n: number): SeriesPart[] {
    const local = this.metric.firstSeries + n
    const { groups } = this.metric
    const parts: SeriesPart[] = []
    for (let i = this.#counting; i < groups.length; i++) {
      const group = groups[i]!
      if (group.firstSeries > local) break
      if (group.firstSeries + group.runCount <= local) {
        this.#counting = i + 1
      } else if (group.runCount === 1) parts.push(this.#part(group, group.minTimeUs, group.rows))
      else {
        if (this.#head?.group !== group) this.#head = { group, head: this.source.head(group) }
        const { runStarts, runMinUs } = this.#head.head
        const run = local - group.firstSeries
        parts.push(this.#part(group, runMinUs[run]!, runStarts[run + 1]! - runStarts[run]!))
      }
    }
    return parts
  }

  #part(group: GroupEntry, minTimeUs: number, rows: number): SeriesPart {
    if (!this.#hasText) return { minTimeUs, rows, textBytes: 0 }
    const bytes = Math.min(group.columnsLength * textRatio, groupTextBytesMax)
    return { minTimeUs, rows, textBytes: (bytes * rows) / group.rows }
  }

  /** Appends rows of series [from, to) with `fromUs <= time < toUs`. Ascending `from`; the last series may come again. */
  read(from: number, to: number, fromUs: number, toUs: number, into: RowBuffer): void {
    const first = this.metric.firstSeries + from
    const end = this.metric.firstSeries + to
    const { groups } = this.metric
    while (this.#reading < groups.length && endOf(groups[this.#reading]!) <= first) this.#reading++
    for (let i = this.#reading; i < groups.length; i++) {
      const group = groups[i]!
      if (group.firstSeries >= end) break
      if (group.maxTimeUs < fromUs || group.minTimeUs >= toUs) continue
      const runFrom = Math.max(0, first - group.firstSeries)
      const runTo = Math.min(group.runCount, end - group.firstSeries)
      const all = runFrom === 0 && runTo === group.runCount
      const runs = all ? undefined : Uint32Array.from({ length: runTo - runFrom }, (_, run) => runFrom + run)
      this.source.read(this.metric, group, this.#fields, runs, fromUs, toUs, into)
      // Of all groups together this would be more than the rest.
      group.columns = undefined
    }
  }
}

const endOf = ({ firstSeries, runCount }: GroupEntry): number => firstSeries + runCount
