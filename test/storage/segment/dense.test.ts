/** Segments of dense blocks: the same rows in fewer bytes, whoever reads them; damage is told. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { verifySegment } from '../../../src/storage/segment/verify.ts'
import { curveContents, denseContents } from './fixture-contents.ts'
import {
  bufferOf,
  bulk,
  encode,
  expectSameRows,
  fields,
  kernelsByName,
  matching,
  metricOf,
  openBytes,
  randomOf,
  read,
  requestOf,
  setOf,
  write,
} from './model.ts'

const dense = { encoding: 'dense' } as const
const segmentOf = (input: object, kernels = kernelsByName['wasm']!): Uint8Array =>
  encode(
    denseContents.map(([metric, rows]) => ({ metric, rows: bufferOf(metric, rows), selection: undefined })),
    { input, kernels },
  )

describe('dense segments', () => {
  test('hold the same rows in fewer bytes, and twins write the same', () => {
    const bytes = segmentOf(dense)
    expect(bytes.length).toBeLessThan(0.85 * segmentOf({}).length)
    expect(segmentOf(dense, kernelsByName['reference'])).toEqual(bytes)
    for (const kernels of Object.values(kernelsByName)) {
      const { segment } = openBytes(bytes, { kernels })
      for (const [metric, rows] of denseContents)
        expectSameRows(read(segment, requestOf(metric)), matching(metric, rows, requestOf(metric)))
    }
  })

  for (const [name, counts] of Object.entries({
    'long and short series': [3, 1, 20_000, 5, 95, 96, 97, 1],
    'middling series': Array.from({ length: 20 }, (_, i) => 300 + 37 * i),
    'many short series': Array.from({ length: 1500 }, (_, i) => 1 + (i % 7)),
  })) {
    test(`${name}: any request`, () => {
      const metric = metricOf('m', fields('float', 'string', 'boolean', 'integer', 'float'))
      const rows = bulk(counts, 13)
      const { segment, environment, path } = write(metric, rows, { input: dense })
      expect(verifySegment(environment, path)).toMatchObject({ rows: rows.length })
      const random = randomOf(17)
      const pick = () => rows[Math.floor(random() * rows.length)]!
      for (let i = 0; i < 8; i++) {
        const [a, b] = [pick().timeUs, pick().timeUs]
        const request = requestOf(metric, {
          fields: metric.fields.filter(() => random() < 0.6),
          fromUs: Math.min(a, b),
          toUs: Math.max(a, b) + 1,
          series: random() < 0.3 ? undefined : setOf([pick().series, pick().series]),
        })
        expectSameRows(read(segment, request), matching(metric, rows, request))
      }
    })
  }

  test('of format version 1 stay readable', () => {
    const bytes = new Uint8Array(readFileSync(join(import.meta.dirname, 'fixtures', 'dense-1.seg')))
    const { segment, environment, path } = openBytes(bytes)
    for (const [metric, rows] of denseContents)
      expectSameRows(read(segment, requestOf(metric)), matching(metric, rows, requestOf(metric)))
    expect(verifySegment(environment, path)).toEqual({ rows: 6764, series: 34, groups: 5 })
  })

  test('of format version 1 with curves and long row groups stay readable', () => {
    const bytes = new Uint8Array(readFileSync(join(import.meta.dirname, 'fixtures', 'curves-1.seg')))
    const { segment, environment, path } = openBytes(bytes)
    for (const [metric, rows] of curveContents)
      expectSameRows(read(segment, requestOf(metric)), matching(metric, rows, requestOf(metric)))
    expect(verifySegment(environment, path)).toEqual({ rows: 9000, series: 1, groups: 1 })
  })
})
