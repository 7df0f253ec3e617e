/**
 * In which order rows of a live query are shown. Events say what changed, not where it stands, so that whoever shows rows sorts
 * them: as `order by` says, where it names columns of the result, else as grouped and raw rows come: by time, then by the other
 * keys.
 *
 *   … order by max(usage) desc limit 5   ->   the column `max`, descending, then the keys
 */
import { compareUtf8 } from '../../lib/text.ts'
import type { Cell } from './cells.ts'
import type { LiveCells, LiveColumn } from './live-client.ts'

export interface OrderKey {
  readonly column: number
  readonly descending: boolean
  readonly nullsFirst: boolean
}

export const isTimeKey = ({ key, type }: LiveColumn): boolean => key && type === 'timestamp'

/** The columns by which rows are put in order, the first first. */
export function rowOrder(statement: string, columns: readonly LiveColumn[]): readonly OrderKey[] {
  const keys = [...columns.keys()].filter(index => columns[index]!.key)
  const times = keys.filter(index => isTimeKey(columns[index]!))
  const byKeys = [...times, ...keys.filter(index => !times.includes(index))].map(column => ({
    column,
    descending: false,
    nullsFirst: false,
  }))
  return [...statedOrder(statement, columns), ...byKeys]
}

/** Empty where the statement has no order, or one by something that is not in the result. */
function statedOrder(statement: string, columns: readonly LiveColumn[]): readonly OrderKey[] {
  const clause = orderClause(statement)
  if (clause === undefined) return []
  const found = partsOf(clause).map(part => orderKey(part, columns))
  return found.every(key => key !== undefined) ? found : []
}

/** What stands behind the last `order by` that is in no parentheses; without comments and texts. */
function orderClause(text: string): string | undefined {
  const statement = text.replaceAll(/'(?:[^']|'')*'|--[^\n]*|\/\*[\s\S]*?\*\//g, ' ')
  const flat = withoutNested(statement)
  const at = [...flat.matchAll(/\border\s+by\b/gi)].at(-1)
  if (at === undefined) return undefined
  const from = at.index + at[0].length
  const rest = flat.slice(from)
  const end = /\b(?:limit|offset)\b|;|$/i.exec(rest)!.index
  return statement.slice(from, from + end)
}

/** The same length; what is in parentheses is blank. */
function withoutNested(text: string): string {
  let depth = 0
  let flat = ''
  for (const character of text) {
    if (character === '(') depth++
    flat += depth === 0 ? character : ' '.repeat(character.length)
    if (character === ')') depth--
  }
  return flat
}

function partsOf(clause: string): string[] {
  const flat = withoutNested(clause)
  const parts: string[] = []
  let from = 0
  for (const { index } of flat.matchAll(/,|$/g)) {
    parts.push(clause.slice(from, index))
    from = index + 1
  }
  return parts
}

function orderKey(part: string, columns: readonly LiveColumn[]): OrderKey | undefined {
  const pattern = /^\s*(.*?)(?:\s+(asc|desc))?(?:\s+nulls\s+(first|last))?\s*$/is
  const [, expression = '', direction = 'asc', nulls] = pattern.exec(part) ?? []
  const column = /^\d+$/.test(expression) ? Number(expression) - 1 : columnCalled(expression, columns)
  if (columns[column] === undefined) return undefined
  const descending = direction.toLowerCase() === 'desc'
  const nullsFirst = nulls === undefined ? descending : nulls.toLowerCase() === 'first'
  return { column, descending, nullsFirst }
}

/** By its name or alias; a call by its function, which is what its column is called without an alias. */
function columnCalled(expression: string, columns: readonly LiveColumn[]): number {
  const name = expression.replaceAll('"', '')
  const found = columns.findIndex(column => column.name === name)
  const called = /^(\w+)\s*\(.*\)$/s.exec(expression)?.[1]?.toLowerCase()
  return found >= 0 || called === undefined ? found : columns.findIndex(column => column.name === called)
}

export function compareRows(columns: readonly LiveColumn[], order: readonly OrderKey[]) {
  return (a: LiveCells, b: LiveCells): number => {
    for (const { column, descending, nullsFirst } of order) {
      const [x, y] = [a[column] ?? null, b[column] ?? null]
      if (x === y) continue
      if (x === null || y === null) return (x === null) === nullsFirst ? -1 : 1
      const difference = compareCells(x, y, columns[column]!.type)
      if (difference !== 0) return descending ? -difference : difference
    }
    return 0
  }
}

function compareCells(a: Exclude<Cell, null>, b: Exclude<Cell, null>, type: string): number {
  if (typeof a === 'string' && typeof b === 'string') {
    // fewer digits come first, as in time, when the Z does not stand in their place
    if (type === 'timestamp') return compareUtf8(a.replace('Z', ''), b.replace('Z', ''))
    if (type === 'string') return compareUtf8(a, b)
  }
  // NaN and the infinities come as texts
  const [x, y] = [Number(a), Number(b)]
  return Number.isNaN(x) ? 1 : Number.isNaN(y) ? -1 : x - y
}
