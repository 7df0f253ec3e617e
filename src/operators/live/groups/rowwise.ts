/** Filters and projections over groups, as functions of groups' rows; and what changed groups are to those who see them so. */
import type { Schema } from '../../../columnar/batch.ts'
import { BatchBuilder } from '../../../columnar/builder.ts'
import { valueAt } from '../../../columnar/value.ts'
import type { Kernels } from '../../../kernels/kernels.ts'
import type { FilterNode, ProjectNode } from '../../../sydraql/plan.ts'
import { keyRow, sameRow } from '../difference.ts'
import { compileSteps } from '../steps.ts'
import { type LiveColumns, type LiveDelta, type LiveRow, noChange } from '../types.ts'
import type { GroupChanges } from './cell.ts'

/** undefined: the row is filtered out, or there was none. */
export type Rowwise = (rows: readonly (LiveRow | undefined)[]) => readonly (LiveRow | undefined)[]

const batchRows = 8192

/** `steps` from below, over rows of this schema. */
export function rowwise(steps: readonly (FilterNode | ProjectNode)[], schema: Schema, kernels: Kernels): Rowwise {
  const columns = columnsOf(steps, schema)
  if (columns !== undefined) {
    const isSame = columns.length === schema.length && columns.every((column, i) => column === i)
    return isSame ? rows => rows : rows => rows.map(row => row && columns.map(column => row[column]!))
  }
  const through = compileSteps(steps, kernels)
  const builder = new BatchBuilder(schema)
  const some = (rows: readonly (LiveRow | undefined)[], out: (LiveRow | undefined)[], from: number): void => {
    const places: number[] = []
    builder.clear()
    rows.forEach((row, i) => {
      if (row === undefined) return
      places.push(from + i)
      builder.push(row)
    })
    if (places.length === 0) return
    const batch = through(builder.batch())
    if (batch === undefined) return
    const { selection } = batch
    const count = selection?.length ?? batch.length
    for (let k = 0; k < count; k++) {
      const row = selection === undefined ? k : selection[k]!
      out[places[row]!] = batch.columns.map(column => valueAt(column, row))
    }
  }
  return rows => {
    const out = new Array<LiveRow | undefined>(rows.length).fill(undefined)
    for (let from = 0; from < rows.length; from += batchRows) some(rows.slice(from, from + batchRows), out, from)
    return out
  }
}

/** Where the columns come from, if nothing is filtered or computed. */
function columnsOf(steps: readonly (FilterNode | ProjectNode)[], schema: Schema): readonly number[] | undefined {
  let columns = [...schema.keys()]
  let names = schema.map(({ name }) => name)
  for (const step of steps) {
    if (step.kind === 'filter') return undefined
    const next: number[] = []
    for (const [i, { expr }] of step.items.entries()) {
      const at = expr.kind === 'column' ? names.indexOf(expr.name) : -1
      if (at < 0 || expr.type !== step.schema[i]!.type) return undefined
      next.push(columns[at]!)
    }
    columns = next
    names = step.schema.map(({ name }) => name)
  }
  return columns
}

export function deltaOf(changes: GroupChanges, through: Rowwise, columns: LiveColumns): LiveDelta {
  if (changes.length === 0) return noChange
  const added: LiveRow[] = []
  const changed: LiveRow[] = []
  const removed: LiveRow[] = []
  const before = through(changes.before)
  const after = through(changes.after)
  for (let i = 0; i < changes.length; i++) {
    const [old, now] = [before[i], after[i]]
    if (now === undefined) {
      if (old !== undefined) removed.push(keyRow(old, columns))
    } else if (old === undefined) added.push(now)
    else if (!sameRow(old, now)) changed.push(now)
  }
  return { added, changed, removed }
}
