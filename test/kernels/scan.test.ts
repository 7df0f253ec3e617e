/** The scanner by itself: what it stages, where it stops, what it forgets. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createReferenceScanner } from '../../src/kernels/reference-scan.ts'
import { createWasmScanner, type Scanner, type SlotOp, slotOps } from '../../src/kernels/scan.ts'

const scanners: readonly Scanner[] = [createWasmScanner(99n), createReferenceScanner()]
const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Registers the line's shape with these ops, and the line as a template: its id; the scanner then has no rows. */
function learn(scanner: Scanner, line: string, ops: readonly SlotOp[]): number {
  const bytes = encode(`${line}\n${line}\n`)
  scanner.load(bytes, 0, bytes.length)
  expect(scanner.scan()).toBe('unrecognised')
  scanner.skipLine(bytes.length / 2)
  expect(scanner.scan()).toBe('candidate')
  expect(scanner.register(ops)).toBeGreaterThanOrEqual(0)
  return scanner.addTemplate()
}

function fresh(scanner: Scanner): Scanner {
  scanner.clearRows()
  scanner.clearTemplates()
  scanner.setTimeScale(undefined)
  return scanner
}

describe.each(scanners.map(scanner => [scanner.name, scanner] as const))('%s scanner', (_name, scanner) => {
  test('cuts a line into its slots', () => {
    fresh(scanner)
    const line =
      '{"series":":5","ts":12,"fields":{"a": -1.5e3,"b":"x y","c":"q\\"","":[7]},"tags":{"d":"e"},"value":"v"}'
    learn(scanner, line, [slotOps.time, slotOps.float, slotOps.string, slotOps.tags, slotOps.string])
    const texts = scanner.lineSlots().map(({ offset, length, kind }) => [line.slice(offset, offset + length), kind])
    expect(texts).toEqual([
      ['12', 'number'],
      ['-1.5e3', 'number'],
      ['x y', 'string'],
      ['{"d":"e"}', 'tags'],
      ['v', 'string'],
    ])
  })

  test('numbers are what Number says, to the bit', () => {
    fresh(scanner)
    learn(scanner, '{"value":1}', [slotOps.float])
    const number = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
      fc
        .tuple(fc.bigInt({ min: -(10n ** 19n), max: 10n ** 19n }), fc.integer({ min: -60, max: 60 }))
        .map(([mantissa, exponent]) => `${mantissa}e${exponent}`),
      fc.tuple(fc.integer(), fc.stringMatching(/^\d{1,25}$/)).map(([whole, fraction]) => `${whole}.${fraction}`),
    )
    fc.assert(
      fc.property(fc.array(number, { minLength: 1, maxLength: 50 }), texts => {
        const plain = texts.map(text => text.replace('e+', 'e')).filter(text => !/^-?\d{16,}$/.test(text))
        scanner.clearRows()
        const bytes = encode(plain.map(text => `{"value":${text}}\n`).join(''))
        scanner.load(bytes, 0, bytes.length)
        let status = scanner.scan()
        // numbers near overflow are left to the general path
        while (status !== 'done') {
          const at = scanner.position()
          const end = bytes.indexOf(10, at)
          const text = plain.splice(scanner.rowCount(), 1)[0]!
          expect(Math.abs(Number(text))).toBeGreaterThan(1e290)
          scanner.skipLine(end + 1)
          status = scanner.scan()
        }
        expect([...scanner.values.subarray(0, plain.length)]).toEqual(plain.map(Number))
      }),
      { numRuns: 300 },
    )
  })

  test('integer times wait for a scale, ISO times do not', () => {
    fresh(scanner)
    learn(scanner, '{"ts":1}', [slotOps.time])
    learn(scanner, '{"ts":"2024-01-01T00:00:00Z"}', [slotOps.isoTime])
    const bytes = encode('{"ts":"2024-03-01T12:00:00.25Z"}\n \r\n{"ts":-1500}\n{"ts":"2024-02-30T00:00:00Z"}\n')
    scanner.load(bytes, 0, bytes.length)
    expect(scanner.scan()).toBe('unrecognised')
    expect(scanner.lineCount()).toBe(2)
    scanner.setTimeScale({ unit: 'ns', min: 0n, max: 10n ** 18n })
    expect(scanner.scan()).toBe('unrecognised')
    expect([...scanner.rowTimesUs.subarray(0, scanner.rowCount())]).toEqual([1709294400250000, -2])
  })

  test('a time like the one before is the same, one that only begins like it is not', () => {
    fresh(scanner)
    learn(scanner, '{"ts":1,"a":1}', [slotOps.time, slotOps.float])
    learn(scanner, '{"ts":"2024-01-01T00:00:00Z","a":1}', [slotOps.isoTime, slotOps.float])
    const timesOf = (texts: readonly string[]): number[] => {
      scanner.clearRows()
      const bytes = encode(texts.map(text => `{"ts":${text},"a":1}\n`).join(''))
      scanner.load(bytes, 0, bytes.length)
      expect(scanner.scan()).toBe('done')
      return [...scanner.rowTimesUs.subarray(0, scanner.rowCount())]
    }
    const integers = ['17', '17', '170', '1', '17', '-17', '17']
    const isoTimes = [
      ...['"2024-01-01T00:00:00Z"', '"2024-01-01T00:00:00Z"', '"2024-01-01T00:00:00.5Z"'],
      ...['"2024-01-01T00:00:00.000000000000000000000000001Z"', '"2024-01-01T00:00:00.000000000000000000000000001Z"'],
      '"2024-01-01T00:00:01Z"',
    ]
    for (const unit of ['s', 'ms'] as const) {
      scanner.setTimeScale({ unit, min: 0n, max: 10n ** 12n })
      const scale = unit === 's' ? 1e6 : 1000
      expect(timesOf(integers)).toEqual(integers.map(text => Number(text) * scale))
    }
    expect(timesOf([...isoTimes, '17', ...isoTimes])).toHaveLength(13)
    expect(timesOf(isoTimes).map(time => time - Date.UTC(2024, 0, 1) * 1000)).toEqual([0, 0, 500_000, 0, 0, 1_000_000])
  })

  test('equal strings have equal codes until the rows are cleared', () => {
    fresh(scanner)
    learn(scanner, '{"fields":{"s":""}}', [slotOps.string])
    const strings = ['a', 'ü€😀', 'a', '', 'x'.repeat(300), 'ü€😀']
    const bytes = encode(strings.map(text => `{"fields":{"s":"${text}"}}\n`).join(''))
    for (let round = 0; round < 3; round++) {
      scanner.load(bytes, 0, bytes.length)
      expect(scanner.scan()).toBe('done')
      expect([...scanner.values.subarray(0, 6)].map(code => scanner.string(code))).toEqual(strings)
      expect(scanner.stringCount()).toBe(4)
      scanner.clearRows()
    }
  })

  test('is full at its limit of rows, and goes on after they are cleared', () => {
    fresh(scanner)
    const id = learn(scanner, '{"value":1}', [slotOps.float])
    const bytes = encode('{"value":7}\n'.repeat(10_000))
    let rows = 0
    let filled = 0
    for (let i = 0; i < 8; i++) {
      scanner.load(bytes, 0, bytes.length)
      while (scanner.scan() === 'full') {
        filled++
        rows += scanner.rowCount()
        expect(scanner.rowTemplates[scanner.rowCount() - 1]).toBe(id)
        scanner.clearRows()
      }
    }
    expect(filled).toBe(1)
    expect(rows + scanner.rowCount()).toBe(80_000)
  })

  test('takes whole lines only, and none when the first is too long', () => {
    const long = encode(`${' '.repeat(300_000)}\n{}\n`)
    expect(scanner.load(long, 0, long.length)).toBe(0)
    expect(scanner.load(long, 300_001, long.length)).toBe(long.length)
    const many = encode('{"value":1}\n'.repeat(50_000))
    const end = scanner.load(many, 12, many.length)
    expect(end).toBeGreaterThan(200_000)
    expect((end - 12) % 12).toBe(0)
  })
})
