/**
 * Show lists what there is: metrics, series, tags, fields, functions from the catalog and the registry, segments, rollups
 * and settings from the engine.
 *
 *   Tables: subject -> rows, in the columns of `showSchemas`
 */
import { BatchBuilder } from '../columnar/builder.ts'
import type { Scalar } from '../columnar/value.ts'
import { compareUtf8 } from '../lib/text.ts'
import type { CatalogReader } from '../storage/catalog/types.ts'
import type { SegmentContents } from '../storage/segment/segment.ts'
import type { MetricInfo, SegmentMeta } from '../storage/types.ts'
import { functions, returnName, signature } from '../sydraql/functions.ts'
import type { ShowNode, ShowSubject } from '../sydraql/plan.ts'
import { sortedFields } from '../sydraql/schema.ts'
import type { Execution } from './execution.ts'
import type { BatchStream } from './operator.ts'

/** Rows of a listing, in the columns of the subject; of one metric where `metric` is given. */
export interface Tables {
  rows(subject: ShowSubject, metric: string | undefined): Iterable<readonly Scalar[]>
}

/** What the catalog does not know. */
export interface EngineTables {
  segments(): Iterable<SegmentMeta>
  rollups(): Iterable<{ readonly meta: SegmentMeta; contents(): readonly SegmentContents[] }>
  settings(): Iterable<readonly [name: string, value: string | null]>
}

export function catalogTables(catalog: CatalogReader, engine: EngineTables): Tables {
  const metricsOf = (name: string | undefined): readonly MetricInfo[] => {
    if (name === undefined) return catalog.metrics()
    const metric = catalog.metric(name)
    return metric === undefined ? [] : [metric]
  }
  return {
    *rows(subject, metric) {
      switch (subject) {
        case 'metrics':
          for (const { id, name, fields } of metricsOf(metric))
            yield [name, name.split('.', 1)[0]!, catalog.seriesOf(id).length, fields.length]
          return
        case 'series':
          for (const { id, name } of metricsOf(metric))
            for (const series of inPrintedOrder(id, catalog))
              yield [catalog.ids.at(series), catalog.printed.at(series), name]
          return
        case 'tags':
          for (const { id, name } of metricsOf(metric))
            for (const key of catalog.tagKeys(id)) yield [name, key, distinctValues(id, key, catalog)]
          return
        case 'fields':
          for (const info of metricsOf(metric))
            for (const field of sortedFields(info)) yield [info.name, field.name, field.type]
          return
        case 'segments':
          for (const segment of engine.segments()) {
            const { id, path, minTimeUs, maxTimeUs, minLsn, maxLsn, rows, bytes } = segment
            yield [id, path, minTimeUs, maxTimeUs, minLsn, maxLsn, rows, bytes]
          }
          return
        case 'rollups':
          for (const segment of engine.rollups()) {
            const { id, rollup } = segment.meta
            for (const { metric: name, rows, bytes, minTimeUs, maxTimeUs } of segment.contents())
              if (metric === undefined || name === metric)
                yield [id, name, rollup!.widthUs, rows, bytes, rollup!.of, minTimeUs, maxTimeUs]
          }
          return
        case 'functions':
          for (const info of functions.toSorted((a, b) => compareUtf8(a.name, b.name)))
            yield [info.name, info.kind, signature(info), returnName(info), info.description, info.example]
          return
        case 'settings':
          for (const [name, value] of engine.settings()) yield [name, value]
      }
    },
  }
}

function inPrintedOrder(metric: number, catalog: CatalogReader): Uint32Array {
  const ranks = catalog.ranks(metric)
  return Uint32Array.from(catalog.seriesOf(metric)).sort((a, b) => ranks[a]! - ranks[b]!)
}

function distinctValues(metric: number, key: string, catalog: CatalogReader): number {
  const tag = catalog.tag(key)
  const codes = new Set<number>()
  for (const series of catalog.seriesOf(metric)) codes.add(tag?.code(series) ?? -1)
  codes.delete(-1)
  return codes.size
}

export async function* show(node: ShowNode, tables: Tables, { batchRows, pace }: Execution): BatchStream {
  const out = new BatchBuilder(node.schema)
  for (const row of tables.rows(node.subject, node.metric)) {
    out.push(row)
    if (out.length < batchRows) continue
    yield out.batch()
    out.clear()
    await pace()
  }
  if (out.length > 0) yield out.batch()
}
