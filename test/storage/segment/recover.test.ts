/** A segment tells everything that is needed to rebuild manifest and catalog; old files stay readable. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { segmentEnvironment } from '../../../src/storage/segment/environment.ts'
import { LimitedFiles } from '../../../src/storage/segment/limited-files.ts'
import { readSegmentMeta, segmentSeries } from '../../../src/storage/segment/recover.ts'
import { openSegment } from '../../../src/storage/segment/segment.ts'
import { verifySegment } from '../../../src/storage/segment/verify.ts'
import { fixtureContents } from './fixture-contents.ts'
import {
  bufferOf,
  encode,
  expectSameRows,
  fields,
  inOrder,
  keys,
  matching,
  metricOf,
  openBytes,
  portsOf,
  type Row,
  read,
  requestOf,
  TestCatalog,
  wasmKernels,
} from './model.ts'

const cpu = metricOf('cpu', fields('float', 'integer'))
const log = metricOf('my log', fields('string', 'boolean'))
const cpuRows: Row[] = Array.from({ length: 60 }, (_, i) => ({
  series: i % 3,
  timeUs: 1.7e15 + i * 1e6,
  values: [i / 4, i % 2 === 0 ? i : undefined],
}))
const logRows: Row[] = [
  { series: 0, timeUs: 1.6e15, values: ['started', true] },
  { series: 5, timeUs: 1.6e15 + 1, values: ['ünïcode "quoted"', undefined] },
  { series: 5, timeUs: 1.6e15 + 2, values: [undefined, false] },
]
const bytesOfBoth = (): Uint8Array =>
  encode(
    [
      { metric: cpu, rows: bufferOf(cpu, cpuRows), selection: undefined },
      { metric: log, rows: bufferOf(log, logRows), selection: undefined },
    ],
    { input: { minLsn: 12, maxLsn: 34, retentionClass: 2, replaced: ['0005', '0006'] } },
  )

describe('recovery', () => {
  test('the header tells the manifest entry and what was replaced', () => {
    const bytes = bytesOfBoth()
    const { environment, path } = openBytes(bytes)
    const { meta, header } = readSegmentMeta(environment, path)
    expect(meta).toEqual({
      id: '1',
      path,
      minTimeUs: 1.6e15,
      maxTimeUs: 1.7e15 + 59e6,
      minLsn: 12,
      maxLsn: 34,
      rows: 63,
      bytes: bytes.length,
    })
    expect(header).toMatchObject({
      kind: { kind: 'rows' },
      dedupe: 'merge',
      retentionClass: 2,
      replaced: ['0005', '0006'],
      seriesCount: 5,
    })
  })

  test('the dictionary tells every series with its metric, fields, id and ordinal', () => {
    const { environment, path } = openBytes(bytesOfBoth())
    const found = [...segmentSeries(environment, path)]
    expect(found.map(({ metric }) => metric)).toEqual(['cpu', 'my log'])
    expect(found[1]!.fields).toEqual([
      { name: 'string0', type: 'string' },
      { name: 'boolean1', type: 'boolean' },
    ])
    for (const { series, ids, ordinals } of found) {
      for (const [i, ordinal] of ordinals.entries()) {
        expect(series[i]).toEqual(keys.tagsOf(ordinal))
        expect(ids[i]).toBe(keys.ids.at(ordinal))
      }
    }
    expect(found.map(({ ordinals }) => [...ordinals].sort())).toEqual([
      [0, 1, 2],
      [0, 5],
    ])
  })

  test('more series than a page holds', () => {
    const rows = Array.from({ length: 9000 }, (_, series) => ({ series, timeUs: 1, values: [1, 2] }))
    const { environment, path } = openBytes(encode([{ metric: cpu, rows: bufferOf(cpu, rows), selection: undefined }]))
    const tags = [...segmentSeries(environment, path)].flatMap(({ series }) => series)
    expect(tags).toEqual(inOrder(cpu, rows).map(({ series }) => keys.tagsOf(series)))
    expect(verifySegment(environment, path)).toEqual({ rows: 9000, series: 9000, groups: 2 })
  })
})

describe('format version 1', () => {
  test('stays readable', () => {
    const bytes = new Uint8Array(readFileSync(join(import.meta.dirname, 'fixtures', 'version-1.seg')))
    const { segment, environment, path } = openBytes(bytes)
    for (const [metric, rows] of fixtureContents)
      expectSameRows(read(segment, requestOf(metric)), matching(metric, rows, requestOf(metric)))
    expect(verifySegment(environment, path)).toEqual({ rows: 3364, series: 32, groups: 3 })
  })
})

describe('limits', () => {
  test('handles: the least recently used is closed, and opened again on demand', () => {
    const { files } = portsOf()
    for (const name of ['a', 'b', 'c']) files.open(name, 'create').write(Uint8Array.of(name.charCodeAt(0)), 0)
    const limited = new LimitedFiles(files, 2)
    const first = limited.open('a')
    const target = new Uint8Array(1)
    for (const name of ['b', 'a', 'c', 'b', 'a', 'c']) {
      expect(limited.open(name).read(target, 0)).toBe(1)
      expect(target[0]).toBe(name.charCodeAt(0))
      expect(limited.openFiles).toBeLessThanOrEqual(2)
    }
    expect(() => first.size()).toThrow('EBADF')
  })

  test('many segments on few handles and hardly a cache', () => {
    const ports = portsOf()
    ports.files.makeDirectory('data/segments/all')
    const environment = segmentEnvironment(ports, wasmKernels, {
      directory: 'data',
      openFilesMax: 2,
      cacheBytesMax: 5000,
    })
    const segments = Array.from({ length: 9 }, (_, i) => {
      const path = `segments/all/${i}.seg`
      const rows = cpuRows.map(row => ({ ...row, timeUs: row.timeUs + i }))
      ports.files
        .open(`data/${path}`, 'create')
        .write(encode([{ metric: cpu, rows: bufferOf(cpu, rows), selection: undefined }]), 0)
      return { rows, segment: openSegment(environment, readSegmentMeta(environment, path).meta, new TestCatalog()) }
    })
    for (let round = 0; round < 3; round++) {
      for (const { rows, segment } of segments) {
        expectSameRows(read(segment, requestOf(cpu)), matching(cpu, rows, requestOf(cpu)))
        expect(environment.files.openFiles).toBeLessThanOrEqual(2)
        expect(environment.cache.bytes).toBeLessThanOrEqual(5000)
      }
    }
    for (const { segment } of segments) segment.close()
    expect(environment.files.openFiles).toBe(0)
  })
})
