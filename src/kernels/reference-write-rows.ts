/**
 * The row writer in plain TypeScript: the reference that the WebAssembly one is tested against, and what writes
 * results of more columns than kernel memory describes.
 *
 * Invariant: text comes from the language's own `String`, `JSON.stringify` and `Date`, so that it is right by definition.
 */
import { type Batch, type Column, rowCount, type Schema } from '../columnar/batch.ts'
import { assert } from '../lib/assert.ts'
import { type EpochUnit, jsonNumber, jsonTimestamp, numberText, timestampText } from '../lib/value-text.ts'
import { type RowFormat, type RowTextOptions, type RowWriter, rowFrame, stringText } from './row-text.ts'

/** UTF-16 units a piece aims at; one cell may exceed it. */
const pieceUnits = 65_536

export function createReferenceRowWriter(schema: Schema, options: RowTextOptions): RowWriter {
  const { format, epoch } = options
  const { prefixes, suffix, joined } = rowFrame(schema, format)
  const nullText = format === 'csv' ? '' : 'null'
  const encoder = new TextEncoder()
  let started = false

  function* write(batch: Batch): Generator<Uint8Array, void, undefined> {
    assert(batch.columns.length === schema.length, 'batch and schema differ in columns')
    const rows = rowCount(batch)
    let text = ''
    for (let i = 0; i < rows; i++) {
      const row = batch.selection?.[i] ?? i
      for (const [index, column] of batch.columns.entries()) {
        const cell = cellText(column, schema[index]!.type === 'timestamp', row, format, epoch)
        text += prefixes[index]! + (cell ?? nullText)
        if (joined && !started) text = text.slice(1)
        started = true
        if (text.length < pieceUnits) continue
        yield encoder.encode(text)
        text = ''
      }
      text += suffix
    }
    if (text !== '') yield encoder.encode(text)
  }
  return { write, close() {} }
}

function cellText(
  column: Column,
  isTime: boolean,
  row: number,
  format: RowFormat,
  epoch: EpochUnit | undefined,
): string | undefined {
  if (column.valid !== undefined && column.valid[row] === 0) return undefined
  if (column.type === 'string') return stringText(column.dictionary.at(column.values[row]!), format)
  if (column.type === 'boolean') return column.values[row] === 0 ? 'false' : 'true'
  const value = column.values[row]!
  if (format === 'csv') return isTime ? timestampText(value, epoch) : numberText(value)
  return isTime ? jsonTimestamp(value, epoch) : jsonNumber(value)
}
