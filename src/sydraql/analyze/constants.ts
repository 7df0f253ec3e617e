/** Checks of constant arguments: at analysis where they are literals, once more when parameters are bound. */
import { RE2JS } from 're2js'
import { didYouMeanHint } from '../../lib/did-you-mean.ts'
import { bucketOf, dayUs } from '../bucket.ts'
import type { Call, Expr } from '../expression.ts'
import type { Report } from '../problem.ts'

/** The parts that `extract` knows. */
export const extractParts =
  'year quarter month week day dow isodow doy hour minute second millisecond microsecond epoch'.split(' ')

/** Characters of a regex at most: its compiled form may be much larger. */
const regexLengthMax = 4096

/** Throws `invalid_regex` or `wrong_argument` for a literal that the function cannot take. */
export function checkConstants(call: Call, report: Report): void {
  switch (call.name) {
    case 'regex_match':
    case 'regexp_extract':
      checkRegex(call.args[1]!, report)
      return
    case 'percentile': {
      const p = call.args[1]!
      if (p.kind === 'literal' && !(typeof p.value === 'number' && p.value >= 0 && p.value <= 1)) {
        throw report('wrong_argument', 'p of percentile must be between 0 and 1', p.span)
      }
      return
    }
    case 'extract': {
      const part = call.args[0]!
      if (part.kind === 'literal' && !extractParts.includes(String(part.value).toLowerCase())) {
        const hint = didYouMeanHint(String(part.value), extractParts) ?? `parts are ${extractParts.join(', ')}`
        throw report('wrong_argument', `extract does not know the part ${part.value}`, part.span, hint)
      }
      return
    }
    case 'time_bucket':
      checkBucket(call, report)
      return
    default:
      return
  }
}

function checkRegex(pattern: Expr, report: Report): void {
  if (pattern.kind !== 'literal' || typeof pattern.value !== 'string') return
  if (pattern.value.length > regexLengthMax) {
    throw report('invalid_regex', `a regex may have at most ${regexLengthMax} characters`, pattern.span)
  }
  try {
    RE2JS.compile(pattern.value)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const hint = 'regexes are those of RE2: no back references and no look-around, so that they run in linear time'
    throw report('invalid_regex', `this regex cannot be used: ${message}`, pattern.span, hint)
  }
}

function checkBucket(call: Call, report: Report): void {
  const bucket = bucketOf(call)
  const width = call.args[0]!
  const alignment = call.args[2]
  if (bucket.kind === 'fixed') {
    if (bucket.widthUs <= 0) throw report('wrong_argument', 'the width of time_bucket must be above zero', width.span)
    return
  }
  if (bucket.kind === 'zoned') {
    if (bucket.widthUs <= 0) throw report('wrong_argument', 'the width of time_bucket must be above zero', width.span)
    if (bucket.widthUs % dayUs !== 0 && dayUs % bucket.widthUs !== 0) {
      throw report('wrong_argument', 'in a time zone a width must be whole days or divide 24 h', width.span)
    }
  } else if (new Date(bucket.originUs / 1000).getUTCDate() > 28) {
    throw report('wrong_argument', 'the origin of calendar buckets must be on day 1 to 28 of a month', alignment!.span)
  }
  if (!isZone(bucket.zone)) {
    throw report(
      'wrong_argument',
      `there is no time zone "${bucket.zone}"`,
      alignment!.span,
      'zones are IANA names, such as Europe/Berlin',
    )
  }
}

const knownZones = new Map<string, boolean>([['UTC', true]])
const knownZonesMax = 1000

/** Asking Intl costs microseconds; answers are kept. */
function isZone(name: string): boolean {
  let known = knownZones.get(name)
  if (known === undefined) {
    try {
      new Intl.DateTimeFormat('en', { timeZone: name })
      known = true
    } catch {
      known = false
    }
    if (knownZones.size < knownZonesMax) knownZones.set(name, known)
  }
  return known
}
