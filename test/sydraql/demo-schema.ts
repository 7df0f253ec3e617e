/** A schema without a catalog: the metrics that examples and tests query. */
import type { FieldInfo, FieldType, MetricInfo } from '../../src/storage/types.ts'
import type { QuerySchema } from '../../src/sydraql/schema.ts'

const fields = (types: Readonly<Record<string, FieldType>>): FieldInfo[] =>
  Object.entries(types).map(([name, type], id) => ({ id, name, type }))

const metrics: readonly MetricInfo[] = [
  {
    id: 0,
    name: 'cpu',
    fields: fields({ usage: 'float', value: 'float', up: 'boolean', note: 'string', cores: 'integer' }),
  },
  { id: 1, name: 'mem', fields: fields({ used: 'integer' }) },
  { id: 2, name: 'net', fields: fields({ received: 'integer', sent: 'integer', 'a.b': 'float' }) },
  { id: 3, name: 'weather.room1', fields: fields({ value: 'float' }) },
]
const tagKeys: readonly (readonly string[])[] = [['dc', 'host'], ['host'], ['host', 'order'], []]

export const demoSeriesId = '12345678901234567890'

export const demoSchema: QuerySchema = {
  version: 1,
  metric: name => metrics.find(metric => metric.name === name),
  metrics: () => metrics,
  tagKeys: metric => tagKeys[metric]!,
  seriesById: id => (id === demoSeriesId ? 7 : undefined),
  metricOf: () => metrics[0]!,
}
