/**
 * Rows of a commit as batches of a plan's branch: what its scan and its steps let through of those that came at the end of
 * their series.
 *
 *   MetricRows  ->  rows of series that pass, not late, in range  ->  columns of the scan  ->  row predicate  ->  steps
 *
 * The hot path of live queries: every commit passes each query that reads its metric.
 *
 * Invariants:
 * 1. Rows of a series come in the order of the commit. A batch is borrowed until the next call.
 * 2. Where all rows pass, columns are those of the commit; else copies in arrays that are used again. No row is an object.
 * 3. Of a commit without a row that passes, nothing is copied; where few series are read, its rows are not even looked at.
 */
import type { Batch, Column, Dictionary, ValueType } from '../../columnar/batch.ts'
import { columnOf } from '../../columnar/builder.ts'
import { assert } from '../../lib/assert.ts'
import type { FieldRows, MetricRows } from '../../storage/types.ts'
import type { TimeRange } from '../../sydraql/plan.ts'
import { reusableBytes, reusableCodes, reusableNumbers } from '../functions/evaluator.ts'
import { compilePredicate } from '../predicate.ts'
import { isSeriesColumn, seriesColumn } from '../scan/series.ts'
import type { Branch } from './branches.ts'
import { type SeriesFilter, seriesFilter } from './series-filter.ts'
import { compileSteps } from './steps.ts'
import type { CommittedRows, LiveContext } from './types.ts'

export interface CommitReader {
  readonly branch: Branch
  /** Which series the scan reads. */
  readonly series: SeriesFilter
  readonly byteLength: number
  /**
   * Rows that are not late and lie in the range, as the branch gives them; undefined: none. `isElsewhere`: rows that are
   * left out, as they are read in another way.
   */
  read(
    committed: CommittedRows,
    range: TimeRange,
    isElsewhere?: ((ordinal: number, timeUs: number) => boolean) | undefined,
  ): Batch | undefined
}

/** Of some rows, a column of the scan: all rows, or those of `rows`. */
type ColumnMaker = (source: MetricRows, rows: Uint32Array | undefined, length: number) => Column

export function commitReader(branch: Branch, context: Pick<LiveContext, 'catalog' | 'kernels'>): CommitReader {
  const { scan, steps } = branch
  const { kernels } = context
  const series = seriesFilter(scan, context)
  const selected = reusableCodes()
  const columns = scan.schema.map(({ name, type }) => columnMaker(name, type, context))
  const predicate =
    scan.rowPredicate === undefined ? undefined : compilePredicate(scan.rowPredicate, scan.schema, kernels)
  const through = compileSteps(steps, kernels)
  let capacity = 0

  return {
    branch,
    series,
    get byteLength() {
      return series.byteLength + capacity * 12 * (1 + columns.length)
    },
    read(committed, range, isElsewhere) {
      const { rows } = committed
      assert(rows.metric.name === scan.metric, 'a commit of another metric')
      capacity = Math.max(capacity, rows.length)
      const out = selected(rows.length)
      let count = rows.length
      if (!series.isAll || !passesWhole(committed, range)) {
        count = within(committed, range, out, series.select(rows, out))
      }
      if (isElsewhere !== undefined && count > 0) {
        if (count === rows.length) for (let row = 0; row < count; row++) out[row] = row
        count = withoutThose(rows, isElsewhere, out, count)
      }
      if (count === 0) return undefined
      const chosen = count === rows.length ? undefined : out
      const batch: Batch = {
        length: count,
        columns: columns.map(column => column(rows, chosen, count)),
        selection: undefined,
      }
      return through(predicate === undefined ? batch : { ...batch, selection: predicate(batch) })
    },
  }
}

const passesWhole = ({ late }: CommittedRows, { fromUs, toUs }: TimeRange): boolean =>
  late === undefined && fromUs === -Infinity && toUs === Infinity

/** Leaves rows out that are late or not in the range; how many are left. */
function within(committed: CommittedRows, range: TimeRange, out: Uint32Array, count: number): number {
  if (passesWhole(committed, range)) return count
  const { fromUs, toUs } = range
  const { rows, late } = committed
  const { timeUs } = rows
  let kept = 0
  for (let k = 0; k < count; k++) {
    const row = out[k]!
    const at = timeUs[row]!
    if (at >= fromUs && at < toUs && (late === undefined || late[row] === 0)) out[kept++] = row
  }
  return kept
}

function withoutThose(
  { series, timeUs }: MetricRows,
  isElsewhere: (ordinal: number, timeUs: number) => boolean,
  out: Uint32Array,
  count: number,
): number {
  let kept = 0
  for (let k = 0; k < count; k++) {
    const row = out[k]!
    if (!isElsewhere(series[row]!, timeUs[row]!)) out[kept++] = row
  }
  return kept
}

const fieldPrefix = 'field.'

function columnMaker(name: string, type: ValueType, { catalog }: Pick<LiveContext, 'catalog'>): ColumnMaker {
  if (name === 'time') {
    const times = reusableNumbers()
    return ({ timeUs }, rows, length) => {
      const values = rows === undefined ? timeUs : gathered(timeUs, rows, length, times(length))
      return { type: 'timestamp', values, valid: undefined }
    }
  }
  if (isSeriesColumn(name)) {
    const column = seriesColumn(name, catalog)
    const ordinals = reusableCodes()
    return ({ series }, rows, length) =>
      column(rows === undefined ? series : gathered(series, rows, length, ordinals(length)), length)
  }
  assert(name.startsWith(fieldPrefix), `a scan has no column ${name}`)
  return fieldMaker(name.slice(fieldPrefix.length), type)
}

function fieldMaker(field: string, type: ValueType): ColumnMaker {
  const room = type === 'string' ? reusableCodes() : type === 'boolean' ? reusableBytes() : reusableNumbers()
  const masks = reusableBytes()
  const noValues = type === 'string' ? reusableCodes() : type === 'boolean' ? reusableBytes() : reusableNumbers()
  const noneValid = reusableBytes()
  return ({ fields }, rows, length) => {
    const found = fields.find(each => each.field.name === field)
    if (found === undefined) return columnOf(type, noValues(length), noneValid(length), noText)
    const { values, valid } = found
    if (rows === undefined) return columnOf(type, values, valid, textOf(found))
    return columnOf(
      type,
      gathered(values, rows, length, room(length)),
      valid && gathered(valid, rows, length, masks(length)),
      textOf(found),
    )
  }
}

const noText: Dictionary = { size: 0, at: () => '' }

const textOf = ({ strings }: FieldRows): Dictionary | undefined =>
  strings && { size: strings.length, at: code => strings[code]! }

function gathered<A extends Float64Array | Uint8Array | Uint32Array>(
  values: A,
  rows: Uint32Array,
  length: number,
  out: Float64Array | Uint8Array | Uint32Array,
): A {
  for (let k = 0; k < length; k++) out[k] = values[rows[k]!]!
  return out as A
}
