/** A running server, over HTTP, as a command's target. */
import { SydraError, toSydraError } from '../../lib/errors.ts'
import type { CompactionProgress, CompactionReport, IngestReport, TextFormat, VerifiedFile } from '../../types.ts'
import { camelCase } from '../snake-case.ts'
import { followServer } from './live-client.ts'
import { remoteSnapshots } from './snapshot-target.ts'
import type { Target } from './target.ts'
import { fromWire, type WireError } from './wire-error.ts'

const mediaTypes: Readonly<Record<TextFormat, string>> = {
  json: 'application/json',
  ndjson: 'application/x-ndjson',
  csv: 'text/csv',
}

/** One of them. */
interface CompactionLine {
  readonly progress?: object
  readonly report?: object
  readonly error?: WireError
}

export interface Remote extends Target {
  /** The server verifies its files, one after the other. */
  verify(signal: AbortSignal): AsyncIterable<VerifiedFile>
}

/** @example await connect('http://127.0.0.1:8080', '').stats() */
export function connect(url: string, token: string): Remote {
  const base = readUrl(url)
  const authorization = token === '' ? {} : { authorization: `Bearer ${token}` }

  const request = async (path: string, init: RequestInit & { duplex?: 'half' }): Promise<Response> => {
    try {
      return await fetch(base + path, { ...init, headers: { ...authorization, ...init.headers } })
    } catch (error) {
      throw init.signal?.aborted ? toSydraError(init.signal.reason) : unreachable(base, error)
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
      try {
        yield* response.body!
      } catch (error) {
        if (signal?.aborted) throw signal.reason
        throw new SydraError('io_error', 'the connection broke off: the result is cut short', { cause: error })
      }
    },
    follow: followServer(async (path, init) => {
      const response = await request(path, init)
      if (!response.ok) throw await errorOf(response)
      if (response.headers.get('content-type')?.startsWith('text/event-stream') !== true) throw noServer(response)
      return response.body!
    }),
    async ingest(source, { format, precision, onError, signal }) {
      const query = new URLSearchParams()
      if (precision !== undefined) query.set('precision', precision)
      if (onError !== undefined) query.set('on_error', onError)
      const response = await request(`/api/v1/ingest?${query}`, {
        method: 'POST',
        headers: { 'content-type': mediaTypes[format] },
        body: source as unknown as BodyInit,
        duplex: 'half',
        ...(signal === undefined ? {} : { signal }),
      })
      const answer = (await json(response)) as Partial<IngestReport> & { readonly error?: WireError }
      if (answer.ingested === undefined) throw fromWire(answer.error)
      return {
        ingested: answer.ingested,
        rejected: answer.rejected ?? 0,
        errors: answer.errors ?? [],
        bytes: 0,
        failure: answer.error === undefined ? undefined : fromWire(answer.error),
      }
    },
    async *verify(signal) {
      const response = await request('/api/v1/verify', { method: 'POST', signal })
      if (!response.ok) throw await errorOf(response)
      let isWhole = false
      for await (const line of linesOf(response.body!)) {
        const told = JSON.parse(line) as VerifiedFile & { readonly summary?: unknown; readonly error?: WireError }
        if (told.error !== undefined) throw fromWire(told.error)
        isWhole = told.summary !== undefined
        if (!isWhole) yield told
      }
      if (!isWhole) throw new SydraError('io_error', 'the connection broke off: not everything was verified')
    },
    async compact({ signal, onProgress }) {
      const response = await request('/api/v1/compact', { method: 'POST', ...(signal === undefined ? {} : { signal }) })
      if (!response.ok) throw await errorOf(response)
      for await (const line of linesOf(response.body!)) {
        const { progress, report, error } = JSON.parse(line) as CompactionLine
        if (error !== undefined) throw fromWire(error)
        if (report !== undefined) return camelCase(report) as unknown as CompactionReport
        if (progress !== undefined) onProgress?.(camelCase(progress) as unknown as CompactionProgress)
      }
      throw new SydraError('io_error', 'the connection broke off: how far the compaction came is not known')
    },
    snapshots: remoteSnapshots({
      async call(path, init) {
        const response = await request(path, init)
        if (!response.ok) throw await errorOf(response)
        return json(response)
      },
      async *lines(path, signal) {
        const response = await request(path, signal === undefined ? {} : { signal })
        if (!response.ok) throw await errorOf(response)
        yield* linesOf(response.body!)
      },
    }),
    async stats() {
      const response = await request('/debug/compat/stats', {})
      if (!response.ok) throw await errorOf(response)
      return json(response)
    },
    close: async () => {},
  }
}

function readUrl(url: string): string {
  const parsed = URL.parse(/^[a-z][a-z+.-]*:\/\//i.test(url) ? url : `http://${url}`)
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) {
    throw new SydraError('bad_request', `"${url}" is not a URL such as http://127.0.0.1:8080`)
  }
  return (parsed.origin + parsed.pathname).replace(/\/+$/, '')
}

function unreachable(base: string, error: unknown): SydraError {
  const cause = (error as Error).cause as Error | undefined
  return new SydraError('io_error', `cannot reach ${base}: ${cause?.message || (error as Error).message}`, {
    cause: error,
    hint: 'is the server running? `sydradb serve` prints its address',
  })
}

async function errorOf(response: Response): Promise<SydraError> {
  return fromWire(((await json(response)) as { readonly error?: WireError }).error)
}

/** Whatever else answers at the address — a proxy, another program — does not answer in JSON objects. */
async function json(response: Response): Promise<object> {
  try {
    const answer: unknown = await response.json()
    if (typeof answer === 'object' && answer !== null) return answer
  } catch {
    // told below
  }
  throw noServer(response)
}

const noServer = ({ url, status, statusText }: Response): SydraError =>
  new SydraError('io_error', `${url} answered ${status} ${statusText}, and not as a server does`, {
    hint: 'is it a sydradb server?',
  })

async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const bytes of body) {
    const lines = (text + decoder.decode(bytes, { stream: true })).split('\n')
    text = lines.pop()!
    yield* lines
  }
  if (text !== '') yield text
}
