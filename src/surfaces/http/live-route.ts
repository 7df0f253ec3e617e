/**
 * `GET /api/v1/live`: a query that goes on, as Server-Sent Events or, with `Upgrade: websocket`, over a WebSocket.
 *
 *   request ─► validated ─► a place among its client's ─► first event of the reader ─► head (200, or 101) ─► delivery
 *
 * Invariants:
 * 1. Whatever is wrong until the first event exists, or `headDelayMs` have passed, is a response with its status, of either
 *    transport. After that it is the event `error`, and the end.
 * 2. A subscription is released once: when its delivery ends, or its connection, whichever comes first.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { SydraError } from '../../lib/errors.ts'
import { durationUnitsMs, type Settings } from '../../lib/settings.ts'
import type { LiveOptions, Precision, QueryParameter, WithArrays } from '../../types.ts'
import { assertOriginAllowed, withoutToken } from './auth.ts'
import { ClientPlaces } from './client-places.ts'
import type { HttpContext } from './context.ts'
import { deliver, type LiveSubscription, type LiveTransport } from './live-delivery.ts'
import { eventWriters } from './live-events.ts'
import { liveSchema } from './live-schema.ts'
import { sseTransport } from './live-sse.ts'
import { isWebSocketUpgrade, webSocketTransport } from './live-websocket.ts'
import type { Metrics, Transport } from './metrics.ts'
import { clientSignal } from './streaming.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The token may be the parameter `access_token`, for clients that cannot set headers. */
    tokenInQuery?: boolean
  }
}

export const livePath = '/api/v1/live'

/** Parameters of one query. */
const parametersMax = 256
/** How long the head waits for a first event: someone who comes back may have missed nothing. */
const headDelayMs = 1000

interface LiveRequest {
  readonly q: string
  /** A JSON array. */
  readonly params?: string
  readonly history?: string
  readonly epoch?: Precision
  readonly last_event_id?: string
}
type Request = FastifyRequest<{ Querystring: LiveRequest }>

export function liveRoute(context: HttpContext, metrics: Metrics, settings: Pick<Settings, 'live' | 'authToken'>) {
  const places = new ClientPlaces(settings.live.perClientMax)
  const writers = eventWriters()
  const subscriptions = new WeakMap<FastifyRequest, LiveSubscription>()

  const serve = async (request: FastifyRequest, transport: LiveTransport, name: Transport): Promise<void> => {
    const subscription = subscriptions.get(request)!
    const connection = metrics.liveConnection(name)
    const { cut, error } = await deliver(subscription, transport, settings.live)
    connection.closed(cut)
    if (cut !== undefined) context.log('info', 'live client cut', { reason: cut, address: request.ip })
    if (error?.code === 'internal_error') {
      const { stack } = error.cause instanceof Error ? error.cause : error
      context.log('error', 'live query failed', { url: withoutToken(request.url), error: stack })
    }
  }

  return async (app: FastifyInstance): Promise<void> => {
    app.route<{ Querystring: LiveRequest }>({
      method: 'GET',
      url: livePath,
      schema: liveSchema,
      config: { tokenInQuery: true },
      preHandler: async (request, reply) => {
        if (isWebSocketUpgrade(request.raw)) assertOriginAllowed(request.headers, settings.authToken)
        const subscription = await subscribe(context, places, request, reply)
        subscriptions.set(request, { ...subscription, writer: writers(request.query.epoch) })
      },
      handler: (request, reply) => serve(request, sseTransport(reply), 'sse'),
      wsHandler: (socket, request) =>
        serve(request, webSocketTransport(socket, settings.live.clientStallMs), 'websocket'),
    })
  }
}

/** A subscription that has something to tell, or will. Rejects with what is wrong with it. */
async function subscribe(
  { db, lives }: HttpContext,
  places: ClientPlaces,
  request: Request,
  reply: FastifyReply,
): Promise<Omit<LiveSubscription, 'writer'>> {
  const { q, params } = request.query
  const parameters = readParameters(params)
  const options = readOptions(request)
  const gone = clientSignal(reply.raw)
  const place = places.take(request.ip)
  const open = lives.open()
  let isReleased = false
  let close = (): void => {}
  const release = (): void => {
    if (isReleased) return
    isReleased = true
    close()
    open.close()
    place.free()
  }
  gone.addEventListener('abort', release, { once: true })
  try {
    gone.throwIfAborted()
    const reader = db.live(q, parameters, options).reader()
    close = () => reader.close()
    const first = reader.next()
    const closing = open.signal
    await settledWithin(first, headDelayMs, AbortSignal.any([gone, closing]))
    return { reader, first, gone, closing, release }
  } catch (error) {
    release()
    throw error
  }
}

/** Resolves when the promise does or the time is over; rejects as the promise, or with the signal's reason. */
async function settledWithin(promise: Promise<unknown>, ms: number, signal: AbortSignal): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  try {
    await new Promise<unknown>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      timer = setTimeout(resolve, ms)
      promise.then(resolve, reject)
    })
  } finally {
    clearTimeout(timer)
  }
}

// ---- what is asked for -----------------------------------------------------------------------------------------------

function readParameters(text: string | undefined): readonly QueryParameter[] {
  if (text === undefined) return []
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    parsed = undefined
  }
  const isParameter = (value: unknown): boolean => value === null || typeof value !== 'object'
  if (!Array.isArray(parsed) || !parsed.every(isParameter)) {
    throw new SydraError('bad_request', 'params is a JSON array of numbers, strings, booleans and nulls', {
      hint: 'params=["web-1",0.5]',
    })
  }
  if (parsed.length > parametersMax) {
    throw new SydraError('bad_request', `params has ${parsed.length} values; ${parametersMax} are the most`)
  }
  return parsed
}

function readOptions({ query, headers }: Request): WithArrays<LiveOptions> {
  // the header is newer: a client that comes back by itself repeats the address it was given
  const resumeFrom = headers['last-event-id'] ?? query.last_event_id
  return {
    rows: 'arrays',
    history: readHistory(query.history),
    // an empty one is what a client has after a snapshot that was cut off
    ...(resumeFrom === undefined || resumeFrom === '' ? {} : { resumeFrom: String(resumeFrom) }),
  }
}

function readHistory(text = '0'): number | 'all' {
  if (text === 'all') return 'all'
  const [, digits, name = ''] = /^(\d{1,15})([a-z]*)$/.exec(text) ?? []
  const unitMs = name === '' ? 1 : durationUnitsMs[name]
  if (digits === undefined || unitMs === undefined) {
    throw new SydraError('bad_request', `history is a duration such as 1h, or all, not "${text}"`)
  }
  return Number(digits) * unitMs
}
