/** First and last values that sources know: whatever is known is what reading finds, under late, double and deleted rows. */
import { expect, test } from 'vitest'
import type { Storage } from '../../src/engine/recovery/open-storage.ts'
import { seriesSet } from '../../src/operators/scan/series.ts'
import { sortRows } from '../../src/storage/merge.ts'
import { newReadStatistics } from '../../src/storage/read-statistics.ts'
import { RowBuffer } from '../../src/storage/row-buffer.ts'
import type { End } from '../../src/storage/series-ends.ts'
import type { MetricInfo, ReadRequest, Version } from '../../src/storage/types.ts'
import { randomDatabase } from '../model/database.ts'
import { SeededRandom } from '../simulated/random.ts'

/** By series its value at the end and when it is, read. */
function read(version: Version, { catalog, duplicates }: Storage, request: ReadRequest, end: End) {
  const rows = new RowBuffer(request.fields)
  for (const piece of version.pieces(request)) piece.read(request.fromUs, request.toUs, rows)
  sortRows(rows, 'series-time', catalog.ranks(request.metric.id), duplicates)
  const found = new Map<number, { readonly timeUs: number; readonly value: number }>()
  const { values, valid } = rows.fields[0]!
  for (let row = 0; row < rows.length; row++) {
    const series = rows.series[row]!
    if (valid[row] === 1 && (end === 'last' || !found.has(series)))
      found.set(series, { timeUs: rows.timeUs[row]!, value: values[row]! })
  }
  return found
}

function deleteSome(
  { versions, catalog }: Storage,
  metric: MetricInfo,
  random: SeededRandom,
  times: () => number,
): void {
  const all = catalog.seriesOf(metric.id)
  const series = random.chance(0.5) ? undefined : all.filter(() => random.chance(0.4))
  const ends = [times(), times()].sort((a, b) => a - b)
  if (series?.length !== 0)
    versions.delete(versions.lsn + 1, { metric: metric.id, fromUs: ends[0]!, toUs: ends[1]! + 1, series }, metric)
}

function writeSome(
  { versions, catalog }: Storage,
  metric: MetricInfo,
  random: SeededRandom,
  times: () => number,
): void {
  const all = catalog.seriesOf(metric.id)
  const length = 1 + random.below(20)
  const series = Uint32Array.from({ length }, () => all[random.below(all.length)]!)
  const timeUs = Float64Array.from({ length }, times)
  const values = Float64Array.from({ length }, () => random.below(100))
  const fields = [{ field: metric.fields[0]!, values, valid: undefined, strings: undefined }]
  const rows = { metric, length, series, timeUs, fields }
  versions.apply(versions.lsn + 1, [{ metrics: [rows], rowCount: length, byteLength: 0 }])
}

test('what is known is what reading finds', async () => {
  let [known, all] = [0, 0]
  for (let seed = 0; seed < 100; seed++) {
    const random = new SeededRandom(seed)
    const { storage, setting } = await randomDatabase(random)
    const { versions, catalog } = storage
    const metric = catalog.metric('m')!
    const time = (): number => setting.startUs + random.below(setting.steps + 2) * setting.stepUs
    for (let change = random.below(4); change > 0; change--)
      (random.chance(0.5) ? deleteSome : writeSome)(storage, metric, random, time)
    const version = versions.pin()
    for (let asked = 0; asked < 6; asked++) {
      const end: End = random.chance(0.7) ? 'last' : 'first'
      const field = metric.fields[random.below(3)]!
      const some = catalog.seriesOf(metric.id).filter(() => random.chance(0.6))
      const series = random.chance(0.5) ? undefined : seriesSet(some)
      const fromUs = random.chance(0.6) ? -Infinity : time()
      const toUs = random.chance(0.6) ? Infinity : time()
      const request = { metric, fields: [field], fromUs, toUs, series, statistics: newReadStatistics() }
      const ordinals = series?.ordinals ?? catalog.seriesOf(metric.id)
      const ends = version.ends!(request, ordinals, end)
      const found = read(version, storage, request, end)
      for (const [place, ordinal] of ordinals.entries()) {
        if (found.has(ordinal)) all++
        if (!ends.isKnown(place)) continue
        known++
        const told = { timeUs: ends.timeUs(place), value: ends.values[place]! }
        expect(told, `seed ${seed}, ${end} ${field.name} of ${ordinal}`).toEqual(found.get(ordinal))
      }
    }
    version.release()
  }
  // they are worth asking for
  expect(known / all).toBeGreaterThan(0.25)
})
