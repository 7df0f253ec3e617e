/** `docs/format/blocks.md` says what each byte means; its examples, and its layouts by hand, are held to here. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Kernels } from '../../src/kernels/kernels.ts'
import { referenceKernels } from '../../src/kernels/reference-kernels.ts'
import { createWasmKernels } from '../../src/kernels/wasm-kernels.ts'

const page = readFileSync(new URL('../../docs/format/blocks.md', import.meta.url), 'utf8')
const examples = [...page.matchAll(/^(times|values|coded) (.+)\n= (.+)$/gm)].map(([, kind, rows, bytes]) => ({
  kind: kind as 'times' | 'values' | 'coded',
  rows: Float64Array.from(rows!.split(' '), Number),
  bytes: Uint8Array.from(bytes!.split(' '), byte => Number.parseInt(byte, 16)),
}))

const twins: readonly Kernels[] = [createWasmKernels(), referenceKernels]

const decode = (kernels: Kernels, bytes: ArrayLike<number>): number[] => {
  const out = new Float64Array(1024)
  return [...out.subarray(0, kernels.decodeValues(Uint8Array.from(bytes), 0, bytes.length, out, 0))]
}

describe('the examples of the page', () => {
  test('there are some of each kind', () => {
    expect(new Set(examples.map(example => example.kind))).toEqual(new Set(['times', 'values', 'coded']))
  })

  for (const { kind, rows, bytes } of examples) {
    test(`${kind} ${rows.join(' ').slice(0, 60)}`, () => {
      for (const kernels of twins) {
        const out = new Uint8Array(100)
        const put = kind === 'times' ? kernels.encodeTimes : kernels.encodeValues
        if (kind !== 'coded') expect(out.slice(0, put(rows, 0, rows.length, out, 0))).toEqual(bytes)
        expect(decode(kernels, bytes)).toEqual([...rows])
      }
    })
  }
})

describe('bytes written by hand', () => {
  test('a delta block that restarts', () => {
    // 5 rows, mode 4, width 0, restarts follow; origin 100, unit 10, step 2; one restart: 3 rows on, x is -1
    const bytes = [0x04, 0x10, 0x00, 0x20, 0x41, 0x06, 0xa0, 0x20, 0x10, 0x30, 0x18]
    for (const kernels of twins) expect(decode(kernels, bytes)).toEqual([100, 120, 140, 90, 110])
  })

  test('a line', () => {
    // 4 rows, mode 5, width 1; origin 5, unit 2, slope 2.5; packed 0 1 1 0
    const bytes = [0x03, 0x14, 0x01, 0x00, 0x50, 0x20, 0, 0, 0, 0, 0, 0, 0x04, 0x40, 0b0110]
    for (const kernels of twins) expect(decode(kernels, bytes)).toEqual([5, 11, 17, 19])
  })

  test('a group of 128 is four lanes', () => {
    // 128 rows, mode 3, width 1, origin 0, unit 1; lane 1 has its first and its last bit set
    const bytes = [0x7f, 0x0c, 0x01, 0x00, 0x00, 0x10, 0, 0, 0, 0, 1, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0]
    for (const kernels of twins) {
      const rows = decode(kernels, bytes)
      expect(rows.flatMap((value, row) => (value === 1 ? [row] : []))).toEqual([1, 125])
    }
  })

  test('values of 33 bits are two planes', () => {
    // 2 rows, mode 3, width 33: low words 1 and 2, high bits 0 and 1
    const bytes = [0x01, 0x0c, 0x21, 0x00, 0x00, 0x10, 1, 0, 0, 0, 2, 0, 0, 0, 0b10]
    for (const kernels of twins) expect(decode(kernels, bytes)).toEqual([1, 2 ** 32 + 2])
  })
})
