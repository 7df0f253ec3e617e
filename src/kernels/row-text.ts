/**
 * How rows look as text: what the WebAssembly row writer and its plain-TypeScript twin have in common.
 *
 *   json    ,[v,v]            rows joined by commas (no comma before the writer's first row)
 *   ndjson  {"a":v,"b":v}\n
 *   objects ,{"a":v,"b":v}    elements of one array, joined as json's rows
 *   csv     v,v\r\n           RFC 4180; the header is not the row writer's
 *
 * | value             | json, ndjson, objects         | csv                                        |
 * |-------------------|-------------------------------|--------------------------------------------|
 * | null              | `null`                        | empty                                      |
 * | number, duration  | `String(v)`, `-0` for −0      | the same                                   |
 * | NaN, ±Infinity    | `"NaN"` `"Infinity"` …        | bare                                       |
 * | string            | as `JSON.stringify`           | quoted if it holds `" , CR LF`, is empty, or begins with `#` |
 * | timestamp         | `"2024-03-01T00:00:00.25Z"`   | the same, bare                             |
 * | … with an epoch   | exact decimal in that unit: `1709251200.25` | the same                     |
 *
 * Fractions of a second have as many digits as they need, 0 to 6. Years outside 0 to 9999 are ±YYYYYY, as in
 * JavaScript. A timestamp outside JavaScript's range of ±100,000,000 days, which only arithmetic can make, is null.
 */
import type { Batch, Schema } from '../columnar/batch.ts'
import type { EpochUnit } from '../lib/value-text.ts'

export type RowFormat = 'json' | 'ndjson' | 'objects' | 'csv'

export interface RowTextOptions {
  readonly format: RowFormat
  /** Times as numbers in this unit instead of ISO 8601 text. */
  readonly epoch?: EpochUnit | undefined
}

export interface RowWriter {
  /**
   * The batch's rows as UTF-8, in pieces of bounded size whatever the size of the batch. A piece is borrowed: valid
   * until the next pull. One batch at a time, each iterated to its end.
   */
  write(batch: Batch): Generator<Uint8Array, void, undefined>
  /** Gives the writer's memory back; nothing may be written afterwards. Calling it again is allowed. */
  close(): void
}

export interface RowFrame {
  /** What stands before each cell, in column order; the first one opens the row. */
  readonly prefixes: readonly string[]
  readonly suffix: string
  /** Rows are joined: the first character of the first row, a comma, is left out. */
  readonly joined: boolean
}

/** An object cannot have one key twice: equal names get `_2`, `_3` … */
export function rowFrame(schema: Schema, format: RowFormat): RowFrame {
  const cells = (open: string, texts: readonly string[]) => texts.map((text, i) => (i === 0 ? open : ',') + text)
  if (format === 'csv')
    return {
      prefixes: cells(
        '',
        schema.map(() => ''),
      ),
      suffix: '\r\n',
      joined: false,
    }
  if (format === 'json')
    return {
      prefixes: cells(
        ',[',
        schema.map(() => ''),
      ),
      suffix: ']',
      joined: true,
    }
  const keys = uniqueNames(schema).map(name => `${JSON.stringify(name)}:`)
  return format === 'ndjson'
    ? { prefixes: cells('{', keys), suffix: '}\n', joined: false }
    : { prefixes: cells(',{', keys), suffix: '}', joined: true }
}

function uniqueNames(schema: Schema): string[] {
  const taken = new Set(schema.map(column => column.name))
  const seen = new Set<string>()
  return schema.map(({ name }) => {
    let unique = name
    for (let n = 2; seen.has(unique); n++) if (!taken.has(`${name}_${n}`)) unique = `${name}_${n}`
    seen.add(unique)
    taken.add(unique)
    return unique
  })
}

export function stringText(text: string, format: RowFormat): string {
  if (format !== 'csv') return JSON.stringify(text)
  return text === '' || text.startsWith('#') || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
