/**
 * `GET` and `POST /api/v1/query/range`: the values of a series in [start, end) as `[{"ts","value"}]`, streamed.
 *
 * A thin translation to sydraQL. Names are quoted, everything else is a parameter: no part of a request becomes syntax.
 * Times come back in the unit the request used: ISO 8601 text for text, numbers for numbers.
 */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { SydraError } from '../../lib/errors.ts'
import type { Precision, QueryParameter } from '../../types.ts'
import type { HttpContext } from './context.ts'
import { object, oneOf, responses, string, tags } from './schemas.ts'
import { queryBytesMax, sendQuery } from './sydraql-route.ts'

type Moment = number | string
interface RangeRequest {
  readonly start: Moment
  readonly end: Moment
  readonly series_id?: string
  readonly series?: string
  /** In a query string as JSON text. */
  readonly tags?: Readonly<Record<string, string>> | string
  readonly field?: string
  readonly step?: string | number
  readonly fn?: string
  readonly precision?: Precision
}

const moment = 'An integer, its unit by magnitude (s, ms, µs, ns), or ISO 8601.'
const shared = {
  series_id: string('The series by its id.', { pattern: '^\\d{1,20}$' }),
  series: string('The metric; with `tags`, its series that have them.', { minLength: 1 }),
  field: string('The field; `value`, or the sole numeric one, when absent.', { minLength: 1 }),
  fn: string('Aggregate per step, such as avg (default), min, max, sum, count, last, rate.', {
    pattern: '^[A-Za-z_][A-Za-z_0-9]*$',
  }),
  precision: oneOf('Unit of numbers, before their magnitude.', ['s', 'ms', 'us', 'ns']),
}
const step = 'Width of a bucket: a duration such as 5m, or a number in the unit of `start`.'
const schema = {
  summary: 'Values of a series in a time range',
  tags: ['queries'],
  response: responses('The values in time order.', {
    'application/json': {
      type: 'array',
      items: { type: 'object', properties: { ts: { type: ['number', 'string'] }, value: {} } },
    },
  }),
}
const query = object(
  { start: string(moment), end: string(moment), ...shared, tags: string('As JSON.'), step: string(step) },
  ['start', 'end'],
)
const body = object(
  {
    start: { type: ['number', 'string'], description: moment },
    end: { type: ['number', 'string'], description: moment },
    ...shared,
    tags,
    step: { type: ['number', 'string'], description: step },
  },
  ['start', 'end'],
)

export function rangeRoute(context: HttpContext) {
  return async (app: FastifyInstance): Promise<void> => {
    const path = '/api/v1/query/range'
    app.get<{ Querystring: RangeRequest }>(path, { schema: { ...schema, querystring: query } }, (request, reply) =>
      sendRange(context, reply, request.query),
    )
    app.post<{ Body: RangeRequest }>(
      path,
      { schema: { ...schema, querystring: object({}), body }, bodyLimit: queryBytesMax },
      (request, reply) => sendRange(context, reply, request.body),
    )
  }
}

async function sendRange(context: HttpContext, reply: FastifyReply, request: RangeRequest): Promise<void> {
  const start = readMoment('start', request.start)
  const end = readMoment('end', request.end)
  const unit = typeof start === 'string' ? undefined : (request.precision ?? unitOf(start, end))
  const { text, params } = translate(request, timeText(start, unit), timeText(end, unit), unit)
  await sendQuery(context, reply, text, params, { text: { format: 'json', bare: true, epoch: unit } })
}

/** The request as sydraQL, with the range's ends as its first two parameters. */
function translate(
  request: RangeRequest,
  start: string,
  end: string,
  unit: Precision | undefined,
): { readonly text: string; readonly params: readonly QueryParameter[] } {
  const params: QueryParameter[] = [start, end]
  const field = request.field === undefined ? 'value' : `field.${quoted(request.field)}`
  let predicate = 'time >= $1 and time < $2'
  for (const [key, value] of Object.entries(readTags(request.tags))) {
    params.push(value)
    predicate += ` and tag.${quoted(key)} = $${params.length}`
  }
  const from = `from ${sourceOf(request)} where ${predicate}`
  if (request.step === undefined) {
    if (request.fn !== undefined) throw new SydraError('bad_request', 'fn needs a step')
    return { text: `select time as ts, ${field} as value ${from} order by time`, params }
  }
  const bucket = `time_bucket(${stepText(request.step, unit)}, time)`
  return {
    text: `select ${bucket} as ts, ${request.fn ?? 'avg'}(${field}) as value ${from} group by ${bucket}`,
    params,
  }
}

