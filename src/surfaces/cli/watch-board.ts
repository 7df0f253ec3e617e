/**
 * The rows of a live query, kept from its events, in the order a screen shows them.
 *
 *   snapshot, rows, snapshot_end ─► rows by key            delta ─► rows by key ─► in order, with the past of their numbers
 *
 * Invariants:
 * 1. A snapshot takes the place of everything once it is complete; until then the rows before it stand.
 * 2. Rows with one key are one row. Where equal rows may be there several times, which is where all columns are the key, they are
 *    counted.
 * 3. Of rows in time the latest `boardRowsMax` are kept, or up to twice as many; others the server limits.
 */
import { SydraError } from '../../lib/errors.ts'
import { compareUtf8 } from '../../lib/text.ts'
import type { Cell } from './cells.ts'
import { dataOf, type LiveCells, type LiveColumn, type LiveMessage } from './live-client.ts'
import { isNumeric } from './table.ts'

type Past = readonly (readonly (number | null)[])[]

export interface BoardRow {
  readonly cells: LiveCells
  readonly count: number
  /** By column, the latest numbers it had, this one last; empty for other columns. */
  readonly past: Past
}

interface Snapshot {
  readonly strategy: string
  readonly columns: readonly LiveColumn[]
}

/** Numbers of a past that are kept. */
export const pastMax = 10
export const boardRowsMax = 10_000

export class Board {
  /** Every commit up to there is in it. */
  lsn = 0
  /** The newest time there is, as text; undefined: nobody said. */
  watermark: string | undefined
  /** Why rows are missing, until a snapshot has come. */
  lagged: string | undefined
  #snapshot: Snapshot | undefined
  /** The one that is coming in. */
  #next: { readonly snapshot: Snapshot; readonly rows: Map<string, BoardRow> } | undefined
  #rows = new Map<string, BoardRow>()
  #keys: readonly number[] = []
  /** undefined: to be put in order. */
  #ordered: readonly BoardRow[] | undefined

  /** Empty before the first snapshot. */
  get columns(): readonly LiveColumn[] {
    return this.#snapshot?.columns ?? []
  }
  get strategy(): string | undefined {
    return this.#snapshot?.strategy
  }
  /** Rows follow one another in time, so that the latest are the last. */
  get isInTime(): boolean {
    return this.columns.some(isTimeKey)
  }

