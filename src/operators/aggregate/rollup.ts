/**
 * Aggregation from rollups: rows of buckets, whose counts, sums and extremes are added to the groups they fall into.
 *
 *   rollup rows [series, bucket start, v#count, v#sum …]  ->  group of (series, query bucket)  ->  states
 *
 * Only the columns that the functions ask for are read. Arguments are bare fields (`plan-rollup.ts` sees to it).
 */
import { assert } from '../../lib/assert.ts'
import type { NumberColumn } from '../../storage/rollup/columns.ts'
import { columnField, rowsField } from '../../storage/rollup/columns.ts'
import type { FieldBuffer, RowBuffer } from '../../storage/row-buffer.ts'
import type { FieldInfo, MetricInfo } from '../../storage/types.ts'
import type { Expr } from '../../sydraql/expression.ts'
import { reusableCodes } from '../functions/evaluator.ts'
import type { Aggregator, Slot } from './aggregator.ts'
import { EarliestState } from './earliest.ts'
import type { PartOfSeries } from './runs.ts'
import { CountState, SummaryState } from './summary.ts'

/** Columns that a function of one argument needs, beside the count. */
const columnsOf: Readonly<Record<string, readonly NumberColumn[]>> = {
  count: [],
  sum: ['sum'],
  avg: ['sum'],
  min: ['nan', 'min', 'max'],
  max: ['nan', 'min', 'max'],
  spread: ['nan', 'min', 'max'],
  first: ['first', 'first_at'],
  last: ['last', 'last_at'],
}

/** What a slot reads: where its columns are among those read. */
interface Question {
  readonly slot: Slot
  readonly places: Partial<Record<NumberColumn | 'rows', number>>
}

export interface RollupFold {
  /** The metric whose rows are buckets, with the columns to read. */
  readonly metric: MetricInfo
  /** Adds rows of it to their groups. */
  add(rows: RowBuffer): void
}

export interface FoldTarget {
  readonly aggregator: Aggregator
  readonly partOf: PartOfSeries
  /** What is said over the aggregation's input, said over the scan's columns. */
  said(expr: Expr): Expr
}

export function rollupFold({ aggregator, partOf, said }: FoldTarget, { id, name, fields }: MetricInfo): RollupFold {
  const columns: FieldInfo[] = []
  const placeOf = (column: FieldInfo): number => {
    const known = columns.findIndex(each => each.name === column.name)
    return known < 0 ? columns.push(column) - 1 : known
  }
  const questions: Question[] = []
  aggregator.outputs.forEach(({ slot }, i) => {
    const { function: called, args } = aggregator.node.aggregates[i]!
    const [over] = args
    let question = questions.find(each => each.slot === slot)
    if (question === undefined) questions.push((question = { slot, places: {} }))
    const { places } = question
    if (over === undefined) {
      places.rows = placeOf(rowsField)
      return
    }
    const argument = fieldName(said(over))
    // Always null: there is nothing to add.
    if (argument === undefined) return
    const field = fields.find(info => info.name === argument)
    assert(field !== undefined, `${name} has a field ${argument}`)
    for (const column of ['count', ...columnsOf[called]!] as const)
      places[column] = placeOf(columnField(field, column, columns.length))
  })
  const groupsOf = groupFinder(aggregator, partOf)
  return {
    metric: { id, name, fields: columns },
    add(rows) {
      const groups = groupsOf(rows)
      aggregator.reserve()
      for (const question of questions) addTo(question, groups, rows, aggregator)
    },
  }
}

function fieldName(expr: Expr): string | undefined {
  const bare = expr.kind === 'call' ? expr.args[0]! : expr
  return bare.kind === 'column' ? bare.name.slice('field.'.length) : undefined
}

/** The group of each row. Rows come by series, then time, from one piece after another. */
function groupFinder({ bucket, table }: Aggregator, partOf: PartOfSeries): (rows: RowBuffer) => Uint32Array {
  const groups = reusableCodes()
  return ({ series, timeUs, length }) => {
    const found = groups(length)
    let ordinal = -1
    let part = 0
    let group = 0
    let startUs = Infinity
    let endUs = -Infinity
    for (let row = 0; row < length; row++) {
      const time = timeUs[row]!
      const isSame = series[row] === ordinal
      if (!isSame) {
        ordinal = series[row]!
        part = partOf(ordinal)
      }
      if (!isSame || time >= endUs || time < startUs) {
        startUs = bucket === undefined ? -Infinity : bucket.functions.floor(time)
        endUs = bucket === undefined ? Infinity : bucket.functions.next(startUs)
        group = table.group(part, bucket === undefined ? 0 : startUs)
      }
      found[row] = group
    }
    return found
  }
}

function addTo({ slot, places }: Question, groups: Uint32Array, rows: RowBuffer, aggregator: Aggregator): void {
  const { state, kind } = slot
  const { length } = rows
  const column = (name: keyof typeof places): FieldBuffer | undefined =>
    places[name] === undefined ? undefined : rows.fields[places[name]]
  const counts = column('rows') ?? column('count')
  if (counts === undefined) return
  if (state instanceof CountState) {
    for (let row = 0; row < length; row++)
      if (counts.valid[row] === 1) state.addCount(groups[row]!, counts.values[row]!)
  } else if (state instanceof SummaryState) {
    state.addSummaries(groups, length, {
      valid: counts.nulls ? counts.valid : undefined,
      counts: counts.values as Float64Array,
      nans: column('nan'),
      mins: column('min')?.values as Float64Array | undefined,
      maxs: column('max')?.values as Float64Array | undefined,
      sums: column('sum')?.values as Float64Array | undefined,
    })
  } else {
    assert(state instanceof EarliestState && (kind === 'first' || kind === 'last'), 'rollups answer this')
    const values = column(kind)!.values
    const offsets = column(`${kind}_at`)!.values
    for (let row = 0; row < length; row++) {
      if (counts.valid[row] === 0) continue
      state.addKnown(groups[row]!, values[row]!, rows.timeUs[row]! + offsets[row]!, rows.series[row]!, aggregator)
    }
  }
}