function sourceOf({ series, series_id: id, tags }: RangeRequest): string {
  if ((series === undefined) === (id === undefined))
    throw new SydraError('bad_request', 'give either series_id or series', { hint: 'series may come with tags' })
  if (series !== undefined) return quoted(series)
  if (tags !== undefined) throw new SydraError('bad_request', 'tags go with series, not with series_id')
  return `by_id('${id}')`
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

function readTags(tags: RangeRequest['tags']): Readonly<Record<string, string>> {
  if (tags === undefined || typeof tags === 'object') return tags ?? {}
  let parsed: unknown
  try {
    parsed = JSON.parse(tags)
  } catch {
    parsed = undefined
  }
  const isTags =
    typeof parsed === 'object' &&
    parsed !== null &&
    !Array.isArray(parsed) &&
    Object.values(parsed).every(value => typeof value === 'string')
  if (!isTags) throw new SydraError('bad_request', 'tags is a JSON object of strings', { hint: 'tags={"host":"a"}' })
  return parsed as Record<string, string>
}

// ---- times ---------------------------------------------------------------------------------------------------------

const unitsPerSecond = { s: 1n, ms: 1000n, us: 1_000_000n, ns: 1_000_000_000n } as const

/** An integer as bigint, or ISO text as it is. */
function readMoment(name: string, value: Moment): bigint | string {
  if (typeof value === 'number') {
    if (Number.isInteger(value)) return BigInt(value)
  } else if (/^[+-]?\d+$/.test(value)) {
    if (value.length <= 20) return BigInt(value)
  } else if (/^\d{4}-\d\d-\d\d/.test(value)) return value
  throw new SydraError('bad_request', `${name} is an integer or an ISO 8601 time, not "${value}"`)
}

/** By the magnitude of the larger end: 0 is a time in every unit. */
function unitOf(start: bigint, end: bigint | string): Precision {
  const below = (limit: bigint): boolean =>
    [start, end].every(value => typeof value === 'string' || (value < limit && value > -limit))
  if (below(10n ** 11n)) return 's'
  if (below(10n ** 14n)) return 'ms'
  return below(10n ** 17n) ? 'us' : 'ns'
}

/** Always ISO 8601: text that the query reads the same whatever its magnitude. */
function timeText(value: bigint | string, unit: Precision | undefined): string {
  if (typeof value === 'string') return value
  const perSecond = unitsPerSecond[unit ?? unitOf(value, value)]
  // towards −∞, as timestamps are truncated on their way in
  const ns = (value * 1_000_000_000n) / perSecond
  const us = ns >= 0n ? ns / 1000n : -((-ns + 999n) / 1000n)
  const rest = ((us % 1000n) + 1000n) % 1000n
  const date = new Date(Number((us - rest) / 1000n))
  const year = date.getUTCFullYear()
  if (!(year >= 0 && year <= 9999))
    throw new SydraError('bad_request', `${value} is not a time between the years 0 and 9999`)
  return `${date.toISOString().slice(0, -1)}${String(rest).padStart(3, '0')}Z`
}

const durationUnits = { s: 's', ms: 'ms', us: 'us' } as const

function stepText(step: string | number, unit: Precision | undefined): string {
  const text = String(step)
  if (/^(\d+(us|ms|mo|[smhdwqy]))+$/i.test(text)) return text
  if (!/^\d{1,16}$/.test(text) || Number(text) === 0) {
    throw new SydraError('bad_request', `step is a duration such as 5m, or a positive whole number, not "${text}"`)
  }
  if (unit !== 'ns') return `${text}${durationUnits[unit ?? 's']}`
  if (Number(text) % 1000 !== 0) throw new SydraError('bad_request', 'a step in ns is a multiple of 1000')
  return `${Number(text) / 1000}us`
}
