/**
 * What is measured, ours and each peer alike: one engine in one process, on a directory of its own.
 *
 *   program (what is loaded)  ->  open (a directory)  ->  Engine
 */
import type { Data } from './data.ts'
import type { Question } from './questions.ts'

export type Cell = number | string | null
export type Rows = readonly (readonly Cell[])[]

/** The answer to an export: rows are too many to be handed over. */
export interface Sums {
  readonly rows: number
  /** By column; of texts their lengths. */
  readonly sums: readonly number[]
}

export interface DiskBytes {
  readonly all: number
  /** Of the rows themselves, without a log that is kept for some time. */
  readonly settled: number
}

/** Ways in: narrow is one point a line, wide ten fields. */
export const ways = ['http narrow', 'http wide', 'file narrow', 'file wide', 'rows', 'columns'] as const
export type Way = (typeof ways)[number]
/** What is timed of a way in: from the first byte or row given until all are acknowledged. */
export type Timed = (work: () => Promise<unknown>) => Promise<void>
export type Ingest = (data: Data, timed: Timed) => Promise<void>

export interface Engine {
  readonly version: string
  /** The process whose CPU and memory count: its own, or the server's that it started. */
  readonly pid: number
  /** What an acknowledgement means. */
  readonly durability: 'synced' | 'written' | 'in memory'
  /** The first is how its store for the questions comes about. */
  readonly ways: Readonly<Partial<Record<Way, Ingest>>>
  /** Of a server: rows of this form, while others ask. Resolves with the acknowledgement. */
  readonly append?: (body: Buffer) => Promise<unknown>
  readonly form?: 'wide' | 'influx wide'
  /** Until files are as they will stay. */
  settle(): Promise<unknown>
  /** Asks as a client would, until the last of the answer is there in the client's natural form. undefined: it cannot. */
  ask(question: Question): Promise<unknown> | undefined
  /** The same as rows; times in ms. */
  rows(question: Question): Promise<Rows | Sums>
  /** What its files take. */
  bytes(): Promise<DiskBytes>
  close(): Promise<void>
}

/** Resolves when questions are answered; the directory may be empty. */
export type OpenEngine = (directory: string) => Promise<Engine>
/** Loads what the engine needs; rejects where it is not installed. */
export type Program = () => Promise<OpenEngine>

/** Takes rows as they come. */
export interface Gathering {
  add(row: readonly Cell[]): void
  all(): Rows | Sums
}

/** Keeps rows; of an export it adds them up. */
export function gathering(isExport = false): Gathering {
  const rows: (readonly Cell[])[] = []
  return isExport ? summing() : { add: row => void rows.push(row), all: () => rows }
}

function summing(): Gathering {
  let rows = 0
  const sums: number[] = []
  return {
    add(row) {
      rows++
      for (const [column, cell] of row.entries())
        sums[column] = (sums[column] ?? 0) + (typeof cell === 'string' ? cell.length : Number(cell))
    },
    all: () => ({ rows, sums }),
  }
}
