import { expect, test } from 'vitest'
import { RecentTexts } from '../../../src/surfaces/http/recent-texts.ts'

test('the newest texts are kept, as many as there is room for', () => {
  const texts = new RecentTexts(10)
  const lists = Array.from({ length: 5 }, () => [])
  for (const list of lists) for (let i = 0; i < 3; i++) texts.add(list, 'abcd')
  expect(lists.map(list => texts.get(list))).toEqual([undefined, undefined, undefined, 'abcd', 'abcd'])
  texts.add([], 'longer than all of it')
  expect(lists.map(list => texts.get(list))).toEqual(Array(5).fill(undefined))
  texts.add(lists[0]!, 'a')
  expect(texts.get(lists[0]!)).toBe('a')
})
