/** Row buffers as batches: views of the buffer, no value copied, with the row predicate applied. */
import type { Batch, Column } from '../../columnar/batch.ts'
import { sliceColumn } from '../../columnar/slice.ts'
import { assert } from '../../lib/assert.ts'
import type { RowBuffer } from '../../storage/row-buffer.ts'
import type { Expr } from '../../sydraql/expression.ts'
import type { ScanNode } from '../../sydraql/plan.ts'
import type { Execution } from '../execution.ts'
import { compilePredicate } from '../predicate.ts'
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
export function emitter(
  node: ScanNode,
  perSeries: SeriesLimit | undefined,
  until: Expr | undefined,
  execution: Execution,
): Emitter {
  const { catalog, kernels, batchRows } = execution
  const predicate =
    node.rowPredicate === undefined ? undefined : compilePredicate(node.rowPredicate, node.schema, kernels)
  const counted = until === undefined ? undefined : compilePredicate(until, node.schema, kernels)
  const fields = fieldNames(node)
  const columns = node.schema.map(({ name }): ((buffer: RowBuffer, from: number, to: number) => Column) => {
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
  let remaining = node.limit ?? Infinity

  const rowsOf = (buffer: RowBuffer, from: number, to: number) => ({
    length: to - from,
    columns: columns.map(column => column(buffer, from, to)),
    selection: undefined,
  })

  return {
    keepAccepted(buffer, from) {
      const accepted = predicate?.(rowsOf(buffer, from, buffer.length))
      if (accepted !== undefined) buffer.keep(accepted, from)
    },
    get ended() {
      return remaining <= 0 || perSeries?.open === 0
    },
    *emit(buffer, watermarkUs) {
      for (let from = 0; from < buffer.length && remaining > 0; from += batchRows) {
        const to = Math.min(from + batchRows, buffer.length)
        const whole = { ...rowsOf(buffer, from, to), watermarkUs: to === buffer.length ? watermarkUs : undefined }
        let selection = predicate?.(whole)
        if (perSeries !== undefined) {
          const series = buffer.series.subarray(from, to)
          selection =
            counted === undefined
              ? perSeries.take(series, selection, whole.length)
              : perSeries.takeUntil(series, counted(whole), whole.length)
        }
        const count = selection?.length ?? whole.length
        if (count > remaining) {
          if (selection === undefined) whole.length = remaining
          else selection = selection.subarray(0, remaining)
        }
        remaining -= count
        if (count > 0 || whole.watermarkUs !== undefined) yield { ...whole, selection }
      }
    },
  }
}
