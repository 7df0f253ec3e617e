/** Templates: which tags the scanner knows with which shape, when many share a slot of its table, and when it is full. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createReferenceScanner } from '../../src/kernels/reference-scan.ts'
import { createWasmScanner, type Scanner, slotOps } from '../../src/kernels/scan.ts'

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

const scanners = (): [string, Scanner][] => [
  ['wasm', createWasmScanner(7n)],
  ['wasm, 16 slots for all', createWasmScanner(7n, 0xf000_0000_0000_0000n)],
  ['wasm, one slot for all', createWasmScanner(7n, 0n)],
  ['reference', createReferenceScanner()],
]

/** Registers the shape of `{"<name>":1,"tags":{…}}`, seen twice. */
function learnShape(scanner: Scanner, line: string): void {
  const bytes = encode(`${line}\n`)
  for (const status of ['unrecognised', 'candidate']) {
    scanner.load(bytes, 0, bytes.length)
    expect(scanner.scan()).toBe(status)
  }
  const ops = scanner.lineSlots().map(({ kind }) => (kind === 'tags' ? slotOps.tags : slotOps.float))
  expect(scanner.register(ops)).toBeGreaterThanOrEqual(0)
}

/** Scans the lines, adding templates for new tags; the id of each line, and those that were new. */
function scanAll(scanner: Scanner, lines: readonly string[]): { readonly ids: number[]; readonly added: number[] } {
  const bytes = encode(lines.map(line => `${line}\n`).join(''))
  const ids: number[] = []
  const added: number[] = []
  scanner.clearRows()
  for (let from = 0; from < bytes.length; ) {
    from = scanner.load(bytes, from, bytes.length)
    for (let status = scanner.scan(); status !== 'done'; status = scanner.scan()) {
      expect(status).toBe('tags')
      added.push(scanner.addTemplate() - scanner.firstTemplate)
    }
    for (const id of scanner.rowTemplates.subarray(0, scanner.rowCount())) ids.push(id - scanner.firstTemplate)
    scanner.clearRows()
  }
  return { ids, added }
}

describe.each(scanners())('templates of the %s scanner', (_name, scanner) => {
  const tag = fc.oneof(
    fc.stringMatching(/^[a-c]{0,3}$/),
    fc.stringMatching(/^[ -~]{0,80}$/),
    fc.constantFrom('}', '{"a":"b"}', '\\', '"', '\\"}', 'é}', '\n', '😀'),
  )
  const tags = fc.dictionary(tag, tag, { maxKeys: 5 }).map(pairs => JSON.stringify(pairs))
  const shapes = [
    (text: string) => `{"value":1,"tags":${text}}`,
    (text: string) => `{"tags": ${text} ,"value":1}`,
    (text: string) => `{"a":"}","tags":${text},"fields":{"x":2,"y":3}}`,
  ]

  test('tags have one id with each shape: that of their bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(2), tags), { minLength: 1, maxLength: 200 }), drawn => {
        scanner.clearTemplates()
        for (const shape of shapes) learnShape(scanner, shape('{}'))
        const lines = drawn.map(([shape, text]) => shapes[shape]!(text))
        const expected = new Map<string, number>()
        for (const line of lines) if (!expected.has(line)) expected.set(line, expected.size)
        for (const round of [0, 1]) {
          const { ids, added } = scanAll(scanner, lines)
          expect(ids).toEqual(lines.map(line => expected.get(line)))
          expect(added).toEqual(round === 0 ? [...expected.values()] : [])
        }
      }),
      { numRuns: 60 },
    )
  })

  test('order and escapes make other tags; blanks do, too', () => {
    scanner.clearTemplates()
    const texts = [
      '{"a":"1","b":"2"}',
      '{"b":"2","a":"1"}',
      '{"a":"\\u0031","b":"2"}',
      '{ "a":"1","b":"2"}',
      '{"a":"1","b":"2" }',
      '{"a":"1"}',
      '{}',
    ]
    learnShape(scanner, shapes[0]!('{}'))
    expect(scanAll(scanner, texts.map(shapes[0]!)).added).toEqual([0, 1, 2, 3, 4, 5, 6])
    expect(scanAll(scanner, texts.map(shapes[0]!).reverse()).ids).toEqual([6, 5, 4, 3, 2, 1, 0])
  })

  test('more templates than the table begins with, in any order', () => {
    scanner.clearTemplates()
    learnShape(scanner, shapes[0]!('{}'))
    const lines = Array.from({ length: 5000 }, (_, i) => shapes[0]!(`{"host":"${'h'.repeat(i % 70)}${i}"}`))
    const inOrder = lines.map((_, i) => i)
    expect(scanAll(scanner, lines).added).toEqual(inOrder)
    const shuffled = inOrder.map(i => (i * 1237) % 5000)
    expect(
      scanAll(
        scanner,
        shuffled.map(i => lines[i]!),
      ),
    ).toEqual({ ids: shuffled, added: [] })
    scanner.clearTemplates()
    learnShape(scanner, shapes[0]!('{}'))
    expect(scanAll(scanner, lines.slice(10, 20)).added).toEqual(inOrder.slice(0, 10))
  })

  test('a line whose slots are not legal never asks for its tags', () => {
    scanner.clearTemplates()
    learnShape(scanner, '{"tags":{},"value":1}')
    const bytes = encode('{"tags":{"new":"one"},"value":1.}\n')
    scanner.load(bytes, 0, bytes.length)
    expect(scanner.scan()).toBe('unrecognised')
  })

  test('a line whose tags do not end, or hold an object, is not taken', () => {
    scanner.clearTemplates()
    scanner.clearRows()
    learnShape(scanner, '{"value":1,"tags":{}}')
    for (const text of [
      '{"value":1,"tags":["a":"b"}}',
      '{"value":1,"tags":{"a":"b"',
      '{"value":1,"tags":{"a":{"b":"c"}}}',
      '{"value":1,"tags":{"a":"}}',
    ]) {
      const bytes = encode(`${text}\n{"value":1,"tags":{}}\n`)
      scanner.load(bytes, 0, bytes.length)
      expect(scanner.scan()).not.toBe('done')
      expect(scanner.rowCount()).toBe(0)
    }
  })
})

test('the table of templates has an end', () => {
  const scanner = createReferenceScanner(2)
  learnShape(scanner, '{"value":1,"tags":{}}')
  expect(scanAll(scanner, ['{"value":1,"tags":{"a":"1"}}', '{"value":1,"tags":{"a":"2"}}']).added).toEqual([0, 1])
  const bytes = encode('{"value":1,"tags":{"a":"3"}}\n')
  scanner.load(bytes, 0, bytes.length)
  expect(scanner.scan()).toBe('tags')
  expect(scanner.addTemplate()).toBe(-1)
})
