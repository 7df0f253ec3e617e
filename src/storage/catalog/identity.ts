/**
 * What a series is: a metric name and sorted tags, printed in one way only, hashed to one id.
 *
 *   weather.room1                          no tags
 *   cpu{dc="x",host="a \"b\""}             tags sorted by key (UTF-8 bytes), values with JSON escapes
 *   "my metric"{"tag key"="v"}             names that are not dotted identifiers are JSON strings
 *
 * Invariants:
 * 1. Two series have equal printed forms if and only if they are the same series; the printed form is the canonical one.
 * 2. `parseSeries(printSeries(metric, tags))` gives back metric and tags.
 * 3. The series id is xxHash64 (seed 0) of the canonical form's UTF-8 bytes.
 */
import xxhash from 'xxhash-wasm'
import { SydraError } from '../../lib/errors.ts'
import { jsonString } from '../../lib/json-string.ts'
import { compareUtf8, utf8Length } from '../../lib/text.ts'
import type { Tags } from '../types.ts'

export const metricNameBytesMax = 128
export const fieldNameBytesMax = 128
export const tagKeyBytesMax = 128
export const tagValueBytesMax = 1024
export const tagsMax = 64
export const fieldsMax = 1024

/** xxHash64 with seed 0. */
export type SeriesHasher = (bytes: Uint8Array) => bigint

/** The hasher is WebAssembly: load it once, before the catalog opens. */
export function loadSeriesHasher(): Promise<SeriesHasher> {
  loaded ??= xxhash().then(
    ({ h64Raw }) =>
      bytes =>
        h64Raw(bytes),
  )
  return loaded
}

/** One instance serves every catalog of the process: it keeps no state between calls. */
let loaded: Promise<SeriesHasher> | undefined

const dottedIdentifier = /^[A-Za-z_][A-Za-z0-9_.]*$/

/** A metric name or tag key as it is printed: bare, or as a JSON string. */
export const printName = (name: string): string => (dottedIdentifier.test(name) ? name : JSON.stringify(name))

/** @example printSeries('cpu', [['dc', 'x'], ['host', 'a']]) // cpu{dc="x",host="a"} */
export function printSeries(metric: string, tags: Tags): string {
  const name = printName(metric)
  if (tags.length === 0) return name
  return `${name}{${tags.map(([key, value]) => `${printName(key)}=${JSON.stringify(value)}`).join(',')}}`
}

/**
 * Tags in canonical form: empty, null and undefined values are absent, keys sorted by UTF-8 bytes.
 * A key given twice is `invalid_row`.
 */
export function canonicalTags(pairs: Iterable<readonly [key: string, value: string | null | undefined]>): Tags {
  const tags: [string, string][] = []
  for (const [key, value] of pairs) if (value !== null && value !== undefined && value !== '') tags.push([key, value])
  tags.sort((a, b) => compareUtf8(a[0], b[0]))
  for (let i = 1; i < tags.length; i++) {
    if (tags[i]![0] === tags[i - 1]![0])
      throw new SydraError('invalid_row', `tag ${JSON.stringify(tags[i]![0])} is given twice`)
  }
  return tags
}

/** Reads the canonical printed form; anything else, canonical or not, is undefined. */
export function parseSeries(printed: string): { readonly metric: string; readonly tags: Tags } | undefined {
  let at = 0
  const token = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    const found = pattern.exec(printed)?.[0]
    if (found !== undefined) at += found.length
    return found
  }
  const name = (): string | undefined => token(bareName) ?? quoted()
  const quoted = (): string | undefined => {
    const text = token(jsonString)
    return text === undefined ? undefined : (JSON.parse(text) as string)
  }
  const metric = name()
  if (metric === undefined) return undefined
  const tags: [string, string][] = []
  if (printed[at] === '{') {
    do {
      at++
      const key = name()
      if (key === undefined || printed[at] !== '=') return undefined
      at++
      const value = quoted()
      if (value === undefined) return undefined
      tags.push([key, value])
    } while (printed[at] === ',')
    if (printed[at] !== '}') return undefined
    at++
  }
  // One series has one printed form: what prints otherwise, or no series prints, is not it.
  const canonical = printSeries(metric, tags) === printed && isSeries(metric, tags)
  return at === printed.length && canonical ? { metric, tags } : undefined
}

function isSeries(metric: string, tags: Tags): boolean {
  if (metric === '' || !metric.isWellFormed()) return false
  return tags.every(
    ([key, value], i) =>
      key !== '' &&
      value !== '' &&
      key.isWellFormed() &&
      value.isWellFormed() &&
      (i === 0 || compareUtf8(tags[i - 1]![0], key) < 0),
  )
}

const bareName = /[A-Za-z_][A-Za-z0-9_.]*/y

/** Refuses a name or value that is empty, too long or has no UTF-8 form. */
export function checkText(what: string, text: string, bytesMax: number): void {
  if (text.length === 0) throw new SydraError('invalid_row', `a ${what} must not be empty`)
  // Three bytes a unit at most: most texts need no count.
  if (text.length * 3 > bytesMax && utf8Length(text) > bytesMax)
    throw new SydraError('invalid_row', `${what} ${excerpt(text)} is over ${bytesMax} bytes`)
  if (!text.isWellFormed()) throw new SydraError('invalid_row', `${what} ${excerpt(text)} has a lone surrogate`)
}

const excerpt = (text: string): string => JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text)
