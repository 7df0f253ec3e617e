/**
 * Patterns: regular expressions in linear time (RE2 syntax) and `like`.
 *
 * Invariant: matching costs O(text × pattern) at worst, whatever either holds.
 */
import { RE2JS } from 're2js'
import { SydraError } from '../../lib/errors.ts'

export interface Regex {
  /** Whether it matches anywhere in the text. */
  test(text: string): boolean
  /** The text of a group of the first match (0: the whole); null without a match, or when the group took no part. */
  extract(text: string, group: number): string | null
  readonly groups: number
}

/** Throws `invalid_regex`. */
export function compileRegex(pattern: string): Regex {
  let compiled: RE2JS
  try {
    compiled = RE2JS.compile(pattern)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new SydraError('invalid_regex', `invalid regular expression: ${reason}`, {
      hint: 'patterns are RE2 syntax, without look-around and back-references',
    })
  }
  return {
    groups: compiled.groupCount(),
    test: text => compiled.matcher(text).find(),
    extract(text, group) {
      const matcher = compiled.matcher(text)
      return matcher.find() ? (matcher.group(group) ?? null) : null
    },
  }
}

const anyText = Symbol('%')
const anyCharacter = Symbol('_')

/** `%` any text, `_` one character (code point), `\` takes the next character literally. Matches the whole text. */
export function compileLike(pattern: string, ignoreCase: boolean): (text: string) => boolean {
  const fold = ignoreCase ? (text: string) => text.toLowerCase() : (text: string) => text
  const parts: (string | typeof anyText | typeof anyCharacter)[] = []
  let escaped = false
  for (const character of pattern) {
    if (escaped) parts.push(...fold(character))
    else if (character === '\\') {
      escaped = true
      continue
    } else if (character === '%') {
      if (parts.at(-1) !== anyText) parts.push(anyText)
    } else if (character === '_') parts.push(anyCharacter)
    else parts.push(...fold(character))
    escaped = false
  }
  if (escaped) parts.push('\\')

  return text => {
    const characters = [...fold(text)]
    let at = 0
    let part = 0
    let resumePart = -1
    let resumeAt = 0
    // Greedy with one point to resume at: a later `%` makes earlier ones final.
    while (at < characters.length) {
      const expected = parts[part]
      if (expected === anyText) {
        resumePart = ++part
        resumeAt = at
      } else if (expected === anyCharacter || (expected !== undefined && expected === characters[at])) {
        part++
        at++
      } else if (resumePart >= 0) {
        part = resumePart
        at = ++resumeAt
      } else return false
    }
    while (parts[part] === anyText) part++
    return part === parts.length
  }
}
