/** What a call of `live` asks for, checked. */
import { SydraError } from '../../lib/errors.ts'
import type { QueryParameters } from '../../types.ts'
import type { Request } from './subscription.ts'
import type { LiveOptions } from './types.ts'

export interface LiveRequest extends Request {
  readonly text: string
  readonly params: QueryParameters
  /** Equal for requests that one query answers. */
  readonly key: string
  readonly signal: AbortSignal | undefined
}

/** Rows and times in whatever form. */
export interface LiveRequestOptions extends Omit<LiveOptions, 'rows' | 'time'> {
  readonly rows?: 'objects' | 'arrays' | undefined
  readonly time?: 'us' | 'date' | undefined
}

/** The parameters are as they were when `live` was called, whatever becomes of the caller's. */
export function checkedRequest(text: string, given: QueryParameters, options: LiveRequestOptions): LiveRequest {
  const { history = 0, time = 'us', rows = 'objects', resumeFrom, signal } = options
  if (history !== 'all' && !(history >= 0))
    throw new SydraError('bad_request', `history is a number of milliseconds or 'all', not ${String(history)}`)
  const params = given.map(value => (value instanceof Date ? new Date(value) : value))
  const key = JSON.stringify([text, params.map(keyOf)])
  return { text, params, key, history, form: `${rows} ${time}`, resumeFrom, signal }
}

/** Numbers as text: JSON has no NaN, no Infinity, no -0. */
function keyOf(value: QueryParameters[number]): unknown {
  if (typeof value === 'number') return ['n', Object.is(value, -0) ? '-0' : String(value)]
  return value instanceof Date ? ['d', value.getTime()] : value
}
