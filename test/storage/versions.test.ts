/** Who retains what: a memtable's memory goes to the next one only when nobody can read it any more. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { Catalog } from '../../src/storage/catalog/catalog.ts'
import { loadSeriesHasher } from '../../src/storage/catalog/identity.ts'
import { ChunkPool, chunkRowsMax } from '../../src/storage/memtable/chunk-memory.ts'
import { LayeredMemtable } from '../../src/storage/memtable/layers.ts'
import { newReadStatistics } from '../../src/storage/read-statistics.ts'
import { retentionRules } from '../../src/storage/retention/rules.ts'
import { RowBuffer } from '../../src/storage/row-buffer.ts'
import { Tombstones } from '../../src/storage/tombstones/tombstones.ts'
import type { Version } from '../../src/storage/types.ts'
import { Versions } from '../../src/storage/versions.ts'

/** Versions over one series, and ways to write to and read from them. */
async function harness() {
  const hash = await loadSeriesHasher()
  const catalog = new Catalog({ incarnation: '00'.repeat(16), hash, seriesMax: 100 })
  const metric = catalog.useMetric('m')
  const field = catalog.useField(metric, 'value', 'float')
  const series = catalog.useSeries(metric, [])
  const pool = new ChunkPool()
  const newMemtable = () => new LayeredMemtable({ duplicates: 'last', catalog, pool })
  const tombstones = Tombstones.none
  const versions = new Versions({
    catalog,
    newMemtable,
    memtable: newMemtable(),
    segments: [],
    lsn: 0,
    tombstones,
    clock: { nowUs: () => 0, monotonicMs: () => 0 },
    rules: retentionRules({ retentionDays: 0, retention: {} }),
    discard: () => {},
  })

  const length = 2 * chunkRowsMax
  /** Rows that all have this value. */
  const commit = (value: number): void => {
    const values = new Float64Array(length).fill(value)
    const timeUs = Float64Array.from({ length }, (_, i) => i)
    const fields = [{ field, values, valid: undefined, strings: undefined }]
    const rows = { metric, length, series: new Uint32Array(length).fill(series), timeUs, fields }
    versions.apply(versions.lsn + 1, [{ metrics: [rows], rowCount: length, byteLength: 0 }])
  }
  const flush = (): void => versions.flushed(versions.freeze()!, [], new Set())
  const seen = (version: Version): number[] => {
    const into = new RowBuffer([field])
    const range = { fromUs: -Infinity, toUs: Infinity, series: undefined }
    const request = { metric, fields: [field], ...range, statistics: newReadStatistics() }
    for (const piece of version.pieces(request)) piece.read(-Infinity, Infinity, into)
    return [...new Set(into.fields[0]!.values.subarray(0, into.length))]
  }
  return { versions, pool, commit, flush, seen }
}

test('a pin of any age keeps its memtables', async () => {
  const { versions, pool, commit, flush, seen } = await harness()
  commit(1)
  const active = versions.pin()
  const frozen = versions.freeze()!
  const waiting = versions.pin()
  versions.flushed(frozen, [], new Set())
  commit(2)
  flush()
  commit(3)
  expect([seen(active), seen(waiting), seen(versions.pin())]).toEqual([[1], [1], [3]])
  active.release()
  flush()
  commit(4)
  expect(seen(waiting)).toEqual([1])
  const waitingBytes = pool.bytes
  waiting.release()
  waiting.release()
  expect(pool.bytes).toBeGreaterThan(waitingBytes)
})

test('the memtable that it began with is collected once it is flushed', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const { versions, commit, flush } = await harness()
  commit(1)
  const first = new WeakRef(versions.active)
  flush()
  // A reference that was looked at stays until the turn ends.
  await new Promise(resolve => setImmediate(resolve))
  collect()
  expect(first.deref()).toBeUndefined()
  expect(versions.active.isEmpty).toBe(true)
})

test('the oldest pins are told to go, as far as flushed memtables must, and no pin twice', async () => {
  const { versions, pool, commit, flush, seen } = await harness()
  const told: number[] = []
  const pinned = (name: number): Version => versions.pin(() => told.push(name))
  const empty = pinned(0)
  commit(1)
  const kept = versions.pin()
  const first = [pinned(1), pinned(2)]
  flush()
  const { pinnedBytes } = versions
  expect(pinnedBytes).toBeGreaterThan(0)
  commit(2)
  const second = pinned(3)
  flush()
  commit(3)
  const active = pinned(4)
  expect(versions.pinnedBytes).toBe(2 * pinnedBytes)
  kept.release()

  expect([versions.expire(1), told]).toEqual([2, [1, 2]])
  expect([versions.expire(pinnedBytes), told]).toEqual([0, [1, 2]])
  expect(seen(first[0]!)).toEqual([1])
  for (const pin of first) pin.release()
  expect(versions.pinnedBytes).toBe(pinnedBytes)
  expect([versions.expire(10 * pinnedBytes), told]).toEqual([1, [1, 2, 3]])
  expect([seen(empty), seen(second), seen(active)]).toEqual([[], [2], [3]])
  second.release()
  expect([versions.pinnedBytes, pool.bytes > 0]).toEqual([0, true])

  flush()
  const unending = versions.pin()
  expect([versions.expire(1), seen(active), seen(unending)]).toEqual([1, [3], []])
})
