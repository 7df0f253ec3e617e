/** Decoded blocks: what is found is what was decoded, however chunks and blocks meet in one place. */
import { expect, test } from 'vitest'
import { DecodedBlocks } from '../../../src/storage/segment/decoded-blocks.ts'
import { SeededRandom } from '../../simulated/random.ts'

test('more blocks than there is room for', () => {
  const blocks = new DecodedBlocks()
  const random = new SeededRandom(1)
  const chunks = Array.from({ length: 300 }, (_, number) => ({ number }))
  let decoded = 0
  for (let turn = 0; turn < 5000; turn++) {
    const chunk = chunks[random.below(turn % 2 === 0 ? chunks.length : 20)]!
    const block = random.below(8)
    const values = blocks.values(chunk, block, into => {
      decoded++
      into.fill(chunk.number * 8 + block, 0, 100)
    })
    expect(values[99]).toBe(chunk.number * 8 + block)
    expect(blocks.values(chunk, block, () => expect.unreachable())).toBe(values)
  }
  expect(decoded).toBeLessThan(4500)
})

test('a block that cannot be decoded is not remembered, nor is the one that was there', () => {
  const blocks = new DecodedBlocks()
  // of one place
  const [chunk, other] = [{ number: 3 }, { number: 3 + 512 }]
  blocks.values(chunk, 1, into => into.fill(7))
  const damaged = (into: Float64Array): never => {
    into.fill(9)
    throw new Error('damaged')
  }
  expect(() => blocks.values(other, 1, damaged)).toThrow('damaged')
  expect(blocks.values(other, 1, into => void into.fill(8))[0]).toBe(8)
  expect(blocks.values(chunk, 1, into => void into.fill(7))[0]).toBe(7)
})
