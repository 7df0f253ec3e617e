/**
 * The rows of a live query, kept from its events, in the order a screen shows them.
 *
 *   snapshot, rows, snapshot_end ─► rows by key            delta ─► rows by key ─► in order, with the past of their numbers
 *
 * Invariants:
 * 1. A snapshot takes the place of everything once it is complete; until then the rows before it stand.
 * 2. Rows with one key are one row. Where equal rows may be there several times, which is where all columns are the key, they are
 *    counted.
 * 3. At most twice `boardRowsMax` rows are kept: the latest where they stand in time, else the first.
 */
import { SydraError } from '../../lib/errors.ts'
import { dataOf, type LiveCells, type LiveColumn, type LiveMessage } from './live-client.ts'
import { compareRows, isTimeKey, type OrderKey, rowOrder } from './stated-order.ts'
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
  readonly order: readonly OrderKey[]
}

/** Numbers of a past that are kept. */
export const pastMax = 10
export const boardRowsMax = 10_000

export class Board {
  readonly #statement: string
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

  constructor(statement: string) {
    this.#statement = statement
  }

  /** Empty before the first snapshot. */
  get columns(): readonly LiveColumn[] {
    return this.#snapshot?.columns ?? []
  }
  get strategy(): string | undefined {
    return this.#snapshot?.strategy
  }
  /** Rows follow one another in time, so that the latest are the last. */
  get isInTime(): boolean {
    const first = this.#snapshot?.order[0]
    return first !== undefined && !first.descending && isTimeKey(this.columns[first.column]!)
  }

  apply(message: LiveMessage): void {
    const told = dataOf(message)
    switch (message.event) {
      case 'snapshot': {
        const { strategy = '', columns = [] } = told
        const order = rowOrder(this.#statement, columns)
        this.#next = { snapshot: { strategy, columns, order }, rows: new Map() }
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
    if (this.#rows.size > 2 * boardRowsMax) this.#forget()
  }

  /** Rows in order; equal ones once, with their count. */
  rows(): readonly BoardRow[] {
    if (this.#ordered !== undefined) return this.#ordered
    const compare = compareRows(this.columns, this.#snapshot?.order ?? [])
    const ordered = [...this.#rows.values()].sort((a, b) => compare(a.cells, b.cells))
    this.#ordered = this.isInTime ? withPastOfGroups(ordered, this.columns) : ordered
    return this.#ordered
  }

  #forget(): void {
    const rows = this.rows()
    this.#ordered = this.isInTime ? rows.slice(-boardRowsMax) : rows.slice(0, boardRowsMax)
    this.#rows = new Map(this.#ordered.map(row => [keyOf(row.cells, this.#keys), row]))
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
