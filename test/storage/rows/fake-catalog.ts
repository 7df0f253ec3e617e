/** The least that settles rows: metrics, fields and series in maps, without limits but `max_series`. */
import { SydraError } from '../../../src/lib/errors.ts'
import { canonicalTags } from '../../../src/storage/catalog/identity.ts'
import type { CatalogWriter } from '../../../src/storage/catalog/types.ts'
import type { Utf8Tags } from '../../../src/storage/catalog/utf8-tags.ts'
import type { FieldInfo, FieldType, MetricInfo, Tags } from '../../../src/storage/types.ts'

export interface FakeCatalog extends CatalogWriter {
  describe(series: number): string
}

export function fakeCatalog(seriesMax = 1e6): FakeCatalog {
  const metrics = new Map<string, MetricInfo & { readonly fields: FieldInfo[] }>()
  const series = new Map<string, number>()
  const printed: string[] = []
  const catalog = {
    useMetric(name: string): MetricInfo {
      let metric = metrics.get(name)
      if (metric === undefined) metrics.set(name, (metric = { id: metrics.size, name, fields: [] }))
      return metric
    },
    useField(metric: MetricInfo, name: string, type: FieldType): FieldInfo {
      const fields = metric.fields as FieldInfo[]
      let field = fields.find(other => other.name === name)
      if (field === undefined) fields.push((field = { id: fields.length, name, type }))
      if (field.type !== type && !(field.type === 'float' && type === 'integer'))
        throw new SydraError('type_mismatch', `${metric.name}.${name} is ${field.type}, not ${type}`)
      return field
    },
    useSeries(metric: MetricInfo, tags: Tags): number {
      const text = `${metric.name}${JSON.stringify(tags)}`
      let ordinal = series.get(text)
      if (ordinal === undefined) {
        if (series.size >= seriesMax) throw new SydraError('too_many_series', `over ${seriesMax} series`)
        series.set(text, (ordinal = series.size))
        printed.push(text)
      }
      return ordinal
    },
    useSeriesUtf8(metric: MetricInfo, { bytes, spans, count }: Utf8Tags): number {
      const text = (at: number): string => new TextDecoder().decode(bytes.subarray(spans[at], spans[at + 1]))
      const pairs = Array.from({ length: count }, (_, i) => [text(4 * i), text(4 * i + 2)] as const)
      if (new Set(pairs.map(([name]) => name)).size < count || series.size >= seriesMax) return -1
      return catalog.useSeries(metric, canonicalTags(pairs))
    },
    describe: (ordinal: number): string => printed[ordinal]!,
  }
  // only the writer's part is used here
  return catalog as unknown as FakeCatalog
}
