/** `min` and `max` of text, by UTF-8 bytes. */
import type { StringColumn } from '../../columnar/batch.ts'
import { compareUtf8 } from '../../lib/text.ts'
import { type AggregateState, forValues, type GroupedRows } from './state.ts'

export class TextExtremeState implements AggregateState {
  /** 1 keeps the least, -1 the greatest. */
  readonly #direction: 1 | -1
  #best: (string | null)[] = []

  constructor(which: 'min' | 'max') {
    this.#direction = which === 'min' ? 1 : -1
  }

  get byteLength(): number {
    return this.#best.length * 64
  }
  reserve(groups: number): void {
    while (this.#best.length < groups) this.#best.push(null)
  }

  add(column: StringColumn, rows: GroupedRows): void {
    const { values, dictionary } = column
    let lastGroup = -1
    let lastCode = -1
    forValues(column, rows, (row, group) => {
      if (group === lastGroup && values[row] === lastCode) return
      lastGroup = group
      lastCode = values[row]!
      this.#offer(group, dictionary.at(lastCode))
    })
  }

  addRange(column: StringColumn, from: number, to: number, group: number): void {
    const { values, valid, dictionary } = column
    let lastCode = -1
    for (let row = from; row < to; row++) {
      if ((valid !== undefined && valid[row] === 0) || values[row] === lastCode) continue
      lastCode = values[row]!
      this.#offer(group, dictionary.at(lastCode))
    }
  }

  merge(other: TextExtremeState, from: Uint32Array, to: Uint32Array): void {
    for (let i = 0; i < from.length; i++) {
      const text = other.#best[from[i]!]
      if (typeof text === 'string') this.#offer(to[i]!, text)
    }
  }

  value(group: number): string | null {
    return this.#best[group]!
  }

  #offer(group: number, text: string): void {
    const best = this.#best[group]!
    if (best === null || compareUtf8(text, best) * this.#direction < 0) this.#best[group] = text
  }
}
