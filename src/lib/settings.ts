/**
 * Settings: plain data, validated once, frozen, with units in their names.
 *
 *   library  open({ dataDir: './data', fsync: 'interval', query: { timeoutMs: 1000 } })
 *   TOML     data_dir = "./data"   [query] timeout_ms = "1s"
 *   env      SYDRADB_DATA_DIR, SYDRADB_QUERY_TIMEOUT_MS
 *
 * Sizes may be text such as "8MiB", durations such as "2s"; plain numbers are in the unit of the name. A map, such as
 * `[retention]`, is one setting: a table in TOML, an object in a program, `weather=30,cpu=7` as text elsewhere.
 *
 * Invariants:
 * 1. Every setting is used; an unknown one is an error with "did you mean".
 * 2. The snake_case name of a setting is derived from its camelCase name, never listed twice.
 */
import { z } from 'zod'
import { didYouMeanHint } from './did-you-mean.ts'
import { SydraError } from './errors.ts'
import { rollupWidthNames } from './rollup-widths.ts'
import type {
  CompactionSettings,
  IngestSettings,
  LiveSettings,
  QuerySettings,
  RollupSettings,
  SettingsInput,
} from './settings-types.ts'

const sizeUnits: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
}
export const durationUnitsMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1e3,
  m: 6e4,
  h: 3.6e6,
  d: 8.64e7,
  w: 6.048e8,
}

/** A number or text of digits in the unit, or text with a unit: `"8MiB"`. */
const quantity = (units: Readonly<Record<string, number>>, example: string) =>
  z.union([z.number(), z.string()]).transform((input, context) => {
    if (typeof input === 'number') return input
    const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(input)
    const unit = match?.[2] === '' ? 1 : units[match?.[2]?.toLowerCase() ?? '']
    if (match === null || unit === undefined) {
      context.addIssue({ code: 'custom', message: `"${input}" is not a quantity such as ${example}` })
      return z.NEVER
    }
    return Number(match[1]) * unit
  })

const bytes = (fallback: number, min = 0) =>
  quantity(sizeUnits, '"8MiB"').pipe(z.number().int().min(min).max(Number.MAX_SAFE_INTEGER)).default(fallback)
const durationMs = (fallback: number, min = 0, max = 2 ** 31 - 1) =>
  quantity(durationUnitsMs, '"2s"').pipe(z.number().min(min).max(max)).default(fallback)
const count = (fallback: number, min = 1, max = 2 ** 31) => z.coerce.number().int().min(min).max(max).default(fallback)
const flag = (fallback: boolean) =>
  z.union([z.boolean(), z.enum(['true', 'false']).transform(text => text === 'true')]).default(fallback)
const numberOrText = z.union([z.number(), z.string().trim().min(1)])
const days = numberOrText.pipe(z.coerce.number<number | string>().min(0).max(36_500))

/** A list of widths, also as the text `1m,1h`. */
const widths = z
  .union([z.array(z.string()).readonly(), z.string().transform(text => (text.trim() === '' ? [] : text.split(',')))])
  .transform(list => [...new Set(list.map(width => width.trim()))])
  .pipe(z.array(z.enum(rollupWidthNames)))
  .default(['1m', '5m', '1h', '1d'])

/** Days for all widths, or by width, also as the text `1h=365,1d=0`. */
const daysByWidth = z
  .union([days, z.record(z.string(), numberOrText), z.string()], {
    error: 'expected days, or days by width such as 1d=0',
  })
  .transform((input, context) => {
    if (typeof input === 'number') return Object.fromEntries(rollupWidthNames.map(width => [width, input]))
    if (typeof input !== 'string') return input
    const pairs = input.split(',').map(pair => pair.split('=').map(part => part.trim()))
    if (pairs.every(pair => pair.length === 2)) return Object.fromEntries(pairs) as Record<string, string>
    context.addIssue({ code: 'custom', message: `"${input}" is not a number of days, or a list such as 1h=365,1d=0` })
    return z.NEVER
  })
  .pipe(z.partialRecord(z.enum(rollupWidthNames), days))
  .default({})

