/**
 * A random database of one metric `m` on the real storage: rows in segments, frozen and active memtables, late and
 * doubled; beside it the merged rows as objects.
 *
 *   fields  f float with NaN, infinities and -0    g float, sparse    n integer    b boolean    s string
 */

import { openStorage, type Storage } from '../../src/engine/recovery/open-storage.ts'
import { memoryFiles } from '../../src/lib/memory-files.ts'
import { nodePorts } from '../../src/lib/node/ports.ts'
import type { Clock } from '../../src/lib/ports.ts'
import { parseSettings } from '../../src/lib/settings.ts'
import type { FieldRows, FieldType, MetricInfo, RowBatch, Tags } from '../../src/storage/types.ts'
import type { SeededRandom } from '../simulated/random.ts'
import { rollUp } from '../storage/rollup/publish.ts'
import { numbers, type Row, type Scalar, texts } from './expressions.ts'
import type { Setting } from './queries.ts'

export interface ModelDatabase {
  readonly storage: Storage
  readonly setting: Setting
  /** Merged, in no order. */
  readonly rows: readonly Row[]
}

const fieldTypes: Readonly<Record<string, FieldType>> = {
  f: 'float',
  g: 'float',
  n: 'integer',
  b: 'boolean',
  s: 'string',
}
const fieldNames = Object.keys(fieldTypes)

interface Written {
  readonly series: number
  readonly timeUs: number
  readonly values: Readonly<Record<string, Scalar>>
}

/** Around the night in which clocks in Amsterdam went forward. */
const startUs = Date.UTC(2024, 2, 30, 17) * 1000
const hourUs = 3600e6

/** `finite`: without NaN and infinities. */
export async function randomDatabase(random: SeededRandom, finite = false): Promise<ModelDatabase> {
  const pick = <T>(choices: readonly T[]): T => choices[random.below(choices.length)]!
  const duplicates = random.chance(0.8) ? 'last' : 'first'
  const settings = parseSettings({ dataDir: 'data', duplicates, fsync: 'none' })
  const clock: Clock = { nowUs: () => startUs, monotonicMs: () => 0 }
  const files = memoryFiles()
  const storage = await openStorage(settings, { ...nodePorts(), files, clock }, () => {})
  const { catalog } = storage
  const metric = catalog.useMetric('m')
  for (const name of fieldNames) catalog.useField(metric, name, fieldTypes[name]!)
  const other = catalog.useMetric('other')
  catalog.useField(other, 'f', 'float')

  const isLarge = random.chance(0.2)
  const seriesCount = pick(isLarge ? [1, 3, 40] : [1, 2, 5, 12])
  // One series has both tags, so that the columns are known.
  const series = [
    catalog.useSeries(metric, [
      ['dc', 'x'],
      ['host', 'a'],
    ]),
  ]
  while (series.length < seriesCount) series.push(catalog.useSeries(metric, randomTags(random)))
  const rowCount = isLarge ? 1500 + random.below(5000) : pick([0, 3, 20, 60, 150])
  // No two rows of one time: segments of one write after another stand alone, and statistics may answer for them.
  const isApart = random.chance(0.35)
  const crowded = isLarge ? Math.max(8, Math.floor(rowCount / seriesCount / pick([0.5, 1, 2]))) : pick([4, 15, 60])
  const steps = isApart ? Math.max(rowCount, 4) : crowded
  const stepUs = pick(isLarge ? [1, 1e6] : [1, 1e6, 17 * 60e6, hourUs, 24 * hourUs])
  const plain = random.chance(0.4)

  // Mostly in order, so that segments stand alone; or all over the place. Values come from a few at a time, so that blocks
  // differ in what they hold.
  const lateness = isApart ? 0 : pick([0, 0.02, 0.4])
  const choices = finite ? numbers.filter(Number.isFinite) : numbers
  const fewNumbers = () => Array.from({ length: 1 + random.below(4) }, () => pick(choices))
  let pool = fewNumbers()
  const written: Written[] = []
  for (let i = 0; i < rowCount; i++) {
    const step = random.chance(lateness) ? random.below(steps) : Math.floor((i * steps) / rowCount)
    if (random.chance(isLarge ? 0.002 : 0.1)) pool = fewNumbers()
    const values: Record<string, Scalar> = {}
    if (random.chance(0.8)) values['f'] = plain ? random.below(1000) / 10 : pick(pool)
    if (random.chance(0.15)) values['g'] = plain ? random.below(100) : pick(pool)
    if (random.chance(0.5)) values['n'] = random.below(20) - 10
    if (random.chance(0.4)) values['b'] = random.chance(0.5)
    if (random.chance(0.5)) values['s'] = pick(texts)
    if (Object.keys(values).length === 0) values['f'] = 1
    written.push({ series: pick(series), timeUs: startUs + step * stepUs, values })
  }

  const setting: Setting = {
    startUs,
    stepUs,
    steps,
    samples: [0, ...written.map(({ values }) => values['f']).filter(value => typeof value === 'number')].slice(-50),
  }

  // Commits of a few rows each; now and then the memtable is frozen, and frozen ones are flushed.
  let lsn = 0
  for (let from = 0; from < written.length; ) {
    const count = 1 + random.below(Math.max(3, written.length / pick([2, 5, 12])))
    storage.versions.apply(++lsn, [batchOf(metric, written.slice(from, from + count))])
    if (random.chance(0.2))
      storage.versions.apply(++lsn, [
        batchOf(other, [{ series: catalog.useSeries(other, []), timeUs: startUs, values: { f: 1 } }]),
      ])
    from += count
    if (random.chance(0.35)) {
      storage.versions.freeze()
      if (random.chance(0.85)) await flushAll(storage)
    }
  }
  if (random.chance(0.5))
    await rollUp(storage, { widthsUs: [60e6, 300e6, hourUs, 24 * hourUs], files, directory: 'data' })
  return { storage, setting, rows: merged(written, storage, duplicates === 'last') }
}

