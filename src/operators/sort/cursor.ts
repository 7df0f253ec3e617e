/** A cursor: a place in a sorted run, with the keys of its block ready to compare. */
import type { Column } from '../../columnar/batch.ts'
import { compareUtf8 } from '../../lib/text.ts'
import type { SpillRun } from '../spill/run.ts'
import { comparableWords, type SortColumn } from './key-words.ts'
import { orderedUnit } from './text-ranks.ts'

/** One key of the rows of a block. */
interface BlockKey {
  /** Numbers: the upper word. Text: its first two characters, but 0 and the greatest word are for nulls. */
  readonly high: Uint32Array
  readonly low: Uint32Array
  readonly texts: readonly string[] | undefined
  readonly direction: 1 | -1
}

export class Cursor {
  /** The place of its run among those merged. */
  readonly index: number
  row = 0
  rows = 0
  ended = false
  columns: readonly Column[] = []
  keys: readonly BlockKey[] = []
  /** Counts blocks: what is known of an earlier one is void. */
  block = 0
  readonly #blocks: ReturnType<SpillRun['blocks']>
  readonly #sortColumns: readonly SortColumn[]

  constructor(run: SpillRun, index: number, keys: readonly SortColumn[]) {
    this.index = index
    this.#blocks = run.blocks()
    this.#sortColumns = keys
    this.#nextBlock()
  }

  advance(): void {
    if (++this.row === this.rows) this.#nextBlock()
  }

  close(): void {
    this.#blocks.return()
  }

  #nextBlock(): void {
    const { done, value: batch } = this.#blocks.next()
    if (done === true) {
      this.ended = true
      return
    }
    this.block++
    this.row = 0
    this.rows = batch.length
    this.columns = batch.columns
    this.keys = this.#sortColumns.map(key => blockKey(batch.columns[key.column]!, batch.length, key))
  }
}

const noWords = new Uint32Array(0)
const nullsLast = 0xffffffff

function blockKey(column: Column, rows: number, key: SortColumn): BlockKey {
  const direction = key.descending ? -1 : 1
  if (column.type !== 'string') {
    const [high, low] = comparableWords(column, rows, key)
    return { high, low, texts: undefined, direction }
  }
  const { values, valid, dictionary } = column
  const high = new Uint32Array(rows)
  const texts = new Array<string>(rows).fill('')
  const none = key.nulls === 'first' ? 0 : nullsLast
  for (let row = 0; row < rows; row++) {
    if (valid !== undefined && valid[row] === 0) high[row] = none
    else {
      const text = dictionary.at(values[row]!)
      texts[row] = text
      const start = (orderedUnit(text, 0) << 16) | orderedUnit(text, 1)
      high[row] = Math.min(Math.max((key.descending ? ~start : start) >>> 0, 1), nullsLast - 1)
    }
  }
  return { high, low: noWords, texts, direction }
}

/** Whether a's row comes out before b's. A run that has ended comes last. */
export function precedes(a: Cursor, b: Cursor): boolean {
  if (a.ended || b.ended) return !a.ended
  const aRow = a.row
  const bRow = b.row
  for (let k = 0; k < a.keys.length; k++) {
    const aKey = a.keys[k]!
    const bKey = b.keys[k]!
    let difference = aKey.high[aRow]! - bKey.high[bRow]!
    if (difference === 0)
      difference =
        aKey.texts === undefined
          ? aKey.low[aRow]! - bKey.low[bRow]!
          : compareUtf8(aKey.texts[aRow]!, bKey.texts![bRow]!) * aKey.direction
    if (difference !== 0) return difference < 0
  }
  return a.index < b.index
}