/** A map of namespaces to days, also as the text `weather=30,cpu=7`. */
const daysByNamespace = z
  .union([z.record(z.string(), numberOrText), z.string()], { error: 'expected days by namespace, such as weather=30' })
  .transform((input, context) => {
    if (typeof input !== 'string') return input
    const pairs = input.split(',').map(pair => pair.split('=').map(part => part.trim()))
    if (pairs.every(pair => pair.length === 2)) return Object.fromEntries(pairs) as Record<string, string>
    context.addIssue({ code: 'custom', message: `"${input}" is not a list such as weather=30,cpu=7` })
    return z.NEVER
  })
  .pipe(z.record(z.string(), days))
  .refine(map => Object.keys(map).every(name => name !== '' && !name.includes('.')), {
    error: 'a namespace is the part of a metric’s name before its first "."',
  })
  .default({})

const MiB = 2 ** 20

/** What each of them means is in `settings-types.ts`. */
const shape = {
  dataDir: z.string().min(1).default('./data'),
  httpHost: z.string().min(1).default('127.0.0.1'),
  httpPort: count(8080, 0, 65_535),
  authToken: z.string().default(''),
  insecure: flag(false),
  fsync: z.enum(['always', 'interval', 'none']).default('always'),
  fsyncIntervalMs: durationMs(200),
  flushIntervalMs: durationMs(600_000),
  memtableMaxBytes: bytes(32 * MiB, 64 * 1024),
  flushInThread: flag(true),
  memLimitBytes: bytes(256 * MiB, 16 * MiB),
  walKeepBytes: bytes(256 * MiB),
  maxSeries: count(1_000_000),
  duplicates: z.enum(['last', 'first']).default('last'),
  retentionDays: days.default(0),
  retention: daysByNamespace,
  compaction: z
    .strictObject({
      enabled: flag(true),
      bytesPerSecondMax: bytes(64 * MiB),
    } satisfies Record<keyof CompactionSettings, z.ZodType>)
    .prefault({}),
  rollups: z
    .strictObject({
      enabled: flag(true),
      widths,
      keepDays: daysByWidth,
    } satisfies Record<keyof RollupSettings, z.ZodType>)
    .prefault({}),
  ingest: z
    .strictObject({
      inFlightMaxBytes: bytes(8 * MiB, MiB),
      waitingMax: count(1024),
    } satisfies Record<keyof IngestSettings, z.ZodType>)
    .prefault({}),
  live: z
    .strictObject({
      subscriptionsMax: count(10_000),
      perClientMax: count(1000),
      rowsMax: count(100_000),
      memoryMaxBytes: bytes(64 * MiB, MiB),
      changesMax: count(100_000, 0),
      pendingMaxBytes: bytes(32 * MiB, MiB),
      rerunMs: durationMs(1000),
      tickMs: durationMs(1000, 1),
      progressMs: durationMs(1000),
      heartbeatMs: durationMs(15_000, 100, 30_000),
      clientStallMs: durationMs(30_000, 100),
    } satisfies Record<keyof LiveSettings, z.ZodType>)
    .prefault({}),
  query: z
    .strictObject({
      timeoutMs: durationMs(0),
      requireTimeRange: flag(false),
      memoryMaxBytes: bytes(128 * MiB, MiB),
      spillMaxBytes: bytes(8192 * MiB),
      runningMax: count(256),
    } satisfies Record<keyof QuerySettings, z.ZodType>)
    .prefault({}),
} satisfies Record<keyof SettingsInput, z.ZodType>
type Schema = z.ZodObject<typeof shape>

export type { SettingsInput } from './settings-types.ts'
export type Settings = Readonly<z.output<Schema>>
/** What `SettingsInput` allows, and numbers, lists and maps as text: that is how variables and flags have them. */
export type SettingsText = z.input<Schema>

type Group = 'compaction' | 'ingest' | 'live' | 'query' | 'rollups'
const groups: Readonly<Record<Group, { readonly shape: Readonly<Record<string, z.ZodType>> }>> = {
  compaction: shape.compaction.unwrap(),
  ingest: shape.ingest.unwrap(),
  live: shape.live.unwrap(),
  query: shape.query.unwrap(),
  rollups: shape.rollups.unwrap(),
}
const isGroup = (name: string): name is Group => name in groups

const snake = (name: string): string => name.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)