async function flushAll(storage: Storage): Promise<void> {
  for (const frozen of storage.versions.frozen) {
    const segments = await storage.writeSegments(frozen)
    const live = await storage.commitFlush(frozen, segments)
    storage.versions.flushed(frozen, storage.openSegments(segments), live)
  }
}

function randomTags(random: SeededRandom): Tags {
  const pick = (choices: readonly (string | undefined)[]) => choices[random.below(choices.length)]
  const dc = pick([undefined, 'x', 'y', 'a'])
  const host = pick([undefined, 'a', 'b', 'é', '\uff5e', '𝒳', 'B'])
  return [...(dc === undefined ? [] : [['dc', dc] as const]), ...(host === undefined ? [] : [['host', host] as const])]
}

function batchOf(metric: MetricInfo, rows: readonly Written[]): RowBatch {
  const fields: FieldRows[] = []
  for (const field of metric.fields) {
    const cells = rows.map(row => row.values[field.name] ?? null)
    if (cells.every(cell => cell === null)) continue
    const strings: string[] = []
    const values = cells.map(cell =>
      field.type === 'string' && cell !== null ? strings.push(cell as string) - 1 : Number(cell),
    )
    const array = field.type === 'boolean' ? Uint8Array : field.type === 'string' ? Uint32Array : Float64Array
    fields.push({
      field,
      values: array.from(values),
      valid: cells.includes(null) ? Uint8Array.from(cells, cell => Number(cell !== null)) : undefined,
      strings: field.type === 'string' ? strings : undefined,
    })
  }
  const length = rows.length
  return {
    metrics: [
      {
        metric,
        length,
        series: Uint32Array.from(rows, row => row.series),
        timeUs: Float64Array.from(rows, row => row.timeUs),
        fields,
      },
    ],
    rowCount: length,
    byteLength: length * 64,
  }
}

function merged(written: readonly Written[], { catalog }: Storage, lastWins: boolean): Row[] {
  const rows = new Map<string, Record<string, Scalar>>()
  for (const { series, timeUs, values } of written) {
    const key = `${series} ${timeUs}`
    let row = rows.get(key)
    if (row === undefined) {
      row = { time: timeUs, series: catalog.printed.at(series), series_id: catalog.ids.at(series) }
      for (const name of ['host', 'dc']) row[`tag.${name}`] = null
      for (const [name, value] of catalog.tagsOf(series)) row[`tag.${name}`] = value
      for (const name of fieldNames) row[name] = null
      rows.set(key, row)
    }
    for (const [name, value] of Object.entries(values)) if (lastWins || row[name] === null) row[name] = value
  }
  return [...rows.values()]
}
