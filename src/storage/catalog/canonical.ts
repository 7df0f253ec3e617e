/** The canonical form of a series as bytes: what `printSeries` gives, made from given tags or from the tables. */
import { readUtf8, writeUtf8 } from '../../lib/text.ts'
import type { Tags } from '../types.ts'
import { checkText, printName, tagKeyBytesMax, tagValueBytesMax } from './identity.ts'
import type { CatalogTables, KeyEntry, MetricEntry } from './tables.ts'
import type { TagPlan, Utf8Tags } from './utf8-tags.ts'

/** One series at a time is written here. */
let scratch = new Uint8Array(4096)

/** The canonical form as UTF-8, in one reused array: borrowed until the next call. */
export function canonicalBytes(metric: MetricEntry, tags: Tags, keys: ReadonlyMap<string, KeyEntry>): Uint8Array {
  let needed = metric.printedBytes.length + 2
  // Over-long texts are refused before they cost anything; six bytes a unit is the longest escape.
  for (const [key, value] of tags) {
    if (key.length > tagKeyBytesMax) checkText('tag key', key, tagKeyBytesMax)
    if (value.length > tagValueBytesMax) checkText('tag value', value, tagValueBytesMax)
    needed += (key.length + value.length) * 6 + 8
  }
  reserve(needed)
  scratch.set(metric.printedBytes)
  let at = metric.printedBytes.length
  for (let i = 0; i < tags.length; i++) {
    const [name, value] = tags[i]!
    scratch[at++] = i === 0 ? 0x7b : 0x2c // { or ,
    const key = keys.get(name)
    if (key === undefined) at = writeUtf8(`${printName(name)}="`, scratch, at)
    else {
      scratch.set(key.printedBytes, at)
      at += key.printedBytes.length
    }
    at = writeEscaped(value, scratch, at)
    scratch[at++] = 0x22
  }
  if (tags.length > 0) scratch[at++] = 0x7d
  return scratch.subarray(0, at)
}

/** The same for tags as UTF-8, whose values need no escapes. */
export function canonicalUtf8(
  metric: MetricEntry,
  { bytes, spans }: Utf8Tags,
  { keys, at: given }: TagPlan,
): Uint8Array {
  let needed = metric.printedBytes.length + 2
  for (let i = 0; i < keys.length; i++) {
    const span = 4 * given[i]!
    needed += keys[i]!.printedBytes.length + spans[span + 3]! - spans[span + 2]! + 2
  }
  reserve(needed)
  const into = scratch
  let at = copyBytes(metric.printedBytes, 0, metric.printedBytes.length, into, 0)
  for (let i = 0; i < keys.length; i++) {
    into[at++] = i === 0 ? 0x7b : 0x2c // { or ,
    const { printedBytes } = keys[i]!
    at = copyBytes(printedBytes, 0, printedBytes.length, into, at)
    const span = 4 * given[i]!
    at = copyBytes(bytes, spans[span + 2]!, spans[span + 3]!, into, at)
    into[at++] = 0x22
  }
  if (keys.length > 0) into[at++] = 0x7d
  return into.subarray(0, at)
}

/** A loop: texts are short. Where they end in `into`. */
function copyBytes(bytes: Uint8Array, from: number, to: number, into: Uint8Array, at: number): number {
  for (let i = from; i < to; i++) into[at++] = bytes[i]!
  return at
}

/** The printed form of a registered series: its parts are copied as bytes and read as one text. */
export function printedSeries(tables: CatalogTables, ordinal: number): string {
  const { series, postings } = tables
  const metric = tables.metrics[series.metric.data[ordinal]!]!
  const from = series.tagsStart(ordinal)
  const to = series.tagsEnd.data[ordinal]!
  if (from === to) return metric.printed
  reserve(metric.printedBytes.length + 1)
  scratch.set(metric.printedBytes)
  let at = metric.printedBytes.length
  for (let tag = from; tag < to; tag++) {
    const posting = series.tagPosting.data[tag]!
    const key = tables.keyOf(posting)
    const { bytes } = key.values
    const value = postings.value.data[posting]!
    const valueEnd = key.values.end(value)
    reserve(at + key.printedBytes.length + (valueEnd - key.values.start(value)) * 6 + 8)
    scratch[at++] = tag === from ? 0x7b : 0x2c // { or ,
    scratch.set(key.printedBytes, at)
    at += key.printedBytes.length
    const valueAt = at
    for (let i = key.values.start(value); i < valueEnd; i++) {
      const byte = bytes[i]!
      if (byte < 0x20 || byte === 0x22 || byte === 0x5c) {
        at = writeEscaped(key.values.at(value), scratch, valueAt)
        break
      }
      scratch[at++] = byte
    }
    scratch[at++] = 0x22
  }
  scratch[at++] = 0x7d
  return readUtf8(scratch, 0, at)
}

/** Room for so many bytes; what is written stays. */
function reserve(needed: number): void {
  if (needed <= scratch.length) return
  const larger = new Uint8Array(needed * 2)
  larger.set(scratch)
  scratch = larger
}

/** The text as JSON has it, without its quotes. */
function writeEscaped(text: string, into: Uint8Array, at: number): number {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x20 || unit >= 0x7f || unit === 0x22 || unit === 0x5c)
      return writeUtf8(JSON.stringify(text).slice(1, -1), into, at)
    into[at + i] = unit
  }
  return at + text.length
}