export interface SettingName {
  /** `['query', 'timeoutMs']` */
  readonly path: readonly string[]
  /** `query.timeout_ms`, as in the TOML file. */
  readonly name: string
  /** `SYDRADB_QUERY_TIMEOUT_MS` */
  readonly variable: string
  /** `--query-timeout-ms` */
  readonly option: string
}

/** Every setting, by all its names. */
export const settingNames: readonly SettingName[] = Object.keys(shape).flatMap(key =>
  (isGroup(key) ? Object.keys(groups[key].shape).map(inner => [key, inner]) : [[key]]).map(path => {
    const words = path.map(snake)
    return {
      path,
      name: words.join('.'),
      variable: `SYDRADB_${words.join('_').toUpperCase()}`,
      option: `--${words.join('-').replaceAll('_', '-')}`,
    }
  }),
)

/**
 * Validates settings with camelCase keys and fills in defaults.
 * @throws `unknown_setting` with "did you mean", `invalid_setting` naming the setting and what it takes.
 */
export function parseSettings(input: SettingsText): Settings {
  refuseUnknown(input, Object.keys(shape), '')
  for (const group of Object.keys(groups) as Group[]) {
    const inner = input[group]
    if (typeof inner === 'object' && inner !== null) refuseUnknown(inner, Object.keys(groups[group].shape), `${group}.`)
  }
  const settings = parsed(shape, input, []) as z.output<Schema>
  const memLimitMin = 2 * (settings.memtableMaxBytes + settings.ingest.inFlightMaxBytes)
  if (settings.memLimitBytes < memLimitMin) {
    throw new SydraError('invalid_setting', `setting mem_limit_bytes: ${settings.memLimitBytes} is too small`, {
      hint: `it must be at least twice memtable_max_bytes and ingest.in_flight_max_bytes together: ${memLimitMin}`,
    })
  }
  for (const value of Object.values(settings)) if (typeof value === 'object') Object.freeze(value)
  return Object.freeze(settings)
}

/** One by one: of most the default is taken as it is, where zod would look at all of the schema, compiled or not. */
function parsed(
  schemas: Readonly<Record<string, z.ZodType>>,
  input: Readonly<Record<string, unknown>>,
  path: readonly string[],
): object {
  const result: Record<string, unknown> = {}
  for (const [key, schema] of Object.entries(schemas)) {
    const value = input[key]
    if (path.length === 0 && isGroup(key) && (value === undefined || isPlain(value)))
      result[key] = parsed(groups[key].shape, value ?? {}, [key])
    else if (value === undefined && schema instanceof z.ZodDefault) result[key] = schema.def.defaultValue
    else result[key] = parsedValue(schema, value, [...path, key])
  }
  return result
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function parsedValue(schema: z.ZodType, value: unknown, path: readonly string[]): unknown {
  const result = schema.safeParse(value, { jitless: true })
  if (result.success) return result.data
  const issue = result.error.issues[0]!
  const name = [...path, ...issue.path].map(part => snake(String(part))).join('.')
  throw new SydraError('invalid_setting', `setting ${name}: ${issue.message}`)
}

/** The camelCase form of settings with snake_case keys, as TOML has them. */
export function fromSnakeCase(input: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const known = new Map(settingNames.map(setting => [setting.name, setting.path]))
  const result: Record<string, unknown> = {}
  const place = (name: string, value: unknown): void => {
    const path = known.get(name)
    if (path === undefined) {
      throw new SydraError('unknown_setting', `unknown setting "${name}"`, {
        hint: didYouMeanHint(name, known.keys()),
      })
    }
    if (path.length === 1) result[path[0]!] = value
    else {
      const group = (result[path[0]!] ??= {}) as Record<string, unknown>
      group[path[1]!] = value
    }
  }
  for (const [key, value] of Object.entries(input)) {
    if (isGroup(key) && typeof value === 'object' && value !== null)
      for (const [inner, innerValue] of Object.entries(value)) place(`${key}.${inner}`, innerValue)
    else place(key, value)
  }
  return result
}

function refuseUnknown(input: object, known: readonly string[], prefix: string): void {
  for (const key of Object.keys(input)) {
    if (known.includes(key)) continue
    throw new SydraError('unknown_setting', `unknown setting "${prefix}${key}"`, { hint: didYouMeanHint(key, known) })
  }
}
