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

/** Every column a scan of the metric can yield: `time`, `series`, `series_id`, tags by key, fields by name. */
export function scanSchema(metric: MetricInfo, schema: QuerySchema): Schema {
  let known = scanSchemas.get(schema)
  if (known?.version !== schema.version) {
    known = { version: schema.version, byMetric: new Map() }
    scanSchemas.set(schema, known)
  }
  let found = known.byMetric.get(metric.id)
  if (found === undefined) {
    found = makeScanSchema(metric, schema)
    known.byMetric.set(metric.id, found)
  }
  return found
}

/** A metric may have a thousand fields: its columns are listed once per version of the schema. */
const scanSchemas = new WeakMap<QuerySchema, { readonly version: number; readonly byMetric: Map<number, Schema> }>()

function makeScanSchema(metric: MetricInfo, schema: QuerySchema): Schema {
  return [
    column('time', 'timestamp', false),
    column('series', 'string', false),
    column('series_id', 'string', false),
    ...schema.tagKeys(metric.id).map(key => column(`tag.${key}`, 'string', true)),
    ...sortedFields(metric).map(field => column(`field.${field.name}`, field.type, true)),
  ]
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
  rollups: [],
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
