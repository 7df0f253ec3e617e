/**
 * What `sydradb watch` shows of a board, as lines:
 *
 *   select time_bucket(1m, time) as minute, avg(usage) from cpu group by minute
 *   groups · 12 rows · lsn 4711 · newest 2024-03-01 00:00:02Z · live
 *   ┌──────────────────────┬───────┐
 *   │ minute               │   avg │
 *   ├──────────────────────┼───────┤
 *   │ 2024-03-01 00:00:00Z │  1.25 │
 *   …
 *
 * Rows in time have the line of their numbers below them; rows of several groups, and rows without a time, have the past of
 * their own before each number. Of rows in time the latest are shown, of others the first.
 */
import { styleText } from 'node:util'
import { type Cell, showColumn } from './cells.ts'
import { sparkline } from './sparkline.ts'
import { type ColumnHead, drawTable, isNumeric, sparkLine } from './table.ts'
import type { Board, BoardRow } from './watch-board.ts'
import type { ScreenSize } from './watch-screen.ts'

export interface FrameOptions {
  readonly statement: string
  /** Why there is no connection; undefined: there is. */
  readonly interruption: string | undefined
  readonly color: boolean
}

/** Two lines of head, the table's borders and names, the line of sparks, and how many rows are not shown. */
const otherLines = 8
const rowsMin = 3
const pastMin = 2

export function frameOf(board: Board, { rows: height }: ScreenSize, options: FrameOptions): string[] {
  const styled = (style: Parameters<typeof styleText>[0], text: string): string =>
    options.color ? styleText(style, text, { validateStream: false }) : text
  const rows = board.rows()
  const [statement = ''] = showColumn('string', [options.statement.replaceAll(/\s+/g, ' ').trim()])
  const lines = [styled('bold', statement), styled(statusStyle(board, options), statusOf(board, rows.length, options))]
  if (board.strategy === undefined) return lines

  const room = Math.max(rowsMin, height - otherLines)
  const shown = board.isInTime ? rows.slice(-room) : rows.slice(0, room)
  const hidden = rows.length - shown.length
  lines.push(...tableOf(board, shown, options.color))
  if (hidden > 0)
    lines.push(styled('dim', `${hidden.toLocaleString('en')} ${board.isInTime ? 'before these' : 'more'}`))
  return lines
}

function tableOf(board: Board, rows: readonly BoardRow[], color: boolean): string[] {
  const selected = [...board.columns.keys()].filter(index => !board.columns[index]!.hidden)
  const heads: ColumnHead[] = selected.map(index => board.columns[index]!)
  const cells = selected.map(index => rows.map(row => row.cells[index] ?? null))
  const isOneGroup = board.columns.every(({ key, type }) => !key || type === 'timestamp')
  const hasPast = !(board.isInTime && isOneGroup)
  const shown = selected.map((index, at) => {
    const { type, key } = board.columns[index]!
    const texts = showColumn(type, cells[at]!)
    const withPast = hasPast && !key && isNumeric(heads[at]!)
    return withPast ? rows.map((row, line) => `${pastOf(row.past[index]!)} ${texts[line]!}`) : texts
  })
  const counts: Cell[] = rows.map(({ count }) => count)
  if (rows.some(({ count }) => count > 1)) {
    heads.push({ name: '×', type: 'integer' })
    shown.push(counts.map(String))
    cells.push(counts)
  }
  const table = rows.map((_, line) => shown.map(column => column[line]!))
  if (!hasPast) table.push(...sparkLine(heads, cells))
  return drawTable(heads, table, color).split('\n')
}

const pastOf = (numbers: readonly (number | null)[]): string => (numbers.length < pastMin ? '' : sparkline(numbers))

function statusOf({ strategy, lsn, watermark, lagged }: Board, rows: number, { interruption }: FrameOptions): string {
  const state =
    interruption !== undefined
      ? `reconnecting: ${interruption}`
      : lagged !== undefined
        ? `${reasons[lagged] ?? lagged}, reading it again`
        : 'live'
  if (strategy === undefined) return interruption === undefined ? 'waiting for the first answer' : state
  const newest = watermark === undefined ? [] : [`newest ${showColumn('timestamp', [watermark])[0]}`]
  const count = rows === 1 ? '1 row' : `${rows.toLocaleString('en')} rows`
  return [strategy, count, `lsn ${lsn}`, ...newest, state].join(' · ')
}

const statusStyle = ({ lagged }: Board, { interruption }: FrameOptions): 'yellow' | 'dim' =>
  interruption !== undefined || lagged !== undefined ? 'yellow' : 'dim'

const reasons: Readonly<Record<string, string>> = {
  lagged: 'behind',
  not_resumable: 'too long away',
  restored: 'restored',
  schema: 'other columns',
}
