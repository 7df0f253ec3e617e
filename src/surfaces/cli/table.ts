/**
 * Results as tables for people: numbers to the right, times short, and under a table of one page a sparkline per number
 * column. Rows are printed in pages of `pageRowsMax`, so that a long result streams.
 */
import { Readable } from 'node:stream'
import Table from 'cli-table3'
import { parse } from 'ndjson'
import { type ErrorCode, SydraError } from '../../lib/errors.ts'

const pageRowsMax = 1000
const sparkWidthMax = 24
const sparkRowsMin = 3

type Cell = string | number | boolean | null
interface ColumnHead {
  readonly name: string
  readonly type: string
}
interface WireError {
  readonly code: ErrorCode
  readonly message: string
  readonly hint?: string
}
type Line =
  | { readonly columns: readonly ColumnHead[] }
  | { readonly stats: unknown }
  | { readonly error: WireError }
  | Readonly<Record<string, Cell>>

const isNumeric = (column: ColumnHead): boolean => ['float', 'integer', 'duration'].includes(column.type)

/** The eight-step block line of a sequence; nulls are gaps. Longer ones are averaged down to `width`. */
export function sparkline(values: readonly (number | null)[], width = sparkWidthMax): string {
  const points = values.length <= width ? values : resample(values, width)
  const known = points.filter((value): value is number => value !== null && Number.isFinite(value))
  const low = Math.min(...known)
  const span = Math.max(...known) - low
  return points
    .map(value => {
      if (value === null || !Number.isFinite(value)) return ' '
      return '▁▂▃▄▅▆▇█'[span === 0 ? 3 : Math.round(((value - low) / span) * 7)]
    })
    .join('')
}

function resample(values: readonly (number | null)[], width: number): (number | null)[] {
  return Array.from({ length: width }, (_, step) => {
    const part = values
      .slice(Math.floor((step * values.length) / width), Math.floor(((step + 1) * values.length) / width))
      .filter((value): value is number => value !== null)
    return part.length === 0 ? null : part.reduce((sum, value) => sum + value, 0) / part.length
  })
}

/** Midnight is a date alone; the rest is as the server wrote it, with a space for the `T`. */
function shortTime(text: string): string {
  return text.replace(/T00:00:00Z$/, '').replace('T', ' ')
}

function show(cell: Cell, column: ColumnHead): string {
  if (cell === null) return ''
  if (column.type === 'timestamp' && typeof cell === 'string') return shortTime(cell)
  if (column.type === 'float' && typeof cell === 'number' && !Number.isInteger(cell)) {
    // Four significant digits after the point's scale are enough for eyes; other formats print every digit.
    return String(Number(cell.toFixed(Math.max(2, 4 - Math.floor(Math.log10(Math.abs(cell)))))))
  }
  return String(cell)
}

function page(
  columns: readonly ColumnHead[],
  rows: readonly (readonly Cell[])[],
  sparks: readonly string[],
  color: boolean,
): string {
  const table = new Table({
    head: columns.map(column => column.name),
    colAligns: columns.map(column => (isNumeric(column) ? 'right' : 'left')),
    style: { head: color ? ['cyan'] : [], border: color ? ['grey'] : [], compact: true },
  })
  for (const row of rows) table.push(row.map((cell, index) => show(cell, columns[index]!)))
  if (sparks.some(spark => spark !== '')) table.push([...sparks])
  return `${table.toString()}\n`
}

/** Cells are never objects, so a line whose one member is an object is the result's own. */
const isControl = (line: Line, key: 'columns' | 'stats' | 'error'): boolean => {
  const value = (line as unknown as Record<string, unknown>)[key]
  return typeof value === 'object' && value !== null
}

/** Reads a result as NDJSON text and writes tables; returns the rows shown. Throws the error that ended the result. */
export async function writeTable(
  text: AsyncIterable<Uint8Array>,
  write: (text: string) => Promise<void>,
  color: boolean,
): Promise<number> {
  let columns: readonly ColumnHead[] = []
  let rows: Cell[][] = []
  let total = 0
  let failure: WireError | undefined

  for await (const line of Readable.from(text).pipe(parse({ strict: true })) as unknown as AsyncIterable<Line>) {
    if (isControl(line, 'columns')) {
      columns = (line as { columns: readonly ColumnHead[] }).columns
    } else if (isControl(line, 'error')) {
      failure = (line as { error: WireError }).error
    } else if (!isControl(line, 'stats')) {
      if (rows.length === pageRowsMax) {
        await write(page(columns, rows, [], color))
        rows = []
      }
      rows.push(columns.map(column => (line as Record<string, Cell>)[column.name] ?? null))
      total++
    }
  }
  if (rows.length > 0 || total === 0) {
    const sparks =
      total >= sparkRowsMin && total <= pageRowsMax ? columns.map((column, index) => spark(column, index, rows)) : []
    await write(page(columns, rows, sparks, color))
  }
  if (failure !== undefined) throw new SydraError(failure.code, failure.message, { hint: failure.hint })
  return total
}

function spark(column: ColumnHead, index: number, rows: readonly (readonly Cell[])[]): string {
  if (!isNumeric(column)) return ''
  return sparkline(rows.map(row => (typeof row[index] === 'number' ? row[index] : null)))
}
