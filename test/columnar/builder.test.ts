/** Column builders: values, selections, nulls and dictionaries survive whatever they are fed. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Column, InterningDictionary } from '../../src/columnar/batch.ts'
import { BatchBuilder, ColumnBuilder } from '../../src/columnar/builder.ts'
import { sliceBatch } from '../../src/columnar/slice.ts'
import { type Scalar, valueAt } from '../../src/columnar/value.ts'

const texts = fc.array(fc.option(fc.constantFrom('a', 'b', 'ä', ''), { nil: null, freq: 3 }), { maxLength: 6 })

function columnOf(values: readonly (string | null)[], dictionary: InterningDictionary): Column {
  return {
    type: 'string',
    values: Uint32Array.from(values, value => (value === null ? 9 : dictionary.code(value))),
    valid: values.includes(null) ? Uint8Array.from(values, value => (value === null ? 0 : 1)) : undefined,
    dictionary,
  }
}

test('text from several dictionaries keeps its meaning', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(0, 1), texts, fc.option(texts, { nil: undefined })), { maxLength: 6 }),
      steps => {
        const dictionaries = [new InterningDictionary(['b']), new InterningDictionary(['', 'ä'])]
        const builder = new ColumnBuilder('string', 1)
        const expected: Scalar[] = []
        for (const [which, values, pushed] of steps) {
          const selection = Uint32Array.from(values.keys()).filter(row => row % 2 === 0)
          builder.append(columnOf(values, dictionaries[which]!), 0, values.length, which === 1 ? selection : undefined)
          expected.push(...(which === 1 ? values.filter((_, row) => row % 2 === 0) : values))
          for (const value of pushed ?? []) builder.push(value)
          expected.push(...(pushed ?? []))
        }
        expect(Array.from({ length: builder.length }, (_, row) => valueAt(builder.column(), row))).toEqual(expected)
      },
    ),
  )
})

test('a slice counts the rows that count', () => {
  const builder = new BatchBuilder([{ name: 'v', type: 'float', nullable: true }])
  for (const value of [1, null, 3, 4]) builder.push([value])
  const batch = builder.batch()
  const values = (b: typeof batch) =>
    Array.from(b.selection ?? Uint32Array.from({ length: b.length }, (_, i) => i), row => valueAt(b.columns[0]!, row))
  expect(values(sliceBatch(batch, 1, 3))).toEqual([null, 3])
  expect(values(sliceBatch({ ...batch, selection: Uint32Array.of(0, 2, 3) }, 1, 3))).toEqual([3, 4])
})
