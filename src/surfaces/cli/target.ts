/**
 * What a command talks to: a directory that it opens itself, or a running server by `--url`. Both give results as the
 * same text, so that everything after this file is one path.
 */
import type { Readable } from 'node:stream'
import { open } from '../../index.ts'
import { SydraError } from '../../lib/errors.ts'
import type { Settings } from '../../lib/settings.ts'
import type { IngestReport, Precision, QueryParameters, TextFormat } from '../../types.ts'
import { ingestBody } from '../ingest-body.ts'

export interface SqlOptions {
  readonly format: TextFormat
  readonly epoch?: Precision | undefined
  readonly signal?: AbortSignal
}
export interface IngestTargetOptions {
  readonly format: 'ndjson' | 'json'
  readonly precision?: Precision | undefined
  readonly onError?: 'skip' | 'abort' | undefined
}
/** What an ingest came to; `failure` when it stopped before the input's end. */
export interface Target {
  /** Rejects with a `SydraError` before the first chunk; later errors are the text's ending. */
  sql(text: string, params: QueryParameters, options: SqlOptions): AsyncIterable<Uint8Array>
  ingest(source: Readable, options: IngestTargetOptions): Promise<IngestReport>
  stats(): Promise<unknown>
  close(): Promise<void>
}

export async function openDirectory(settings: Settings): Promise<Target> {
  const db = await open(settings)
  return {
    sql: (text, params, { format, epoch, signal }) =>
      db.query(text, params, signal === undefined ? {} : { signal }).text({ format, epoch }),
    ingest: (source, options) => ingestBody(db, source, options),
    stats: async () => db.stats(),
    close: () => db.close(),
  }
}

const mediaTypes: Readonly<Record<TextFormat, string>> = {
  json: 'application/json',
  ndjson: 'application/x-ndjson',
  csv: 'text/csv',
}

export function connect(url: string, token: string): Target {
  const base = url.replace(/\/+$/, '')
  const authorization = token === '' ? {} : { authorization: `Bearer ${token}` }

  const request = async (path: string, init: RequestInit & { duplex?: 'half' }): Promise<Response> => {
    try {
      return await fetch(base + path, { ...init, headers: { ...authorization, ...init.headers } })
    } catch (error) {
      if (init.signal?.aborted) throw init.signal.reason
      const reason = ((error as Error).cause as Error | undefined)?.message ?? (error as Error).message
      throw new SydraError('io_error', `cannot reach ${base}: ${reason}`, {
        cause: error,
        hint: 'is the server running? `sydradb serve` prints its address',
      })
    }
  }

  return {
    async *sql(text, params, { format, epoch, signal }) {
      const response = await request(`/api/v1/sydraql${epoch === undefined ? '' : `?epoch=${epoch}`}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: mediaTypes[format] },
        body: JSON.stringify({ query: text, params }),
        ...(signal === undefined ? {} : { signal }),
      })
      if (!response.ok) throw await errorOf(response)
      yield* response.body!
    },
    async ingest(source, { format, precision, onError }) {
      const query = new URLSearchParams()
      if (precision !== undefined) query.set('precision', precision)
      if (onError !== undefined) query.set('on_error', onError)
      const response = await request(`/api/v1/ingest?${query}`, {
        method: 'POST',
        headers: { 'content-type': mediaTypes[format] },
        body: source as unknown as BodyInit,
        duplex: 'half',
      })
      const answer = (await response.json()) as Partial<IngestReport> & { readonly error?: WireError }
      if (answer.ingested === undefined) throw fromWire(answer.error)
      return {
        ingested: answer.ingested,
        rejected: answer.rejected ?? 0,
        errors: answer.errors ?? [],
        bytes: 0,
        failure: answer.error === undefined ? undefined : fromWire(answer.error),
      }
    },
    async stats() {
      const response = await request('/debug/compat/stats', {})
      if (!response.ok) throw await errorOf(response)
      return response.json()
    },
    close: async () => {},
  }
}

type WireError = Partial<ReturnType<SydraError['toJSON']>> & { readonly hint?: string }

const fromWire = (error: WireError | undefined): SydraError =>
  new SydraError(error?.code ?? 'internal_error', error?.message ?? 'the server gave no reason', {
    position: error?.position,
    hint: error?.hint,
  })

async function errorOf(response: Response): Promise<SydraError> {
  try {
    return fromWire(((await response.json()) as { error?: WireError }).error)
  } catch {
    return new SydraError('internal_error', `the server answered ${response.status} ${response.statusText}`)
  }
}