  apply(message: LiveMessage): void {
    const told = dataOf(message)
    switch (message.event) {
      case 'snapshot': {
        const { strategy = '', columns = [] } = told
        this.#next = { snapshot: { strategy, columns }, rows: new Map() }
        this.#collect(told.rows)
        return
      }
      case 'rows':
        this.#collect(told.rows)
        return
      case 'snapshot_end':
        this.#replace()
        break
      case 'delta':
        for (const row of told.removed ?? []) this.#remove(row)
        for (const row of told.changed ?? []) this.#put(row)
        for (const row of told.added ?? []) this.#add(row)
        this.#ordered = undefined
        break
      case 'progress':
        this.watermark = told.watermark ?? undefined
        break
      case 'lagged':
        this.lagged = told.reason ?? 'lagged'
        break
    }
    this.lsn = told.lsn ?? this.lsn
    if (this.isInTime && this.#rows.size > 2 * boardRowsMax) this.#forgetOldest()
  }

  /** Rows in order; equal ones once, with their count. */
  rows(): readonly BoardRow[] {
    if (this.#ordered !== undefined) return this.#ordered
    const ordered = [...this.#rows.values()].sort(byKeys(this.columns))
    this.#ordered = this.isInTime ? withPastOfGroups(ordered, this.columns) : ordered
    return this.#ordered
  }

  #forgetOldest(): void {
    const latest = this.rows().slice(-boardRowsMax)
    this.#rows = new Map(latest.map(row => [keyOf(row.cells, this.#keys), row]))
    this.#ordered = latest
  }

  #collect(rows: readonly LiveCells[] = []): void {
    const next = this.#next
    if (next === undefined) throw new SydraError('io_error', 'the server sent rows outside of a snapshot')
    const keys = keysOf(next.snapshot.columns)
    for (const cells of rows) count(next.rows, keyOf(cells, keys), cells, next.snapshot.columns)
  }

  #replace(): void {
    if (this.#next === undefined) throw new SydraError('io_error', 'the server ended a snapshot that it had not begun')
    this.#snapshot = this.#next.snapshot
    this.#rows = this.#next.rows
    this.#keys = keysOf(this.#snapshot.columns)
    this.#next = undefined
    this.#ordered = undefined
    this.lagged = undefined
  }

  #add(cells: LiveCells): void {
    count(this.#rows, keyOf(cells, this.#keys), cells, this.columns)
  }

  #put(cells: LiveCells): void {
    const key = keyOf(cells, this.#keys)
    const before = this.#rows.get(key)
    this.#rows.set(key, { cells, count: 1, past: grown(before?.past, cells, this.columns) })
  }

  #remove(cells: LiveCells): void {
    const key = keyOf(cells, this.#keys)
    const row = this.#rows.get(key)
    if (row === undefined) return
    if (row.count > 1) this.#rows.set(key, { ...row, count: row.count - 1 })
    else this.#rows.delete(key)
  }
}

function count(rows: Map<string, BoardRow>, key: string, cells: LiveCells, columns: readonly LiveColumn[]): void {
  const before = rows.get(key)
  if (before === undefined) rows.set(key, { cells, count: 1, past: grown(undefined, cells, columns) })
  else rows.set(key, { ...before, count: before.count + 1 })
}

const keysOf = (columns: readonly LiveColumn[]): number[] => [...columns.keys()].filter(index => columns[index]!.key)
const keyOf = (cells: LiveCells, keys: readonly number[]): string => JSON.stringify(keys.map(index => cells[index]))
const isTimeKey = ({ key, type }: LiveColumn): boolean => key && type === 'timestamp'
const hasPast = (column: LiveColumn): boolean => isNumeric(column) && !column.key

const grown = (past: Past | undefined, cells: LiveCells, columns: readonly LiveColumn[]): Past =>
  columns.map((column, index) => {
    if (!hasPast(column)) return []
    const cell = cells[index]
    return [...(past?.[index] ?? []).slice(1 - pastMax), typeof cell === 'number' ? cell : null]
  })

/** The past of a row is what the rows before it have that differ in time only. */
function withPastOfGroups(ordered: readonly BoardRow[], columns: readonly LiveColumn[]): BoardRow[] {
  const others = [...columns.keys()].filter(index => columns[index]!.key && !isTimeKey(columns[index]!))
  const latest = new Map<string, Past>()
  return ordered.map(row => {
    const group = keyOf(row.cells, others)
    const past = grown(latest.get(group), row.cells, columns)
    latest.set(group, past)
    return { ...row, past }
  })
}

/** By time, then by the other keys; nulls last. */
function byKeys(columns: readonly LiveColumn[]): (a: BoardRow, b: BoardRow) => number {
  const keys = [...columns.keys()].filter(index => columns[index]!.key)
  const times = keys.filter(index => isTimeKey(columns[index]!))
  const order = [...times, ...keys.filter(index => !times.includes(index))]
  return (a, b) => {
    for (const index of order) {
      const difference = compareCells(a.cells[index]!, b.cells[index]!, columns[index]!.type)
      if (difference !== 0) return difference
    }
    return 0
  }
}

function compareCells(a: Cell, b: Cell, type: string): number {
  if (a === b) return 0
  if (a === null) return 1
  if (b === null) return -1
  if (typeof a === 'string' && typeof b === 'string') {
    // fewer digits come first, as in time, when the Z does not stand in their place
    if (type === 'timestamp') return compareUtf8(a.replace('Z', ''), b.replace('Z', ''))
    if (type === 'string') return compareUtf8(a, b)
  }
  // NaN and the infinities come as texts
  const [x, y] = [Number(a), Number(b)]
  return Number.isNaN(x) ? 1 : Number.isNaN(y) ? -1 : x - y
}
