/**
 * The columns of a rollup: what a bucket says of each field of its rows.
 *
 *   temp, note  ->  #rows  temp#count temp#nan temp#sum temp#min temp#max temp#first temp#first_at temp#last temp#last_at
 *                   note#count
 *
 * Invariants:
 * 1. A column's name is the field's, `#`, and a word without `#`: whatever a field is called, no two columns collide.
 * 2. All columns of a field are null in a bucket without a value of it; `#nan` also where no value is NaN.
 */
import type { FieldInfo, FieldType, MetricInfo } from '../types.ts'

/** Offsets `first_at` and `last_at` are µs from the bucket's start. */
export const numberColumns = ['count', 'nan', 'sum', 'min', 'max', 'first', 'first_at', 'last', 'last_at'] as const
export type NumberColumn = (typeof numberColumns)[number]

export const rowsColumn = '#rows'
export const columnName = (field: string, column: NumberColumn): string => `${field}#${column}`

export const isNumeric = (type: FieldType): boolean => type === 'float' || type === 'integer'

const typeOf = (column: NumberColumn, { type }: FieldInfo): FieldType => {
  if (column === 'sum') return 'float'
  return column === 'min' || column === 'max' || column === 'first' || column === 'last' ? type : 'integer'
}

export const columnField = (field: FieldInfo, column: NumberColumn, id: number): FieldInfo => ({
  id,
  name: columnName(field.name, column),
  type: typeOf(column, field),
})

export const rowsField: FieldInfo = { id: 0, name: rowsColumn, type: 'integer' }

/** The metric whose rows are the buckets of rows with these fields. */
export function rollupMetric({ id, name }: MetricInfo, fields: readonly FieldInfo[]): MetricInfo {
  const columns = [rowsField]
  for (const field of fields) {
    const wanted = isNumeric(field.type) ? numberColumns : (['count'] as const)
    for (const column of wanted) columns.push(columnField(field, column, columns.length))
  }
  return { id, name, fields: columns }
}
