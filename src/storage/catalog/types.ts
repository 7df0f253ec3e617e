/**
 * What the rest of the engine asks of the catalog: metrics with their fields, series with their tags, all as dense
 * ordinals. `CatalogReader` is for queries, `CatalogWriter` for the one writer that settles rows.
 */
import type { Dictionary } from '../../columnar/batch.ts'
import type { FieldInfo, FieldType, MetricInfo, Tags } from '../types.ts'
import type { Utf8Tags } from './utf8-tags.ts'

export interface TagColumn {
  readonly key: string
  /** Distinct values of this tag key. */
  readonly dictionary: Dictionary
  /** Dictionary code of the series' value, or -1 when it lacks the tag. */
  code(series: number): number
}

export interface CatalogReader {
  /** Changes whenever a metric, field or tag key is added: plans are cached by it. */
  readonly version: number
  readonly seriesCount: number
  metric(name: string): MetricInfo | undefined
  /** In name order. */
  metrics(): readonly MetricInfo[]
  /** Tag keys that any series of the metric has, sorted. */
  tagKeys(metric: number): readonly string[]
  tag(key: string): TagColumn | undefined
  /** Ordinals of the metric's series, ascending. */
  seriesOf(metric: number): Uint32Array
  /** Ordinals of the metric's series that have this tag value, ascending. */
  seriesWithTag(metric: number, key: string, value: string): Uint32Array
  /** The series with this id (decimal text of the unsigned 64-bit hash), or undefined. */
  seriesById(id: string): number | undefined
  metricOf(series: number): MetricInfo
  tagsOf(series: number): Tags
  /** ordinal -> printed series, such as `cpu{dc="x",host="a"}`. */
  readonly printed: Dictionary
  /** ordinal -> series id as decimal text. */
  readonly ids: Dictionary
  /**
   * ordinal -> rank of its printed form in UTF-8 byte order among the metric's series. Indexed by ordinal; entries of
   * other metrics are meaningless. Borrowed until a series is added.
   */
  ranks(metric: number): Uint32Array
}

export interface CatalogWriter extends CatalogReader {
  /** Finds or registers. Throws `too_many_tags`, `invalid_row` (name or value over its limit). */
  useMetric(name: string): MetricInfo
  /**
   * The field that takes values of this type: found, registered, or an existing float field for an integer.
   * Throws `type_mismatch` naming metric, field and both types, `too_many_fields`.
   */
  useField(metric: MetricInfo, name: string, type: FieldType): FieldInfo
  /** Finds or registers. Throws `too_many_series`, `too_many_tags`, `invalid_row`, `series_id_collision`. */
  useSeries(metric: MetricInfo, tags: Tags): number
  /** The same for tags as they lie in a line; -1 when `useSeries` has to decide. */
  useSeriesUtf8(metric: MetricInfo, tags: Utf8Tags): number
}
