/** What analysis asks of the catalog; `CatalogReader` is one. */
import type { ColumnInfo, Schema, ValueType } from '../columnar/batch.ts'
import { compareUtf8 } from '../lib/text.ts'
import type { MetricInfo } from '../storage/types.ts'
import type { ShowSubject } from './plan.ts'

export interface QuerySchema {
  /** Changes whenever a metric, field or tag key is added: prepared queries of another version are stale. */
  readonly version: number
  metric(name: string): MetricInfo | undefined
  metrics(): readonly MetricInfo[]
  /** Tag keys that any series of the metric has, sorted. */
  tagKeys(metric: number): readonly string[]
  /** The series with this id (decimal text), or undefined. */
  seriesById(id: string): number | undefined
  metricOf(series: number): MetricInfo
}

const column = (name: string, type: ValueType, nullable: boolean): ColumnInfo => ({ name, type, nullable })

/** The columns that a name in a query over series can mean. */
export interface SeriesColumns {
  /** What has them, for messages: a metric's name, or a pattern. */
  readonly title: string
  /** `time`, `series`, `series_id`, tags by key, fields by name. */
  readonly schema: Schema
  readonly byName: ReadonlyMap<string, ColumnInfo>
  readonly tags: readonly string[]
  /** In the order of `*`. */
  readonly fields: readonly string[]
  /** Fields that no query may read, and why: metrics of one pattern give them types that do not go together. */
  readonly conflicts: ReadonlyMap<string, string>
}

const noConflicts: ReadonlyMap<string, string> = new Map()

/** Every column a scan of the metric can yield. A metric may have a thousand fields: listed once per version. */
export function metricColumns(metric: MetricInfo, schema: QuerySchema): SeriesColumns {
  let known = knownColumns.get(schema)
  if (known?.version !== schema.version) {
    known = { version: schema.version, byMetric: new Map() }
    knownColumns.set(schema, known)
  }
  let found = known.byMetric.get(metric.id)
  if (found === undefined) {
    const fields = sortedFields(metric)
    const types = new Map(fields.map(field => [field.name, field.type]))
    found = seriesColumns(metric.name, schema.tagKeys(metric.id), types, noConflicts)
    known.byMetric.set(metric.id, found)
  }
  return found
}

const knownColumns = new WeakMap<
  QuerySchema,
  { readonly version: number; readonly byMetric: Map<number, SeriesColumns> }
>()

/** `fields`: name to type, in the order of `*`. */
export function seriesColumns(
  title: string,
  tags: readonly string[],
  fields: ReadonlyMap<string, ValueType>,
  conflicts: ReadonlyMap<string, string>,
): SeriesColumns {
  const schema = [
    column('time', 'timestamp', false),
    column('series', 'string', false),
    column('series_id', 'string', false),
    ...tags.map(key => column(`tag.${key}`, 'string', true)),
  ]
  for (const [name, type] of fields) schema.push(column(`field.${name}`, type, true))
  const byName = new Map(schema.map(info => [info.name, info]))
  return { title, schema, byName, tags, fields: [...fields.keys()], conflicts }
}

/** Fields in the order of `*`. */
export const sortedFields = (metric: MetricInfo) => metric.fields.toSorted((a, b) => compareUtf8(a.name, b.name))

/** The columns of `show <subject>`. */
export const showSchemas: Readonly<Record<ShowSubject, Schema>> = {
  metrics: [
    column('metric', 'string', false),
    column('namespace', 'string', false),
    column('series', 'integer', false),
    column('fields', 'integer', false),
  ],
  series: [column('series_id', 'string', false), column('series', 'string', false), column('metric', 'string', false)],
  tags: [column('metric', 'string', false), column('tag', 'string', false), column('values', 'integer', false)],
  fields: [column('metric', 'string', false), column('field', 'string', false), column('type', 'string', false)],
  segments: [
    column('segment', 'string', false),
    column('path', 'string', false),
    column('min_time', 'timestamp', false),
    column('max_time', 'timestamp', false),
    column('min_lsn', 'integer', false),
    column('max_lsn', 'integer', false),
    column('rows', 'integer', false),
    column('bytes', 'integer', false),
  ],
  rollups: [
    column('rollup', 'string', false),
    column('metric', 'string', false),
    column('width', 'duration', false),
    column('buckets', 'integer', false),
    column('bytes', 'integer', false),
    column('segment', 'string', false),
    column('min_time', 'timestamp', false),
    column('max_time', 'timestamp', false),
  ],
  functions: [
    column('function', 'string', false),
    column('kind', 'string', false),
    column('signature', 'string', false),
    column('returns', 'string', false),
    column('description', 'string', false),
    column('example', 'string', false),
  ],
  settings: [column('setting', 'string', false), column('value', 'string', true)],
}
