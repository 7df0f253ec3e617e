/** Rows that are kept, and those that are dropped: against a list of rows. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RowBuffer } from '../../src/storage/row-buffer.ts'
import type { FieldInfo } from '../../src/storage/types.ts'

const fields: readonly FieldInfo[] = [
  { id: 0, name: 'number', type: 'float' },
  { id: 1, name: 'text', type: 'string' },
  { id: 2, name: 'flag', type: 'boolean' },
]

interface Row {
  readonly series: number
  readonly timeUs: number
  readonly values: readonly (number | null)[]
}

function filled(rows: readonly Row[]): RowBuffer {
  const buffer = new RowBuffer(fields, 1)
  buffer.reserve(rows.length)
  for (const [at, { series, timeUs, values }] of rows.entries()) {
    buffer.series[at] = series
    buffer.timeUs[at] = timeUs
    for (const [i, field] of buffer.fields.entries()) {
      const value = values[i]!
      field.values[at] = value ?? 0
      field.valid[at] = value === null ? 0 : 1
      if (value === null) field.nulls = true
    }
  }
  buffer.length = rows.length
  return buffer
}

const rowsOf = (buffer: RowBuffer): Row[] =>
  Array.from({ length: buffer.length }, (_, row) => ({
    series: buffer.series[row]!,
    timeUs: buffer.timeUs[row]!,
    values: buffer.fields.map((_, i) => {
      const { values, valid } = buffer.column(i)
      return valid !== undefined && valid[row] === 0 ? null : values[row]!
    }),
  }))

test.each([
  ['alone', 3],
  ['in runs', 60],
])('rows %s', (_, runRowsMax) => {
  const run = fc.record({ kept: fc.boolean(), rows: fc.integer({ min: 1, max: runRowsMax }) })
  const cut = fc.record({
    runs: fc.array(run, { maxLength: 12 }),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
    nullEach: fc.constantFrom(0, 1, 3),
  })
  fc.assert(
    fc.property(cut, ({ runs, share, nullEach }) => {
      const isKept = runs.flatMap(({ kept, rows }) => new Array<boolean>(rows).fill(kept))
      const rows = isKept.map((_, at): Row => {
        const isNull = nullEach > 0 && at % nullEach === 0
        return { series: at * 7, timeUs: at * 1000, values: [at + 0.5, isNull ? null : at, at % 2] }
      })
      const from = Math.floor(share * rows.length)
      const kept = [...isKept.keys()].filter(at => at >= from && isKept[at])
      const buffer = filled(rows)
      buffer.keep(
        Uint32Array.from(kept, at => at - from),
        from,
      )
      const expected = [...rows.slice(0, from), ...kept.map(at => rows[at]!)]
      expect(rowsOf(buffer)).toEqual(expected)
      buffer.dropFirst(Math.floor(expected.length / 2))
      const left = expected.slice(Math.floor(expected.length / 2))
      expect(rowsOf(buffer)).toEqual(left)
      const other = filled(rows)
      buffer.append(other, from, rows.length)
      expect(rowsOf(buffer)).toEqual([...left, ...rows.slice(from)])
      other.clear()
      other.append(filled(rows.slice(from)), 0, rows.length - from)
      other.append(filled(rows), 0, from)
      expect(rowsOf(other)).toEqual([...rows.slice(from), ...rows.slice(0, from)])
    }),
  )
})
