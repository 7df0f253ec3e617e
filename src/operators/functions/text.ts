/** Functions of text. Positions and lengths count code points. */
import type { Scalar } from '../../columnar/value.ts'
import { SydraError } from '../../lib/errors.ts'
import { castToText } from './casts.ts'
import { type Implementation, type ScalarImplementation, scalar } from './implementation.ts'
import { compileLike, compileRegex } from './patterns.ts'

const text = (value: Scalar): string => value as string
const number = (value: Scalar): number => value as number

/** From `start` (1 is the first), as SQL has it: positions before the text count towards the length. */
function substring(source: string, start: number, length: number | undefined): string | null {
  if (Number.isNaN(start) || (length !== undefined && !(length >= 0))) return null
  const characters = [...source]
  const end = length === undefined ? Infinity : start + length
  return characters.slice(Math.max(start - 1, 0), Math.max(end - 1, 0)).join('')
}

function splitPart(source: string, separator: string, n: number): string | null {
  if (n === 0) return null
  const parts = separator === '' ? [source] : source.split(separator)
  return (n > 0 ? parts[n - 1] : parts.at(n)) ?? ''
}

/** Not by a regular expression: `/ +$/` is quadratic in runs of spaces. */
function trimSpaces(source: string): string {
  let from = 0
  let to = source.length
  while (from < to && source[from] === ' ') from++
  while (to > from && source[to - 1] === ' ') to--
  return source.slice(from, to)
}

const like = (ignoreCase: boolean): ScalarImplementation => ({
  kind: 'scalar',
  strict: true,
  bind([, pattern]) {
    if (typeof pattern === 'string') {
      const matches = compileLike(pattern, ignoreCase)
      return args => matches(text(args[0]!))
    }
    return args => compileLike(text(args[1]!), ignoreCase)(text(args[0]!))
  },
})

const regexMatch: ScalarImplementation = {
  kind: 'scalar',
  strict: true,
  bind([, pattern]) {
    if (typeof pattern !== 'string') return () => null
    const regex = compileRegex(pattern)
    return args => regex.test(text(args[0]!))
  },
}

const regexpExtract: ScalarImplementation = {
  kind: 'scalar',
  strict: true,
  bind([, pattern, group]) {
    if (typeof pattern !== 'string') return () => null
    const regex = compileRegex(pattern)
    const index = typeof group === 'number' ? group : Math.min(1, regex.groups)
    if (!Number.isInteger(index) || index < 0 || index > regex.groups)
      throw new SydraError('wrong_argument', `the pattern has ${regex.groups} groups, not ${index}`)
    return args => regex.extract(text(args[0]!), index)
  },
}

export const textFunctions = {
  lower: scalar(([s]) => text(s!).toLowerCase()),
  upper: scalar(([s]) => text(s!).toUpperCase()),
  length: scalar(([s]) => {
    let count = 0
    for (const _ of text(s!)) count++
    return count
  }),
  concat: {
    kind: 'scalar',
    strict: false,
    bind(_constants, call) {
      const types = call.args.map(arg => arg.type)
      return args => {
        let joined = ''
        for (let i = 0; i < args.length; i++) {
          const value = args[i]!
          if (value !== null) joined += castToText(value, types[i]!)
        }
        return joined
      }
    },
  },
  substring: scalar(([s, start, length]) =>
    substring(text(s!), number(start!), length === undefined ? undefined : number(length)),
  ),
  trim: scalar(([s]) => trimSpaces(text(s!))),
  replace: scalar(([s, from, to]) => (from === '' ? text(s!) : text(s!).replaceAll(text(from!), () => text(to!)))),
  split_part: scalar(([s, separator, n]) => splitPart(text(s!), text(separator!), number(n!))),
  starts_with: scalar(([s, prefix]) => text(s!).startsWith(text(prefix!))),
  like: like(false),
  ilike: like(true),
  regex_match: regexMatch,
  regexp_extract: regexpExtract,
} satisfies Record<string, Implementation>
