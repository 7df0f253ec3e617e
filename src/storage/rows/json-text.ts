/**
 * JSON as rows need it: strict UTF-8, numbers that a double may not hold kept with their text, errors with a place.
 */
import { SydraError } from '../../lib/errors.ts'
import { jsonString } from '../../lib/json-string.ts'

/** A number of 2^53 or more: its text says whether it is an integer, and which. */
export class LargeNumber {
  readonly value: number
  readonly text: string
  constructor(value: number, text: string) {
    this.value = value
    this.text = text
  }
  /** Digits only, as opposed to a fraction or an exponent. */
  get isDigits(): boolean {
    return /^-?\d+$/.test(this.text)
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Throws `invalid_utf8`. */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch {
    throw new SydraError('invalid_utf8', `not UTF-8 from byte ${validUtf8Length(bytes) + 1} of the line`)
  }
}

/** Length of the longest prefix that is UTF-8: by halving, as prefixes of a valid prefix differ by one character at most. */
function validUtf8Length(bytes: Uint8Array): number {
  let low = 0
  let high = bytes.length
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (isUtf8Prefix(bytes.subarray(0, middle))) low = middle
    else high = middle - 1
  }
  return low
}

function isUtf8Prefix(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true })
    return true
  } catch {
    return false
  }
}

interface SourceContext {
  readonly source?: string
}
const parseWithSource = JSON.parse as (
  text: string,
  reviver: (key: string, value: unknown, context: SourceContext) => unknown,
) => unknown

/** Like `JSON.parse`, with `LargeNumber`s for numbers of 2^53 or more. Throws `invalid_json`. */
export function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    if (!mayHoldLarge(value, 0)) return value
    return parseWithSource(text, (_key, part, context) =>
      typeof part === 'number' && Math.abs(part) >= largeFrom ? new LargeNumber(part, context.source!) : part,
    )
  } catch (error) {
    if (error instanceof SyntaxError) throw invalidJson(text, error)
    if (error instanceof RangeError) throw new SydraError('invalid_row', 'nested too deeply')
    throw error
  }
}

const largeFrom = 2 ** 53

/** Rows are at most two levels deep; below that the general answer is yes. */
function mayHoldLarge(value: unknown, depth: number): boolean {
  if (typeof value === 'number') return Math.abs(value) >= largeFrom
  if (typeof value !== 'object' || value === null) return false
  if (depth > 2 || Array.isArray(value)) return true
  for (const key in value) if (mayHoldLarge((value as Record<string, unknown>)[key], depth + 1)) return true
  return false
}

function invalidJson(text: string, error: SyntaxError): SydraError {
  const at = jsonErrorOffset(text)
  if (at >= text.length) return new SydraError('invalid_json', `not JSON: it ends too early, at column ${at + 1}`)
  const reason = /^(Bad|Expected|Unterminated|No number|Exponent)[^,]*?(?= in JSON)/.exec(error.message)?.[0]
  const near = JSON.stringify(text.slice(at, at + 12))
  return new SydraError('invalid_json', `not JSON from column ${at + 1}, at ${near}${reason ? `: ${reason}` : ''}`)
}

const blank = /[ \t\r\n]*/y
const scalar = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y

/** Offset of the first token that cannot stand where it does, for text that is not JSON. */
function jsonErrorOffset(text: string): number {
  let at = 0
  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = at
    const found = pattern.test(text)
    if (found) at = pattern.lastIndex
    return found
  }
  const open: string[] = []
  // what may come next: a value (or the end of an empty array), a key (or the end of an empty object), or a separator
  let expect: 'value' | 'first value' | 'key' | 'first key' | 'separator' = 'value'
  for (;;) {
    take(blank)
    const c = text[at]
    const closes = c !== undefined && (c === '}' || c === ']') && open.at(-1) === (c === '}' ? '{' : '[')
    if (closes && (expect === 'separator' || expect === (c === '}' ? 'first key' : 'first value'))) {
      open.pop()
      at++
      expect = 'separator'
    } else if (expect === 'separator') {
      if (c !== ',' || open.length === 0) return at
      at++
      expect = open.at(-1) === '{' ? 'key' : 'value'
    } else if (expect === 'key' || expect === 'first key') {
      if (!take(jsonString)) return at
      take(blank)
      if (text[at] !== ':') return at
      at++
      expect = 'value'
    } else if (c === '{' || c === '[') {
      open.push(c)
      at++
      expect = c === '{' ? 'first key' : 'first value'
    } else {
      if (!take(jsonString) && !take(scalar)) return at
      expect = 'separator'
    }
  }
}
