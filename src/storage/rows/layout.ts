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
  /** By their fields, the layouts of rows that were settled by themselves; and of the last of them. */
  #plain = new WeakMap<readonly FieldInfo[], Layout>()
  #lastFields: readonly FieldInfo[] | undefined
  #lastPlain: Layout | undefined
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

  /** The layout of rows whose values are exactly these fields, in order. The list stays as it is: the layout is known by it. */
  plain(metric: MetricInfo, fields: readonly FieldInfo[]): Layout {
    if (this.#lastPlain !== undefined && this.#lastFields === fields) return this.#lastPlain
    let layout = this.#plain.get(fields)
    if (layout === undefined) {
      layout = this.of(
        metric,
        fields.map((field, slot): LayoutColumn => ({ field, slot, constant: 0 })),
      )
      this.#plain.set(fields, layout)
    }
    this.#lastFields = fields
    this.#lastPlain = layout
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
    this.#plain = new WeakMap()
    this.#lastFields = undefined
    this.#lastPlain = undefined
    this.#columns = 0
  }
}
