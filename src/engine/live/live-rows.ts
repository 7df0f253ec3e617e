/** Live rows as programs see them: objects or arrays with a value for each column, hidden key columns among them. */
import type { LiveColumns, LiveRow } from '../../operators/live/types.ts'
import type { Value } from '../../types.ts'
import type { LiveRequestOptions } from './request.ts'
import type { LiveColumn } from './types.ts'

export type RowForm = `${NonNullable<LiveRequestOptions['rows']>} ${NonNullable<LiveRequestOptions['time']>}`
type Cell = Value | Date
export type FormedRow = Readonly<Record<string, Cell>> | readonly Cell[]

export const liveColumns = ({ schema, keys, selected }: LiveColumns): readonly LiveColumn[] =>
  schema.map((info, index) => ({ ...info, key: keys.includes(index), hidden: index >= selected }))

/** Rows are shared by all who are told of them: objects of one hidden class, or the very arrays where nothing has to change. */
export function formedRows({ schema }: LiveColumns, form: RowForm): (rows: readonly LiveRow[]) => readonly FormedRow[] {
  const [shape, time] = form.split(' ')
  const dates = schema.map(({ type }) => type === 'timestamp' && time === 'date')
  const cellOf = (row: LiveRow, index: number): Cell => {
    const value = row[index]!
    return dates[index] && value !== null ? new Date((value as number) / 1000) : value
  }
  if (shape === 'arrays') {
    if (!dates.includes(true)) return rows => rows
    return rows => rows.map(row => row.map((_, index) => cellOf(row, index)))
  }
  const names = schema.map(({ name }) => name)
  // assigning `__proto__`, a name like any other here, would set the prototype
  const isOrdinary = !names.includes('__proto__')
  const objectOf = (row: LiveRow): Record<string, Cell> => {
    const object: Record<string, Cell> = {}
    for (let index = 0; index < names.length; index++) {
      const value = cellOf(row, index)
      if (isOrdinary) object[names[index]!] = value
      else Object.defineProperty(object, names[index]!, { value, enumerable: true, configurable: true, writable: true })
    }
    return object
  }
  return rows => rows.map(objectOf)
}
