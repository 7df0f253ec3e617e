/** Rows by their group, against the plain loops; lengths and first rows of new groups around the turns of four. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { groupRows, orderByGroup } from '../../../src/storage/rows/scatter.ts'

const words = (max: number) => fc.array(fc.nat({ max }), { maxLength: 40 }).map(list => Uint32Array.from(list))

test('rows are noted up to the first without a group', () => {
  fc.assert(
    fc.property(
      words(9),
      fc.nat({ max: 6 }),
      fc.nat({ max: 6 }),
      fc.subarray([1, 2, 3, 4]),
      (templates, base, from, known) => {
        const layoutIds = Uint32Array.from({ length: 10 }, (_, template) => template % 5)
        const groupOfLayout = Uint32Array.from({ length: 5 }, (_, layout) => 1 + known.indexOf(layout))
        const to = Math.max(from, templates.length - base)
        const rows = templates.subarray(0, base + to)
        const groupOf = new Uint32Array(64).fill(99)
        const counts = new Uint32Array(4)
        const end = groupRows(rows, base, from, to, layoutIds, groupOfLayout, groupOf, counts)

        const expected: number[] = []
        const expectedCounts = [0, 0, 0, 0]
        for (let row = from; row < to; row++) {
          const group = known.indexOf((rows[base + row] ?? 0) % 5)
          if (group < 0) break
          expected.push(group)
          expectedCounts[group]!++
        }
        expect(end).toBe(from + expected.length)
        expect([...groupOf.subarray(from, end)]).toEqual(expected)
        expect(groupOf[end]).toBe(99)
        expect([...counts]).toEqual(expectedCounts)
      },
    ),
  )
})

test('rows of a group stay in order', () => {
  fc.assert(
    fc.property(words(3), fc.nat({ max: 1000 }), (groupOf, base) => {
      const cursors = new Uint32Array(4)
      for (let group = 1; group < 4; group++)
        cursors[group] = cursors[group - 1]! + groupOf.filter(other => other === group - 1).length
      const order = new Uint32Array(groupOf.length + 1).fill(7777)
      orderByGroup(groupOf, groupOf.length, base, cursors, order)
      const expected = [0, 1, 2, 3].flatMap(group => [...groupOf.keys()].filter(row => groupOf[row] === group))
      expect([...order]).toEqual([...expected.map(row => base + row), 7777])
    }),
  )
})
