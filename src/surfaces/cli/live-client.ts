/**
 * Live queries as commands follow them: of a running server, over Server-Sent Events, or of a directory that is opened here.
 * Both give the events of `GET /api/v1/live`.
 *
 * Invariants, of a server's:
 * 1. A connection that breaks, or falls silent for `silenceMaxMs`, is opened again from the last event that was given, after a
 *    while that doubles up to `backoffMaxMs`. Nothing is given twice; what cannot be resumed begins with a new snapshot.
 * 2. What fails before the first event, and what no second try will mend, is thrown.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { type ErrorCode, SydraError, toSydraError } from '../../lib/errors.ts'
import type { Database, QueryParameters } from '../../types.ts'
import { eventWriter } from '../http/live-events.ts'
import type { Cell } from './cells.ts'
import { note } from './output.ts'
import { serverSentEvents } from './sse.ts'
import { fromWire } from './wire-error.ts'

export interface LiveMessage {
  /** `snapshot`, `rows`, `snapshot_end`, `delta`, `progress`, `lagged`; a newer server may have others. */
  readonly event: string
  /** What to resume from once this one is applied; empty: nothing is known that could be. */
  readonly id: string
  /** A JSON object. */
  readonly data: string
}

export interface LiveColumn {
  readonly name: string
  readonly type: string
  readonly key: boolean
  readonly hidden: boolean
}
/** Values in the order of the columns: times as ISO 8601, NaN and the infinities as texts. */
export type LiveCells = readonly Cell[]

/** What the data of one or the other event holds. */
export interface LiveData {
  readonly lsn?: number
  readonly strategy?: string
  readonly reason?: string
  readonly columns?: readonly LiveColumn[]
  readonly rows?: readonly LiveCells[]
  readonly added?: readonly LiveCells[]
  readonly changed?: readonly LiveCells[]
  readonly removed?: readonly LiveCells[]
  readonly watermark?: string | null
}

export const dataOf = ({ data }: LiveMessage): LiveData => JSON.parse(data)

export interface FollowOptions {
  /** Of raw rows, how far back the snapshot goes, in ms. */
  readonly history: number | 'all'
  readonly signal: AbortSignal
  /** Told when a connection broke, and with undefined when there is one again. */
  readonly onInterruption?: (failure: SydraError | undefined) => void
}

/** Ends by an error only. */
export type Follow = (text: string, params: QueryParameters, options: FollowOptions) => AsyncIterable<LiveMessage>

const backoffMinMs = 100
const backoffMaxMs = 5000
const aliveMs = 60_000
/** Servers send a heartbeat more often. */
const silenceMaxMs = 60_000

/** Failures of a server that may be over the next time. */
const passing: ReadonlySet<ErrorCode> = new Set(['io_error', 'shutting_down', 'overloaded', 'too_many_subscriptions'])

/** Opens a path; rejects with the error that the server answers, or `io_error` where it does not. */
type OpenBody = (path: string, init: RequestInit) => Promise<AsyncIterable<Uint8Array>>

export const followServer = (open: OpenBody): Follow =>
  async function* (text, params, { history, signal, onInterruption = () => {} }) {
    const query = new URLSearchParams({ q: text, params: JSON.stringify(params), history: String(history) })
    const path = `/api/v1/live?${query}`
    let lastId = ''
    let tries = 0
    let hasBegun = false
    let isInterrupted = false
    const interrupted = (failure: SydraError | undefined): void => {
      if (isInterrupted === (failure !== undefined)) return
      isInterrupted = !isInterrupted
      onInterruption(failure)
    }
    const openAgain: OpenBody = async (where, init) => {
      const body = await open(where, init)
      interrupted(undefined)
      return body
    }
    for (;;) {
      try {
        for await (const message of connection(openAgain, path, lastId, signal)) {
          tries = 0
          hasBegun = true
          lastId = message.id
          yield message
        }
        throw new SydraError('io_error', 'the server closed the connection')
      } catch (error) {
        signal.throwIfAborted()
        const failure = toSydraError(error)
        if (!hasBegun || !passing.has(failure.code)) throw failure
        interrupted(failure)
        await delay(backoffMs(tries++), undefined, { signal })
      }
    }
  }

/** Doubles with each try in vain; no two clients of a server that comes back come at once. */
const backoffMs = (tries: number): number =>
  Math.min(backoffMaxMs, backoffMinMs * 2 ** tries) * (0.5 + Math.random() / 2)

async function* connection(
  open: OpenBody,
  path: string,
  lastId: string,
  signal: AbortSignal,
): AsyncGenerator<LiveMessage, void, undefined> {
  const silence = new AbortController()
  const timer = setTimeout(
    () => silence.abort(new SydraError('io_error', `nothing came for ${silenceMaxMs / 1000} s`)),
    silenceMaxMs,
  )
  try {
    const body = await open(path, {
      headers: { accept: 'text/event-stream', ...(lastId === '' ? {} : { 'last-event-id': lastId }) },
      signal: AbortSignal.any([signal, silence.signal]),
    })
    for await (const message of serverSentEvents(watched(body, timer), lastId)) {
      if (message.event === 'error') throw fromWire(JSON.parse(message.data))
      yield message
    }
  } catch (error) {
    if (error instanceof SydraError) throw error
    throw silence.signal.reason ?? new SydraError('io_error', 'the connection broke off', { cause: error })
  } finally {
    clearTimeout(timer)
  }
}

/** Whatever comes, a heartbeat too, winds the timer up again. */
async function* watched(body: AsyncIterable<Uint8Array>, timer: NodeJS.Timeout): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    timer.refresh()
    yield chunk
  }
}

export const followDatabase = (db: Database): Follow =>
  async function* (text, params, { history, signal }) {
    const wireEvents = eventWriter(undefined)
    const reader = db.live(text, params, { rows: 'arrays', history, signal }).reader()
    // while nothing happens, nothing else keeps the process
    const alive = setInterval(() => {}, aliveMs)
    let lastId = ''
    try {
      for await (const item of reader) {
        for (const { event, id, members } of wireEvents(item, reader.columns ?? [])) {
          if (id !== undefined) lastId = id ?? ''
          yield { event, id: lastId, data: `{${[...members].join('')}}` }
        }
      }
    } finally {
      clearInterval(alive)
    }
    signal.throwIfAborted()
    throw new SydraError('shutting_down', 'the database is closing')
  }

/** For who prints lines: on stderr. */
export const tellInterruptions: Pick<FollowOptions, 'onInterruption'> = {
  onInterruption: failure => note(failure === undefined ? 'connected again' : `reconnecting: ${failure.message}`),
}
