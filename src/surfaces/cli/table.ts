/**
 * Results as tables for people, with a sparkline under each column of values. Rows are printed in pages of `pageRowsMax`,
 * so that a long result streams; only a result of one page has sparklines.
 */
import { Readable } from 'node:stream'
import Table from 'cli-table3'
import { parse } from 'ndjson'
import { SydraError } from '../../lib/errors.ts'
import { type Cell, showColumn } from './cells.ts'
import { sparkline } from './sparkline.ts'
import { fromWire, type WireError } from './wire-error.ts'

const pageRowsMax = 1000
const sparkRowsMin = 3

export interface ColumnHead {
  readonly name: string
  readonly type: string
}
/** A line of a result: a row, or one of the result's own, whose one member is never a cell. */
interface Line extends Readonly<Record<string, unknown>> {
  readonly columns?: unknown
  readonly stats?: unknown
  readonly error?: unknown
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null
export const isNumeric = (column: ColumnHead): boolean => ['float', 'integer', 'duration'].includes(column.type)

/** Reads a result as NDJSON text and writes tables. Throws the error that ended the result. */
export async function writeTable(
  text: AsyncIterable<Uint8Array>,
  write: (text: string) => Promise<void>,
  color: boolean,
): Promise<void> {
  let columns: readonly ColumnHead[] = []
  let rows: Line[] = []
  let pages = 0
  let ending: { readonly failure: SydraError | undefined } | undefined

  const lines = Readable.from(text, { objectMode: false })
  const parsed = lines.pipe(parse({ strict: true }))
  lines.on('error', error => parsed.destroy(error))
  for await (const line of parsed as AsyncIterable<Line>) {
    if (isObject(line.columns)) columns = line.columns as readonly ColumnHead[]
    else if (isObject(line.stats)) ending = { failure: undefined }
    else if (isObject(line.error)) ending = { failure: fromWire(line.error as WireError) }
    else {
      if (rows.length === pageRowsMax) {
        await write(page(columns, rows, false, color))
        rows = []
        pages++
      }
      rows.push(line)
    }
  }
  if (rows.length > 0 || pages === 0) await write(page(columns, rows, pages === 0, color))
  if (ending === undefined) throw new SydraError('truncated_body', 'the result is cut short')
  if (ending.failure !== undefined) throw ending.failure
}

function page(columns: readonly ColumnHead[], rows: readonly Line[], withSparks: boolean, color: boolean): string {
  const cells = columns.map(({ name }) => rows.map(row => (row[name] ?? null) as Cell))
  const shown = columns.map(({ type }, index) => showColumn(type, cells[index]!))
  const lines = rows.map((_, row) => shown.map(column => column[row]!))
  if (withSparks) lines.push(...sparkLine(columns, cells))
  return `${drawTable(columns, lines, color)}\n`
}

/** Texts as a table; numbers to the right. */
export function drawTable(
  columns: readonly ColumnHead[],
  lines: readonly (readonly string[])[],
  color: boolean,
): string {
  const table = new Table({
    head: showColumn(
      'string',
      columns.map(({ name }) => name),
    ),
    colAligns: columns.map(column => (isNumeric(column) ? 'right' : 'left')),
    style: { head: color ? ['cyan'] : [], border: color ? ['grey'] : [], compact: true },
  })
  for (const line of lines) table.push([...line])
  return table.toString()
}

/** The line under the columns of values, if it has anything to show. */
export function sparkLine(columns: readonly ColumnHead[], cells: readonly (readonly Cell[])[]): string[][] {
  if ((cells[0]?.length ?? 0) < sparkRowsMin) return []
  const sparks = columns.map((column, index) => spark(column, cells[index]!, index === 0))
  return sparks.some(each => each !== '') ? [sparks] : []
}

/** A first column that only rises is what the rows are ordered by (an hour of the day): its line would say nothing. */
function spark(column: ColumnHead, cells: readonly Cell[], isFirst: boolean): string {
  if (!isNumeric(column)) return ''
  const values = cells.map(cell => (typeof cell === 'number' ? cell : null))
  const rises = values.every((value, row) => value !== null && (row === 0 || value > values[row - 1]!))
  return isFirst && rises ? '' : sparkline(values)
}
