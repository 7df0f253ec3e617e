/** Damage is found and told as `corrupt_segment` with the file; a wrong answer, another error or a hang never comes of it. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SydraError } from '../../../src/lib/errors.ts'
import { memoryFiles } from '../../../src/lib/memory-files.ts'
import { nodeChecksums, nodeZstd } from '../../../src/lib/node/ports.ts'
import type { Checksums } from '../../../src/lib/ports.ts'
import { encodeSegment } from '../../../src/storage/segment/encode.ts'
import { type SegmentEnvironment, segmentEnvironment } from '../../../src/storage/segment/environment.ts'
import { readSegmentMeta, segmentSeries } from '../../../src/storage/segment/recover.ts'
import { openSegment } from '../../../src/storage/segment/segment.ts'
import { verifySegment } from '../../../src/storage/segment/verify.ts'
import {
  bufferOf,
  expectSameRows,
  fields,
  incarnation,
  keys,
  matching,
  metricOf,
  type Row,
  randomOf,
  read,
  requestOf,
  TestCatalog,
  wasmKernels,
} from './model.ts'

const metric = metricOf('m', fields('float', 'string', 'boolean', 'integer'))
const path = 'segments/all/1.seg'

function rowsWith(counts: readonly number[]): Row[] {
  const random = randomOf(8)
  return counts.flatMap((count, series) =>
    Array.from({ length: count }, (_, i) => ({
      series,
      timeUs: i * 1000 + Math.floor(random() * 900),
      values: [
        random() < 0.1 ? undefined : random() < 0.05 ? Number.NaN : Math.round(random() * 1e4) / 100,
        random() < 0.5 ? undefined : `s${i % 3}`,
        random() < 0.5,
        i === 3 ? 7 : undefined,
      ],
    })),
  )
}

/** A checksum that is always right: what it would have caught must be survived, too. */
const noChecksums: Checksums = { crc32: () => 0 }

function environmentOf(bytes: Uint8Array, checksums: Checksums): SegmentEnvironment {
  const files = memoryFiles()
  files.makeDirectory('data/segments/all')
  const file = files.open(`data/${path}`, 'create')
  file.write(bytes, 0)
  file.close()
  return segmentEnvironment({ files, checksums, zstd: nodeZstd }, wasmKernels, { directory: 'data' })
}

function encode(rows: readonly Row[], checksums: Checksums): Uint8Array {
  const metrics = [{ metric, rows: bufferOf(metric, rows), selection: undefined }]
  const input = { minLsn: 1, maxLsn: 2, incarnation, metrics, keys, replaced: ['a', 'b'] }
  return encodeSegment(input, wasmKernels, checksums, nodeZstd)
}

/** Opens with what the manifest knew, reads all rows through all paths, and the dictionary. */
function readAll(environment: SegmentEnvironment, whole: Uint8Array): Row[] {
  const meta = {
    id: '1',
    path,
    minTimeUs: -Infinity,
    maxTimeUs: Infinity,
    minLsn: 1,
    maxLsn: 2,
    rows: 0,
    bytes: whole.length,
  }
  for (const _ of segmentSeries(environment, path));
  const request = requestOf(metric)
  const segment = openSegment(environment, meta, new TestCatalog())
  for (const piece of segment.pieces(request)) for (const field of metric.fields.keys()) piece.statistics(field)
  return read(segment, request)
}

function corruption(task: () => unknown): SydraError | undefined {
  try {
    task()
    return undefined
  } catch (error) {
    if (!(error instanceof SydraError)) throw error
    expect(error.code).toBe('corrupt_segment')
    expect(error.message).toMatch(/segments\/all\/1\.seg is damaged at byte \d+/)
    return error
  }
}

describe('damage', () => {
  const rows = rowsWith([30, 3, 110, 1])
  const bytes = encode(rows, nodeChecksums)

  test('every byte is covered: a flipped bit anywhere is found by verify, and never gives other rows', () => {
    const expected = matching(metric, rows, requestOf(metric))
    expect(verifySegment(environmentOf(bytes, nodeChecksums), path)).toEqual({ rows: 144, series: 4, groups: 1 })
    for (let at = 0; at < bytes.length; at++) {
      const damaged = bytes.slice()
      damaged[at]! ^= 1 << (at % 8)
      const environment = environmentOf(damaged, nodeChecksums)
      expect(
        corruption(() => verifySegment(environment, path)),
        `byte ${at}`,
      ).toBeDefined()
      corruption(() => expectSameRows(readAll(environment, bytes), expected))
    }
  })

  test('a file cut anywhere, or with bytes too many', () => {
    for (let length = 0; length < bytes.length; length++) {
      const environment = environmentOf(bytes.slice(0, length), nodeChecksums)
      expect(
        corruption(() => readAll(environment, bytes)),
        `cut at ${length}`,
      ).toBeDefined()
      expect(corruption(() => readSegmentMeta(environment, path))).toBeDefined()
    }
    const longer = new Uint8Array(bytes.length + 1)
    longer.set(bytes)
    expect(corruption(() => readAll(environmentOf(longer, nodeChecksums), bytes))).toBeDefined()
  })

  test('two halves of different segments', () => {
    const other = encode(
      rows.map(row => ({ ...row, timeUs: row.timeUs + 1 })),
      nodeChecksums,
    )
    expect(other.length).toBe(bytes.length)
    for (const at of [104, bytes.length >> 1, bytes.length - 32]) {
      const mixed = bytes.slice()
      mixed.set(other.subarray(at), at)
      expect(corruption(() => readAll(environmentOf(mixed, nodeChecksums), bytes))).toBeDefined()
    }
  })

  test('a file that is gone', () => {
    const environment = environmentOf(bytes, nodeChecksums)
    environment.ports.files.remove(`data/${path}`)
    expect(corruption(() => readAll(environment, bytes))?.message).toContain('missing')
  })

  test('a device that fails is an io_error', () => {
    const environment = environmentOf(bytes, nodeChecksums)
    const { files } = environment.ports
    const failing = {
      ...files,
      open: (name: string) => ({
        ...files.open(name, 'read'),
        read: () => {
          throw Object.assign(new Error('EIO: read'), { code: 'EIO' })
        },
      }),
    }
    const broken = segmentEnvironment({ ...environment.ports, files: failing }, wasmKernels, { directory: 'data' })
    expect(() => readAll(broken, bytes)).toThrow(expect.objectContaining({ code: 'io_error' }))
  })
})

describe('damage that checksums miss', () => {
  const rows = rowsWith([40, 3, 120, 1])
  const bytes = encode(rows, noChecksums)

  test('single bytes', () => {
    for (let at = 0; at < bytes.length; at++) {
      for (const value of [at % 2 === 0 ? 0 : 255, bytes[at]! ^ 1]) {
        const damaged = bytes.slice()
        damaged[at] = value
        survives(damaged)
      }
    }
  })

  test('several bytes', () => {
    const edit = fc.record({ at: fc.nat(bytes.length - 1), value: fc.integer({ min: 0, max: 255 }) })
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 20 }), edits => {
        const damaged = bytes.slice()
        for (const { at, value } of edits) damaged[at] = value
        survives(damaged, edits.length % 2 === 0)
      }),
      { numRuns: 500 },
    )
  })

  function survives(damaged: Uint8Array, verify = false): void {
    try {
      const environment = environmentOf(damaged, noChecksums)
      if (verify) verifySegment(environment, path)
      readAll(environment, bytes)
    } catch (error) {
      if (!(error instanceof SydraError)) throw error
      expect(error.code).toBe('corrupt_segment')
    }
  }
})
