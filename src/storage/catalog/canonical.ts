/** The canonical form of a series as bytes, for hashing: what `printSeries` gives, without making the string. */
import { writeUtf8 } from '../../lib/text.ts'
import type { Tags } from '../types.ts'
import { checkText, printName, tagKeyBytesMax, tagValueBytesMax } from './identity.ts'
import type { KeyEntry, MetricEntry } from './tables.ts'

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
  if (needed > scratch.length) scratch = new Uint8Array(needed * 2)
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
