/** What `watch` keeps and shows, without a terminal. */
import { EventEmitter } from 'node:events'
import { describe, expect, test } from 'vitest'
import type { LiveMessage } from '../../../src/surfaces/cli/live-client.ts'
import { Board, boardRowsMax } from '../../../src/surfaces/cli/watch-board.ts'
import { frameOf } from '../../../src/surfaces/cli/watch-frame.ts'
import { openScreen } from '../../../src/surfaces/cli/watch-screen.ts'

const message = (event: string, data: object): LiveMessage => ({ event, id: 'x.1.0', data: JSON.stringify(data) })
const column = (name: string, type: string, key = false, hidden = false) => ({ name, type, key, hidden })
const minute = (at: number, digits = '') => `2024-03-01T00:0${at}:00${digits}Z`

const byMinute = [column('minute', 'timestamp', true), column('avg', 'float')]
const byMinuteAndHost = [column('t', 'timestamp', true), column('host', 'string', true), column('avg', 'float')]

function boardOf(columns: readonly object[], rows: readonly unknown[][], strategy = 'groups', statement = ''): Board {
  const board = new Board(statement)
  board.apply(message('snapshot', { lsn: 7, strategy, columns, rows }))
  board.apply(message('snapshot_end', { lsn: 7, rows: rows.length }))
  return board
}
const cellsOf = (board: Board) => board.rows().map(({ cells }) => cells)
const shown = (board: Board, rows = 24, more: { interruption?: string } = {}) =>
  frameOf(
    board,
    { columns: 80, rows },
    { statement: 'select 1\n  from x', interruption: undefined, color: false, ...more },
  )

describe('a board', () => {
  test('applies deltas by key; rows come by time, then by the other keys, nulls last', () => {
    const board = boardOf(byMinuteAndHost, [
      [minute(1), 'b', 1],
      [minute(1), null, 2],
    ])
    board.apply(
      message('delta', {
        lsn: 9,
        added: [
          [minute(1), 'ä', 3],
          [minute(1, '.5'), 'a', 4],
          [minute(0), 'z', 5],
        ],
        changed: [[minute(1), 'b', 'NaN']],
        removed: [[minute(1), null, null]],
      }),
    )
    expect(cellsOf(board)).toEqual([
      [minute(0), 'z', 5],
      [minute(1), 'b', 'NaN'],
      [minute(1), 'ä', 3],
      [minute(1, '.5'), 'a', 4],
    ])
    expect(board.lsn).toBe(9)
  })

  test('puts rows in the order that the statement says', () => {
    const columns = [column('host', 'string', true), column('max', 'float'), column('n', 'integer')]
    const rows = [
      ['a', 1, 5],
      ['b', null, 4],
      ['c', 9, 4],
      ['d', 9, 6],
    ]
    const hostsBy = (order: string) =>
      cellsOf(boardOf(columns, rows, 'top', `select max(x) from (select x from y order by z) a ${order}`))
        .map(cells => cells[0])
        .join('')
    expect(hostsBy('')).toBe('abcd')
    expect(hostsBy('order by max(x) desc, n limit 5')).toBe('bcda')
    expect(hostsBy('ORDER BY MAX(coalesce(x, 1)) DESC NULLS LAST, "n" Desc')).toBe('dcab')
    expect(hostsBy('order by 3 desc offset 1')).toBe('dabc')
    expect(hostsBy("order /* by n desc */ by host desc -- limit 'order by n'")).toBe('dcba')
    // not in the result
    expect(hostsBy('order by avg(x) desc, n')).toBe('abcd')
    expect(shown(boardOf(byMinute, [], 'tail', 'select minute from x order by minute desc'))[1]).toMatch(/^tail/)
  })

  test('keeps the rows before while a snapshot comes in, and knows that it lags', () => {
    const board = boardOf(byMinute, [[minute(0), 1]])
    board.apply(message('lagged', { lsn: 8, reason: 'restored' }))
    board.apply(message('snapshot', { lsn: 9, strategy: 'rerun', columns: [column('n', 'integer')], rows: [[5]] }))
    expect(cellsOf(board)).toEqual([[minute(0), 1]])
    expect(shown(board)[1]).toBe('groups · 1 row · lsn 8 · restored, reading it again')
    board.apply(message('snapshot_end', { lsn: 9, rows: 1 }))
    board.apply(message('progress', { lsn: 12, watermark: minute(3) }))
    expect(cellsOf(board)).toEqual([[5]])
    expect(shown(board)[1]).toBe('rerun · 1 row · lsn 12 · newest 2024-03-01 00:03:00Z · live')
  })

  test('counts equal rows where all columns are the key', () => {
    const board = boardOf([column('host', 'string', true)], [['a'], ['a'], ['b']], 'rerun')
    board.apply(message('delta', { lsn: 8, added: [['b'], ['b']], changed: [], removed: [['a']] }))
    expect(board.rows().map(({ cells, count }) => [cells[0], count])).toEqual([
      ['a', 1],
      ['b', 3],
    ])
    expect(shown(board).join('\n')).toContain('│ b    │ 3 │')
  })

  test('forgets the oldest of ever more rows', () => {
    const rows = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, i) => [new Date((from + i) * 1000).toISOString(), from + i])
    const board = boardOf(byMinute, rows(0, boardRowsMax))
    board.apply(message('delta', { lsn: 8, added: rows(boardRowsMax, 2 * boardRowsMax + 1), changed: [], removed: [] }))
    expect(board.rows().length).toBe(boardRowsMax)
    expect(board.rows().at(-1)!.cells[1]).toBe(2 * boardRowsMax)
  })
})

