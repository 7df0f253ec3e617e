/** Row buffers as batches: views of the buffer, no value copied, with the row predicate applied. */
import type { Batch, Column } from '../../columnar/batch.ts'
import { sliceColumn } from '../../columnar/slice.ts'
import { assert } from '../../lib/assert.ts'
import type { RowBuffer } from '../../storage/row-buffer.ts'
import type { Expr } from '../../sydraql/expression.ts'
import type { ScanNode } from '../../sydraql/plan.ts'
import type { Execution } from '../execution.ts'
import { compilePredicate, type Predicate } from '../predicate.ts'
import { isSeriesColumn, seriesColumn } from './series.ts'
import type { SeriesLimit } from './series-limit.ts'

const fieldPrefix = 'field.'

/** Names of the fields a scan yields, in the order of the schema. */
export const fieldNames = (node: ScanNode): string[] =>
  node.schema.filter(info => info.name.startsWith(fieldPrefix)).map(info => info.name.slice(fieldPrefix.length))

/** Yields the buffer's rows in order until the scan's limits are reached; `ended` says that they were. */
export interface Emitter {
  emit(buffer: RowBuffer, watermarkUs: number | undefined): Generator<Batch>
  /** Forgets the rows from `from` on that do not satisfy the row predicate: before they are sorted, where none merges. */
  keepAccepted(buffer: RowBuffer, from: number): void
  readonly ended: boolean
}

/** `perSeries`: takes the first rows of each series, of those that satisfy the row predicate; `until`: what it counts. */
export const emitter = (
  node: ScanNode,
  perSeries: SeriesLimit | undefined,
  until: Expr | undefined,
  execution: Execution,
): Emitter => new RowEmitter(node, perSeries, until, execution)

class RowEmitter implements Emitter {
  readonly #perSeries: SeriesLimit | undefined
  readonly #batchRows: number
  readonly #predicate: Predicate | undefined
  readonly #counted: Predicate | undefined
  readonly #columns: readonly ((buffer: RowBuffer, from: number, to: number) => Column)[]
  #remaining: number

  constructor(
    node: ScanNode,
    perSeries: SeriesLimit | undefined,
    until: Expr | undefined,
    { catalog, kernels, batchRows }: Execution,
  ) {
    this.#perSeries = perSeries
    this.#batchRows = batchRows
    const compiled = (expr: Expr | undefined) => expr && compilePredicate(expr, node.schema, kernels)
    this.#predicate = compiled(node.rowPredicate)
    this.#counted = compiled(until)
    const fields = fieldNames(node)
    this.#columns = node.schema.map(({ name }): ((buffer: RowBuffer, from: number, to: number) => Column) => {
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
    this.#remaining = node.limit ?? Infinity
  }

  keepAccepted(buffer: RowBuffer, from: number): void {
    const accepted = this.#predicate?.(this.#rowsOf(buffer, from, buffer.length))
    if (accepted !== undefined) buffer.keep(accepted, from)
  }

  get ended(): boolean {
    return this.#remaining <= 0 || this.#perSeries?.open() === 0
  }

  *emit(buffer: RowBuffer, watermarkUs: number | undefined): Generator<Batch> {
    const batchRows = this.#batchRows
    const perSeries = this.#perSeries
    for (let from = 0; from < buffer.length && this.#remaining > 0; from += batchRows) {
      const to = Math.min(from + batchRows, buffer.length)
      const whole = { ...this.#rowsOf(buffer, from, to), watermarkUs: to === buffer.length ? watermarkUs : undefined }
      let selection = this.#predicate?.(whole)
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

  #rowsOf(buffer: RowBuffer, from: number, to: number) {
    return {
      length: to - from,
      columns: this.#columns.map(column => column(buffer, from, to)),
      selection: undefined,
    }
  }
}
