/** Functions of time: numbers of µs in, numbers out. */
import { assert } from '../../lib/assert.ts'
import { SydraError } from '../../lib/errors.ts'
import { bucketOf } from '../../sydraql/bucket.ts'
import type { Call } from '../../sydraql/expression.ts'
import { bucketFunction } from '../buckets.ts'
import { civilFromDays, daysFromCivil, dayUs } from './civil.ts'
import { columnType } from './evaluator.ts'
import type { Implementation, SpecialImplementation } from './implementation.ts'
import { numericEvaluator } from './numeric-evaluator.ts'

/** A function of one time, made once per query. */
const ofTime = (timeArgument: number, make: (call: Call) => (timeUs: number) => number): SpecialImplementation => ({
  kind: 'special',
  compile(call, args) {
    const apply = make(call)
    return numericEvaluator({ kind: 'numeric', apply }, columnType(call.type), [args[timeArgument]!], true)
  },
})

const dayOf = (timeUs: number): number => Math.floor(timeUs / dayUs)
const withinDay = (timeUs: number): number => timeUs - dayOf(timeUs) * dayUs
/** 1 Monday to 7 Sunday; 1970-01-01 was a Thursday. */
const isoWeekday = (day: number): number => ((((day + 3) % 7) + 7) % 7) + 1

/** The ISO week is that of the week's Thursday, counted within its year. */
function isoWeek(day: number): number {
  const thursday = day - isoWeekday(day) + 4
  return Math.floor((thursday - daysFromCivil(civilFromDays(thursday).year, 1, 1)) / 7) + 1
}

const minuteUs = 60e6
const parts: Readonly<Record<string, (timeUs: number) => number>> = {
  year: t => civilFromDays(dayOf(t)).year,
  quarter: t => Math.ceil(civilFromDays(dayOf(t)).month / 3),
  month: t => civilFromDays(dayOf(t)).month,
  week: t => isoWeek(dayOf(t)),
  day: t => civilFromDays(dayOf(t)).day,
  dow: t => isoWeekday(dayOf(t)) % 7,
  isodow: t => isoWeekday(dayOf(t)),
  doy: t => dayOf(t) - daysFromCivil(civilFromDays(dayOf(t)).year, 1, 1) + 1,
  hour: t => Math.floor(withinDay(t) / 3600e6),
  minute: t => Math.floor(withinDay(t) / minuteUs) % 60,
  second: t => (withinDay(t) % minuteUs) / 1e6,
  millisecond: t => (withinDay(t) % minuteUs) / 1e3,
  microsecond: t => withinDay(t) % minuteUs,
  epoch: t => t / 1e6,
}

function part(call: Call): (timeUs: number) => number {
  const [name] = call.args
  assert(name?.kind === 'literal', 'extract has a literal part')
  const found = parts[String(name.value).toLowerCase()]
  if (found === undefined)
    throw new SydraError('wrong_argument', `extract does not know the part '${name.value}'`, {
      hint: `parts are ${Object.keys(parts).join(' ')}`,
    })
  return found
}

export const timeFunctions = {
  time_bucket: ofTime(1, call => bucketFunction(bucketOf(call)).floor),
  extract: ofTime(1, part),
} satisfies Record<string, Implementation>
