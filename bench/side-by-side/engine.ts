/** What is measured, ours and each peer alike: one engine in one process, on a directory of its own. */
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

export interface Engine {
  readonly version: string
  /** The process whose CPU and memory count: its own, or the server's that it started. */
  readonly pid: number
  /** Durable and settled when it resolves. Gives the seconds until the rows were durable. */
  load(data: Data): Promise<number>
  /** Asks as a client would, until the last of the answer is there in the client's natural form. undefined: it cannot. */
  ask(question: Question): Promise<unknown> | undefined
  /** The same as rows; times in ms. */
  rows(question: Question): Promise<Rows | Sums>
  /** What its files take when everything is settled. */
  bytes(): Promise<DiskBytes>
  close(): Promise<void>
}

/** Opens the engine on an empty directory; rejects where it is not installed. */
export type OpenEngine = (directory: string) => Promise<Engine>

/** Adds up rows as they come. */
export function summing(): { add(row: readonly unknown[]): void; sums(): Sums } {
  let rows = 0
  const sums: number[] = []
  return {
    add(row) {
      rows++
      for (const [column, cell] of row.entries())
        sums[column] = (sums[column] ?? 0) + (typeof cell === 'string' ? cell.length : Number(cell))
    },
    sums: () => ({ rows, sums }),
  }
}
