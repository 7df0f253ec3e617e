/** Row buffers as batches: views of the buffer, no value copied, with the row predicate applied. */
import type { Batch, Column, Schema } from '../../columnar/batch.ts'
import { sliceColumn } from '../../columnar/slice.ts'
import { assert } from '../../lib/assert.ts'
import type { CatalogReader } from '../../storage/catalog/types.ts'
import type { RowBuffer } from '../../storage/row-buffer.ts'
import type { Expr } from '../../sydraql/expression.ts'
import type { ScanNode } from '../../sydraql/plan.ts'
import { collectColumns } from '../../sydraql/rewrite.ts'
import type { Execution } from '../execution.ts'
import { compilePredicate, type Predicate } from '../predicate.ts'
import { isSeriesColumn, seriesColumn } from './series.ts'
import type { SeriesLimit } from './series-limit.ts'

const fieldPrefix = 'field.'

/** Names of the fields a scan yields, in the order of the schema. */
export const fieldNames = ({ schema }: { readonly schema: Schema }): string[] =>
  schema.filter(info => info.name.startsWith(fieldPrefix)).map(info => info.name.slice(fieldPrefix.length))

/** Yields the buffer's rows in order until the scan's limits are reached; `ended` says that they were. */
export interface Emitter {
  emit(buffer: RowBuffer, watermarkUs: number | undefined): Generator<Batch>
  /** Forgets the rows from `from` on that do not satisfy the row predicate: before they are sorted, where none merges. */
  keepAccepted(buffer: RowBuffer, from: number): void
  /** Yields rows that satisfy the row predicate, as `keepAccepted` or `test` left them. */
  emitAccepted(buffer: RowBuffer): Generator<Batch>
  /** The row predicate over the fields that it looks at; undefined: there is none. */
  readonly test: RowTest | undefined
  readonly ended: boolean
}

/** A row predicate, tested before the other fields are read. */
export interface RowTest {
  /** What it looks at, as places among the scan's fields. */
  readonly fields: readonly number[]
  /** Of the rows from `from` on, counted from there, those that satisfy it. `buffer` has those fields alone. Undefined: all. */
  accepted(buffer: RowBuffer, from: number): Uint32Array | undefined
}

/** `perSeries`: takes the first rows of each series, of those that satisfy the row predicate; `until`: what it counts. */
export const emitter = (
  node: ScanNode,
  perSeries: SeriesLimit | undefined,
  until: Expr | undefined,
  execution: Execution,
): Emitter => new RowEmitter(node, perSeries, until, execution)

type ColumnOfRows = (buffer: RowBuffer, from: number, to: number) => Column

/** Each column as the buffer's rows have it. */
function columnsOf(schema: Schema, fields: readonly string[], catalog: CatalogReader): ColumnOfRows[] {
  return schema.map(({ name }): ColumnOfRows => {
    if (name === 'time')
      return ({ timeUs }, from, to) => ({ type: 'timestamp', values: timeUs.subarray(from, to), valid: undefined })
    if (isSeriesColumn(name)) {
      const column = seriesColumn(name, catalog)
      return ({ series }, from, to) => column(series.subarray(from, to), to - from)
    }
    assert(name.startsWith(fieldPrefix), `a scan has no column ${name}`)
    const index = fields.indexOf(name.slice(fieldPrefix.length))
    return (buffer, from, to) => sliceColumn(buffer.column(index), from, to)
  })
}

const rowsOf = (columns: readonly ColumnOfRows[], buffer: RowBuffer, from: number, to: number) => ({
  length: to - from,
  columns: columns.map(column => column(buffer, from, to)),
  selection: undefined,
})

function rowTest({ schema, rowPredicate }: ScanNode, { catalog, kernels }: Execution): RowTest | undefined {
  if (rowPredicate === undefined) return undefined
  const read = new Set<string>()
  collectColumns(rowPredicate, read)
  const looked = schema.filter(({ name }) => read.has(name))
  const names = fieldNames({ schema: looked })
  const columns = columnsOf(looked, names, catalog)
  const isTrue = compilePredicate(rowPredicate, looked, kernels)
  const all = fieldNames({ schema })
  return {
    fields: names.map(name => all.indexOf(name)),
    accepted: (buffer, from) => isTrue(rowsOf(columns, buffer, from, buffer.length)),
  }
}

class RowEmitter implements Emitter {
  readonly #perSeries: SeriesLimit | undefined
  readonly #node: ScanNode
  readonly #execution: Execution
  readonly #batchRows: number
  readonly #predicate: Predicate | undefined
  readonly #counted: Predicate | undefined
  readonly #columns: readonly ColumnOfRows[]
  #test: RowTest | undefined
  #remaining: number

  constructor(node: ScanNode, perSeries: SeriesLimit | undefined, until: Expr | undefined, execution: Execution) {
    const { catalog, kernels, batchRows } = execution
    this.#perSeries = perSeries
    this.#node = node
    this.#execution = execution
    this.#batchRows = batchRows
    const compiled = (expr: Expr | undefined) => expr && compilePredicate(expr, node.schema, kernels)
    this.#predicate = compiled(node.rowPredicate)
    this.#counted = compiled(until)
    this.#columns = columnsOf(node.schema, fieldNames(node), catalog)
    this.#remaining = node.limit ?? Infinity
  }

  keepAccepted(buffer: RowBuffer, from: number): void {
    const accepted = this.#predicate?.(rowsOf(this.#columns, buffer, from, buffer.length))
    if (accepted !== undefined) buffer.keep(accepted, from)
  }

  /** Compiled when it is first asked for. */
  get test(): RowTest | undefined {
    return (this.#test ??= rowTest(this.#node, this.#execution))
  }

  get ended(): boolean {
    return this.#remaining <= 0 || this.#perSeries?.open() === 0
  }

  emit(buffer: RowBuffer, watermarkUs: number | undefined): Generator<Batch> {
    return this.#emit(buffer, watermarkUs, this.#predicate)
  }

  emitAccepted(buffer: RowBuffer): Generator<Batch> {
    return this.#emit(buffer, undefined, undefined)
  }

  *#emit(buffer: RowBuffer, watermarkUs: number | undefined, predicate: Predicate | undefined): Generator<Batch> {
    const batchRows = this.#batchRows
    const perSeries = this.#perSeries
    for (let from = 0; from < buffer.length && this.#remaining > 0; from += batchRows) {
      const to = Math.min(from + batchRows, buffer.length)
      const whole = {
        ...rowsOf(this.#columns, buffer, from, to),
        watermarkUs: to === buffer.length ? watermarkUs : undefined,
      }
      let selection = predicate?.(whole)
      if (perSeries !== undefined) {
        const series = buffer.series.subarray(from, to)
        selection =
          this.#counted === undefined
            ? perSeries.take(series, selection, whole.length)
            : perSeries.takeUntil(series, this.#counted(whole), whole.length)
      }
      const count = selection?.length ?? whole.length
      if (count > this.#remaining) {
        if (selection === undefined) whole.length = this.#remaining
        else selection = selection.subarray(0, this.#remaining)
      }
      this.#remaining -= count
      if (count > 0 || whole.watermarkUs !== undefined) yield { ...whole, selection }
    }
  }
}
