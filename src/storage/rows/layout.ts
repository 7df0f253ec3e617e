/**
 * Layout: which field of which metric each staged value is. Rows of one layout move into columns together.
 *
 *   layout of cpu   usr <- value 0, sys <- value 1, up <- true
 */
import type { FieldInfo, MetricInfo } from '../types.ts'
import { layoutColumnsMax } from './limits.ts'

export interface LayoutColumn {
  readonly field: FieldInfo
  /** Index among the row's staged values, or -1 for the constant. */
  readonly slot: number
  readonly constant: number | boolean | string
}

export interface Layout {
  readonly id: number
  readonly metric: MetricInfo
  /** One a field, fields distinct. */
  readonly columns: readonly LayoutColumn[]
  /** Staged values a row has. */
  readonly valueCount: number
}

/** Gives equal layouts one id, so that rows of many series share it. */
export class Layouts {
  readonly #all: Layout[] = []
  readonly #byKey = new Map<string, Layout>()
  /** Per metric id, the layout of the last row that was settled by itself. */
  readonly #lastPlain: (Layout | undefined)[] = []
  #columns = 0

  /** Whether it is time to `clear`. */
  get full(): boolean {
    return this.#columns > layoutColumnsMax
  }

  /** Layouts known: ids are below. */
  get size(): number {
    return this.#all.length
  }

  at(id: number): Layout {
    return this.#all[id]!
  }

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
    const layout: Layout = { id: this.#all.length, metric, columns, valueCount }
    this.#all.push(layout)
    this.#byKey.set(key, layout)
    this.#columns += columns.length
    return layout
  }

  /** Ids given before mean nothing any more. */
  clear(): void {
    this.#all.length = 0
    this.#byKey.clear()
    this.#lastPlain.length = 0
    this.#columns = 0
  }
}

function hasFields(layout: Layout, fields: readonly FieldInfo[]): boolean {
  const { columns } = layout
  if (columns.length !== fields.length) return false
  for (let i = 0; i < columns.length; i++) if (columns[i]!.field !== fields[i]) return false
  return true
}
