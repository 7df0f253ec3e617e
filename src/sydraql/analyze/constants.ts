/** Checks of constant arguments: at analysis where they are literals, once more when parameters are bound. */
import { RE2JS } from 're2js'
import { didYouMeanHint } from '../../lib/did-you-mean.ts'
import { bucketOf, dayUs } from '../bucket.ts'
import type { Call, Expr, Span } from '../expression.ts'
import type { Report } from '../problem.ts'

/** The parts that `extract` knows. */
export const extractParts =
  'year quarter month week day dow isodow doy hour minute second millisecond microsecond epoch'.split(' ')

/** Characters of a regex at most: its compiled form may be much larger. */
const regexLengthMax = 4096

/** Rows that a row function looks back or ahead at most. */
const offsetMax = 1_000_000

/** Intervals of a histogram. */
const intervalsMax = 10_000

/** Throws `invalid_regex` or `wrong_argument` for a literal that the function cannot take. */
export function checkConstants(call: Call, report: Report): void {
  switch (call.name) {
    case 'regex_match':
    case 'regexp_extract':
      checkRegex(call.args[1]!, report)
      return
    case 'percentile':
    case 'approx_percentile':
      checkNumber(call, 1, p => p >= 0 && p <= 1, `p of ${call.name} must be between 0 and 1`, report)
      return
    case 'lag':
    case 'lead': {
      const message = `n of ${call.name} must be a whole number between 0 and ${offsetMax}`
      checkNumber(call, 1, n => n >= 0 && n <= offsetMax, message, report)
      return
    }
    case 'moving_avg': {
      if (call.args[1]!.type === 'duration') {
        checkNumber(call, 1, us => us > 0, 'the frame of moving_avg must be above zero', report)
      } else {
        const message = `the frame of moving_avg must be between 1 and ${offsetMax} rows, or a duration`
        checkNumber(call, 1, rows => rows >= 1 && rows <= offsetMax, message, report)
      }
      return
    }
    case 'ema':
      checkNumber(call, 1, us => us > 0, 'the period of ema must be above zero', report)
      checkNumber(call, 2, alpha => alpha > 0 && alpha <= 1, 'alpha of ema must be above 0 and at most 1', report)
      return
    case 'histogram':
      checkHistogram(call, report)
      return
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

/** An argument that is a literal already: a number that holds. */
function checkNumber(
  { args }: Call,
  index: number,
  holds: (value: number) => boolean,
  message: string,
  report: Report,
): void {
  const arg = args[index]
  if (arg?.kind !== 'literal' || (typeof arg.value === 'number' && holds(arg.value))) return
  throw report('wrong_argument', message, arg.span)
}

function checkHistogram(call: Call, report: Report): void {
  const [, low, high] = call.args
  checkNumber(call, 1, Number.isFinite, 'low of histogram must be a finite number', report)
  checkNumber(call, 2, Number.isFinite, 'high of histogram must be a finite number', report)
  if (low!.kind === 'literal' && high!.kind === 'literal' && !(Number(low!.value) < Number(high!.value))) {
    throw report('wrong_argument', 'low of histogram must be below high', low!.span)
  }
  const message = `n of histogram must be a whole number between 1 and ${intervalsMax}`
  checkNumber(call, 3, n => n >= 1 && n <= intervalsMax, message, report)
}

function checkRegex(pattern: Expr, report: Report): void {
  if (pattern.kind === 'literal' && typeof pattern.value === 'string') compileRegex(pattern.value, pattern.span, report)
}

/** Throws `invalid_regex`. */
export function compileRegex(pattern: string, span: Span, report: Report): RE2JS {
  if (pattern.length > regexLengthMax) {
    throw report('invalid_regex', `a regex may have at most ${regexLengthMax} characters`, span)
  }
  try {
    return RE2JS.compile(pattern)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const hint = 'regexes are those of RE2: no back references and no look-around, so that they run in linear time'
    throw report('invalid_regex', `this regex cannot be used: ${message}`, span, hint)
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
