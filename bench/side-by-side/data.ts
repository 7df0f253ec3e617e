/**
 * The data that all engines are given: the shape of TSBS's cpu-only use case (https://github.com/timescale/tsbs).
 *
 *   100 hosts × 10 fields every 10 s = 8.64 M points a day; 8 tags; each field of each host a seeded random walk
 *   from 0 to 100 whose steps are normal, of mean 0 and deviation 1
 *
 *   values   decimal   of two decimals          integer   rounded          double   all 17 digits
 *   forms    wide      NDJSON, ten fields a line        narrow    NDJSON, one point a line, a metric for each field
 *            flat      NDJSON, a column each: what other engines read as it is
 *            influx wide, influx narrow        line protocol, ten fields a line and one
 *
 * All forms hold the same points in time order. Files are written once and found by later runs.
 */
import { closeSync, existsSync, mkdirSync, openSync, renameSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { normal, uniform } from '../random.ts'

export const fields = [
  'usage_user',
  'usage_system',
  'usage_idle',
  'usage_nice',
  'usage_iowait',
  'usage_irq',
  'usage_softirq',
  'usage_steal',
  'usage_guest',
  'usage_guest_nice',
] as const
export const tagNames = ['hostname', 'region', 'datacenter', 'rack', 'os', 'arch', 'team', 'service'] as const
export const hosts = 100
export const stepSeconds = 10
export const startMs = Date.UTC(2024, 0, 1)

export type Values = 'decimal' | 'integer' | 'double'
export type Form = 'wide' | 'narrow' | 'flat' | 'influx wide' | 'influx narrow'

export interface Data {
  readonly values: Values
  readonly points: number
  /** Rows of ten fields: hosts × steps. */
  readonly rows: number
  readonly steps: number
  /** The first moment after the last step. */
  readonly endMs: number
}

export const dataOf = (days: number, values: Values): Data => {
  const steps = Math.round((days * 86_400) / stepSeconds)
  const rows = steps * hosts
  return { values, points: rows * fields.length, rows, steps, endMs: startMs + steps * stepSeconds * 1000 }
}

export interface DataFile {
  readonly path: string
  readonly bytes: number
}

const chunkChars = 1 << 20

/** The points in a form; the first time they are written. */
export function fileOf(data: Data, form: Form): DataFile {
  const directory = join(tmpdir(), 'sydradb-bench')
  mkdirSync(directory, { recursive: true })
  const path = join(directory, `cpu-only-normal-${data.values}-${data.steps}-${form.replace(' ', '-')}.ndjson`)
  if (!existsSync(path)) write(data, form, path)
  return { path, bytes: statSync(path).size }
}

/** Lines of rows of ten fields that follow the data, 1,000 rows; `at` where each says its time, 13 digits of ms. */
export interface Following {
  readonly body: Buffer
  readonly at: readonly number[]
}
export const followingRows = 1000

/** For a load that goes on: the same body again and again, with later times. */
export function followingOf(data: Data, form: 'wide' | 'influx wide'): Following {
  const lineOf = linesOf[form]
  const at: number[] = []
  let text = ''
  for (const { timeMs, host, values } of rowsOf(
    dataOf((followingRows / hosts) * (stepSeconds / 86_400), data.values),
  )) {
    const line = lineOf(timeMs, host, values)
    at.push(text.length + line.indexOf(String(timeMs)))
    text += line
  }
  return { body: Buffer.from(text), at }
}

/** Writes the times of the rows from `firstMs` on; gives the time after the last. */
export function stamp({ body, at }: Following, firstMs: number): number {
  for (const [row, offset] of at.entries())
    body.write(String(firstMs + Math.floor(row / hosts) * stepSeconds * 1000), offset, 'latin1')
  return firstMs + (at.length / hosts) * stepSeconds * 1000
}

function write(data: Data, form: Form, path: string): void {
  const temporary = `${path}.${process.pid}`
  const file = openSync(temporary, 'w')
  let text = ''
  const lineOf = linesOf[form]
  for (const { timeMs, host, values } of rowsOf(data)) {
    text += lineOf(timeMs, host, values)
    if (text.length < chunkChars) continue
    writeSync(file, text)
    text = ''
  }
  writeSync(file, text)
  closeSync(file)
  renameSync(temporary, path)
}

export interface DataRow {
  readonly timeMs: number
  readonly host: number
  /** By field. Borrowed until the next row. */
  readonly values: Float64Array
}

/** The points as rows of ten fields, by time, then host. */
export function* rowsOf({ values, steps }: Data): Generator<DataRow> {
  const random = uniform(20_240_101)
  const move = normal(random)
  const walks = Array.from({ length: hosts }, () => Float64Array.from(fields, () => random() * 100))
  const shownOf = {
    decimal: (value: number): number => Math.round(value * 100) / 100,
    integer: Math.round,
    double: (value: number): number => value,
  }[values]
  const shown = new Float64Array(fields.length)
  for (let step = 0; step < steps; step++) {
    for (let host = 0; host < hosts; host++) {
      const walk = walks[host]!
      for (let field = 0; field < walk.length; field++) {
        const moved = Math.min(100, Math.max(0, walk[field]! + move()))
        walk[field] = moved
        shown[field] = shownOf(moved)
      }
      yield { timeMs: startMs + step * stepSeconds * 1000, host, values: shown }
    }
  }
}

/** The points as columns, for programs that make rows of their own while the clock runs. */
export interface DataColumns {
  readonly timeMs: Float64Array
  readonly host: Uint32Array
  /** By field. */
  readonly values: readonly Float64Array[]
}

export function columnsOf(data: Data): DataColumns {
  const timeMs = new Float64Array(data.rows)
  const host = new Uint32Array(data.rows)
  const values = fields.map(() => new Float64Array(data.rows))
  let row = 0
  for (const point of rowsOf(data)) {
    timeMs[row] = point.timeMs
    host[row] = point.host
    for (const [field, column] of values.entries()) column[row] = point.values[field]!
    row++
  }
  return { timeMs, host, values }
}

/** In the order of `tagNames`. */
export const tagsOf = (host: number): readonly string[] => {
  const regions = ['us-east-1', 'us-west-2', 'eu-west-1', 'eu-central-1', 'ap-southeast-1']
  const region = regions[host % regions.length]!
  return [
    hostName(host),
    region,
    `${region}${'abc'[host % 3]}`,
    String((host * 7) % 100),
    ['Ubuntu16.10', 'Ubuntu16.04LTS', 'Ubuntu15.10'][host % 3]!,
    ['x64', 'x86'][host % 2]!,
    ['SF', 'NYC', 'LON', 'CHI'][host % 4]!,
    String(host % 20),
  ]
}
export const hostName = (host: number): string => `host_${host}`

/** Of each host, as an object's text. */
export const tagsJson: readonly string[] = Array.from({ length: hosts }, (_, host) =>
  JSON.stringify(Object.fromEntries(tagsOf(host).map((value, i) => [tagNames[i]!, value]))),
)
const influxTags = Array.from({ length: hosts }, (_, host) =>
  tagsOf(host)
    .map((value, i) => `,${tagNames[i]}=${value}`)
    .join(''),
)
const pairsOf = (values: Float64Array): string => fields.map((field, i) => `"${field}":${values[i]}`).join(',')

const linesOf: Readonly<Record<Form, (timeMs: number, host: number, values: Float64Array) => string>> = {
  wide: (timeMs, host, values) =>
    `{"series":"cpu","ts":${timeMs},"fields":{${pairsOf(values)}},"tags":${tagsJson[host]}}\n`,
  narrow: (timeMs, host, values) =>
    fields
      .map((field, i) => `{"series":"cpu_${field}","ts":${timeMs},"value":${values[i]},"tags":${tagsJson[host]}}\n`)
      .join(''),
  flat: (timeMs, host, values) => `{"time":${timeMs / 1000},${tagsJson[host]!.slice(1, -1)},${pairsOf(values)}}\n`,
  'influx wide': (timeMs, host, values) =>
    `cpu${influxTags[host]} ${fields.map((field, i) => `${field}=${values[i]}`).join(',')} ${timeMs}\n`,
  'influx narrow': (timeMs, host, values) =>
    fields.map((field, i) => `cpu${influxTags[host]} ${field}=${values[i]} ${timeMs}\n`).join(''),
}