describe('a frame', () => {
  test('has the line of the numbers below rows in time', () => {
    const rows = [1, 2, 9].map((value, at) => [minute(at), value])
    expect(shown(boardOf(byMinute, rows))).toEqual([
      'select 1 from x',
      'groups · 3 rows · lsn 7 · live',
      '┌──────────────────────┬─────┐',
      '│ minute               │ avg │',
      '├──────────────────────┼─────┤',
      '│ 2024-03-01 00:00:00Z │   1 │',
      '│ 2024-03-01 00:01:00Z │   2 │',
      '│ 2024-03-01 00:02:00Z │   9 │',
      '│                      │ ▁▂█ │',
      '└──────────────────────┴─────┘',
    ])
  })

  test('has the past of each group before its numbers', () => {
    const rows = [0, 1, 2].flatMap(at => [
      [minute(at), 'a', at],
      [minute(at), 'b', 5],
    ])
    const lines = shown(boardOf(byMinuteAndHost, rows))
    expect(lines.slice(5, -1).map(line => line.slice(24))).toEqual([
      ' a    │     0 │',
      ' b    │     5 │',
      ' a    │  ▁█ 1 │',
      ' b    │  ▄▄ 5 │',
      ' a    │ ▁▅█ 2 │',
      ' b    │ ▄▄▄ 5 │',
    ])
  })

  test('has the past of a row that has no time', () => {
    const board = boardOf([column('host', 'string', true, true), column('max', 'float')], [['a', 1]])
    for (const value of [2, 9]) {
      board.apply(message('delta', { lsn: 8, added: [], changed: [['a', value]], removed: [] }))
    }
    expect(shown(board)[5]).toBe('│ ▁▂█ 9 │')
  })

  test('shows the latest rows that fit, or the first where they have no time', () => {
    const inTime = shown(
      boardOf(
        byMinute,
        Array.from({ length: 10 }, (_, at) => [minute(at), at]),
      ),
      12,
    )
    expect(inTime.slice(5, -3).map(line => /:(\d\d):/.exec(line)![1])).toEqual(['06', '07', '08', '09'])
    expect(inTime.at(-1)).toBe('6 before these')
    expect(inTime).toHaveLength(12)
    const hosts = boardOf(
      [column('host', 'string', true), column('n', 'integer')],
      Array.from({ length: 10 }, (_, at) => [`h${at}`, at]),
    )
    expect(shown(hosts, 12).join()).toMatch(/h3[^h]*6 more$/)
  })

  test('says what it waits for, and escapes what would steer the terminal', () => {
    expect(shown(new Board(''))).toEqual(['select 1 from x', 'waiting for the first answer'])
    expect(shown(new Board(''), 24, { interruption: 'gone' })[1]).toBe('reconnecting: gone')
    const board = boardOf([column('a\u001b[2J', 'string', true)], [['\u001b[31m']])
    expect(shown(board).join()).not.toContain('\u001b')
  })
})

describe('a screen', () => {
  class FakeTerminal extends EventEmitter {
    columns = 40
    rows = 3
    text = ''
    readonly pending: (() => void)[] = []
    write(text: string, done?: () => void): boolean {
      this.text += text
      if (done !== undefined) this.pending.push(done)
      return true
    }
    take(): string {
      const { text } = this
      this.text = ''
      for (const done of this.pending.splice(0)) done()
      return text
    }
  }
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await new Promise(resolve => setTimeout(resolve, 5))
  }

  test('draws into the alternate screen, for the size there is, and leaves it', async () => {
    const terminal = new FakeTerminal()
    const before = process.listenerCount('exit')
    const screen = openScreen(terminal, ({ columns, rows }) => [`${columns}x${rows}`, 'b', 'c', 'd'])
    const first = terminal.take()
    expect(first.startsWith('\u001b[?1049h')).toBe(true)
    expect(first).toContain('40x3\u001b[K\r\nb\u001b[K\r\nc\u001b[K\u001b[J')
    terminal.columns = 20
    terminal.emit('resize')
    await until(() => terminal.text !== '')
    expect(terminal.text).toContain('20x3')
    screen.close()
    screen.close()
    expect(terminal.take().endsWith('\u001b[?7h\u001b[?25h\u001b[?1049l')).toBe(true)
    expect(terminal.listenerCount('resize')).toBe(0)
    expect(process.listenerCount('exit')).toBe(before)
  })

  test('draws once for many changes, and waits for a slow terminal', async () => {
    const terminal = new FakeTerminal()
    let drawn = 0
    const screen = openScreen(terminal, () => [String(++drawn)])
    for (let i = 0; i < 100; i++) screen.refresh()
    await new Promise(resolve => setTimeout(resolve, 150))
    expect(drawn).toBe(1)
    terminal.take()
    await until(() => drawn === 2)
    terminal.take()
    await new Promise(resolve => setTimeout(resolve, 150))
    expect(drawn).toBe(2)
    screen.refresh()
    await until(() => drawn === 3)
    screen.close()
  })
})
