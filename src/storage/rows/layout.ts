/**
 * Layout: which field of which metric each staged value is. Rows of one layout move into columns together.
 *
 *   layout of cpu   usr <- value 0, sys <- value 1, up <- true
 */
import type { FieldInfo, MetricInfo } from '../types.ts'
import { layoutsMax } from './limits.ts'

export interface LayoutColumn {
  readonly field: FieldInfo
  /** Index among the row's staged values, or -1 for the constant. */
  readonly slot: number
  readonly constant: number | boolean | string
}

export interface Layout {
  readonly metric: MetricInfo
  /** One a field, fields distinct. */
  readonly columns: readonly LayoutColumn[]
  /** Staged values a row has. */
  readonly valueCount: number
  /** Scratch of the batch builder: its group in the batch being built. */
  group: number
}

/** Gives equal layouts as one object, so that rows of many series share it. Bounded: forgetting only costs sharing. */
export class Layouts {
  readonly #byKey = new Map<string, Layout>()
  /** Per metric id, the layout of the last row that was settled by itself. */
  readonly #lastPlain: (Layout | undefined)[] = []

  /** The layout of rows whose values are exactly these fields, in order. */
  plain(metric: MetricInfo, fields: readonly FieldInfo[]): Layout {
    const last = this.#lastPlain[metric.id]
    if (last !== undefined && hasFields(last, fields)) return last
    const columns = fields.map((field, slot): LayoutColumn => ({ field, slot, constant: 0 }))
    const layout = this.of(metric, columns)
    this.#lastPlain[metric.id] = layout
    return layout
  }

  of(metric: MetricInfo, columns: readonly LayoutColumn[]): Layout {
    let key = `${metric.id}`
    let valueCount = 0
    for (const { field, slot, constant } of columns) {
      key += slot >= 0 ? ` ${field.id}:${slot}` : ` ${field.id}=${JSON.stringify(String(constant))}`
      if (slot >= 0) valueCount++
    }
    const known = this.#byKey.get(key)
    if (known !== undefined) return known
    if (this.#byKey.size >= layoutsMax) this.#byKey.clear()
    const layout: Layout = { metric, columns, valueCount, group: -1 }
    this.#byKey.set(key, layout)
    return layout
  }
}

function hasFields(layout: Layout, fields: readonly FieldInfo[]): boolean {
  const { columns } = layout
  if (columns.length !== fields.length) return false
  for (let i = 0; i < columns.length; i++) if (columns[i]!.field !== fields[i]) return false
  return true
}
