/**
 * Rows of a metric that come as the events of a live query, as text.
 *
 *   lines    time                         tag.host  value       columns grow as wider values come
 *            2024-03-01 00:00:02.123456Z  a          1.25
 *   ndjson   {"time":"2024-03-01T00:00:02Z","tag.host":"a","value":1.25}
 *   csv      RFC 4180, with a header whenever the columns are others
 *
 * Invariants:
 * 1. Hidden columns are not printed.
 * 2. Of a snapshot that is not the first, only rows are printed that are later than any that was.
 */
import { type Cell, showColumn } from './cells.ts'
import { dataOf, type LiveCells, type LiveColumn, type LiveMessage } from './live-client.ts'
import { note } from './output.ts'
import { isNumeric } from './table.ts'

export type TailFormat = 'lines' | 'ndjson' | 'csv'

/** Writes rows of the columns it was made for. */
type RowWriter = (rows: readonly LiveCells[]) => string

/**
 * @example
 * const rows = new TailRows('csv')
 * for await (const message of messages) process.stdout.write(rows.take(message))
 */
export class TailRows {
  readonly #format: TailFormat
  #columns: readonly LiveColumn[] = []
  #write: RowWriter = () => ''
  #timeColumn = -1
  /** Of all rows that were printed. */
  #newest = ''
  /** A snapshot that is not the first has rows again that were printed before. */
  #printsAfter = ''

  constructor(format: TailFormat) {
    this.#format = format
  }

  /** The text of the rows that the message brings; empty: none. */
  take(message: LiveMessage): string {
    const told = dataOf(message)
    switch (message.event) {
      case 'snapshot':
        this.#begin(told.columns ?? [])
        return this.#print(told.rows)
      case 'rows':
        return this.#print(told.rows)
      case 'snapshot_end':
        this.#printsAfter = ''
        return ''
      case 'delta':
        return this.#print(told.added) + this.#print(told.changed)
      case 'lagged':
        note(`rows may be missing here: ${told.reason}`)
        return ''
      default:
        return ''
    }
  }

  #begin(columns: readonly LiveColumn[]): void {
    this.#printsAfter = this.#newest
    const signature = (some: readonly LiveColumn[]): string => JSON.stringify(some)
    if (signature(columns) === signature(this.#columns)) return
    this.#columns = columns
    this.#timeColumn = columns.findIndex(({ name }) => name === 'time')
    const shown = [...columns.keys()].filter(index => !columns[index]!.hidden)
    const write = writers[this.#format](shown.map(index => columns[index]!))
    this.#write = rows => write(rows.map(row => shown.map(index => row[index]!)))
  }

  #print(rows: readonly LiveCells[] = []): string {
    const fresh = this.#printsAfter === '' ? rows : rows.filter(row => this.#timeOf(row) > this.#printsAfter)
    for (const row of fresh) if (this.#timeOf(row) > this.#newest) this.#newest = this.#timeOf(row)
    return fresh.length === 0 ? '' : this.#write(fresh)
  }

  /** Sorts as time does, with as many digits as there are, when the Z does not stand in their place. */
  #timeOf(row: LiveCells): string {
    return String(row[this.#timeColumn] ?? '').replace('Z', '')
  }
}

const writers: Readonly<Record<TailFormat, (columns: readonly LiveColumn[]) => RowWriter>> = {
  lines(columns) {
    const widths = columns.map(() => 0)
    let isNew = true
    return rows => {
      const cells = columns.map(({ type }, index) =>
        showColumn(
          type,
          rows.map(row => row[index]!),
        ),
      )
      const heads = isNew
        ? showColumn(
            'string',
            columns.map(({ name }) => name),
          )
        : []
      isNew = false
      const texts = columns.map((_, index) => [...heads.slice(index, index + 1), ...cells[index]!])
      for (const [index, column] of texts.entries())
        for (const text of column) widths[index] = Math.max(widths[index]!, text.length)
      const line = (_: unknown, at: number): string =>
        columns
          .map((column, index) => {
            const text = texts[index]![at]!
            return isNumeric(column) ? text.padStart(widths[index]!) : text.padEnd(widths[index]!)
          })
          .join('  ')
          .trimEnd()
      return texts[0]!.map(line).join('\n').concat('\n')
    }
  },
  ndjson: columns => rows =>
    rows
      .map(row => `{${columns.map(({ name }, index) => `${JSON.stringify(name)}:${JSON.stringify(row[index])}`)}}\n`)
      .join(''),
  csv(columns) {
    let head = `${columns.map(({ name }) => csvCell(name))}\r\n`
    return rows => {
      const text = head + rows.map(row => `${row.map(csvCell)}\r\n`).join('')
      head = ''
      return text
    }
  },
}

/** As the texts of results have it: null is empty, an empty text is quoted, and what begins like a comment. */
function csvCell(cell: Cell): string {
  if (typeof cell !== 'string') return cell === null ? '' : String(cell)
  return cell === '' || cell.startsWith('#') || /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell
}
