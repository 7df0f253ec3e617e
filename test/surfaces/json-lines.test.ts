/** JSON bodies as NDJSON lines, however they are cut. Numbers in brackets are invariants of json-lines.ts. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { depthMax, JsonLines, lineBytesMax } from '../../src/surfaces/json-lines.ts'

const encoder = new TextEncoder()

function linesOf(bytes: Uint8Array, cuts: readonly number[] = []) {
  const body = new JsonLines()
  const ends = [...cuts.map(cut => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)
  const parts = ends.map((end, i) => body.push(bytes.subarray(ends[i - 1] ?? 0, end)))
  const text = new TextDecoder().decode(Buffer.concat([...parts, body.end()]))
  return { lines: text.split('\n').slice(0, -1), failure: body.failure }
}

const value = fc.jsonValue({ maxDepth: 4 })
const cuts = fc.array(fc.nat(), { maxLength: 6 })

describe('elements', () => {
  test('are the array’s, wherever the body is cut', () => {
    fc.assert(
      fc.property(fc.array(value), cuts, fc.nat({ max: 2 }), (rows, at, indent) => {
        const { lines, failure } = linesOf(encoder.encode(JSON.stringify(rows, undefined, indent)), at)
        expect(failure).toBeUndefined()
        expect(lines.map(line => JSON.parse(line))).toEqual(JSON.parse(JSON.stringify(rows)))
      }),
      { numRuns: 300 },
    )
  })

  test('are one for anything but an array', () => {
    fc.assert(
      fc.property(
        value.filter(one => !Array.isArray(one)),
        cuts,
        (row, at) => {
          const { lines, failure } = linesOf(encoder.encode(JSON.stringify(row)), at)
          expect(failure).toBeUndefined()
          expect(lines.map(line => JSON.parse(line))).toEqual([JSON.parse(JSON.stringify(row))])
        },
      ),
    )
  })

  test('keep the digits of their numbers, and both of two equal keys', () => {
    const text = '{"ts":1700000000123456789,"v":1.10e+400,"v":-0}'
    expect(linesOf(encoder.encode(`[${text}]`)).lines).toEqual([text])
  })
})

describe('failures', () => {
  test('never throw, whatever the bytes', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc
        .array(fc.constantFrom(...'[]{}",:0-1eE.tn\\u \n'), { maxLength: 60 })
        .map(texts => encoder.encode(texts.join(''))),
    )
    fc.assert(
      fc.property(bytes, cuts, (body, at) => {
        const { lines, failure } = linesOf(body, at)
        for (const line of lines) JSON.parse(line)
        let expected: unknown
        try {
          expected = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
        } catch {
          expect(failure).toBeDefined()
          return
        }
        expect(failure).toBeUndefined()
        expect(lines).toHaveLength(Array.isArray(expected) ? expected.length : 1)
      }),
      { numRuns: 1000 },
    )
  })

  test('come with their code [1, 2]', () => {
    const codeOf = (text: string) => linesOf(encoder.encode(text)).failure?.code
    expect(codeOf('')).toBe('invalid_json')
    expect(codeOf('[{"a":1}')).toBe('truncated_body')
    expect(codeOf('[1 2]')).toBe('invalid_json')
    expect(codeOf(`[${'['.repeat(depthMax)}`)).toBe('invalid_json')
    expect(codeOf(`["${'x'.repeat(lineBytesMax + 4096)}"]`)).toBe('line_too_long')
  })
})
