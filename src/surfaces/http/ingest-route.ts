/**
 * `POST /api/v1/ingest`: a body of any length in, its counts out.
 *
 *   socket -> (gunzip, unzstd, unbrotli) -> rows -> 200 {"ingested"} | its status {"error"?,"ingested","rejected","errors"}
 *
 * Invariants:
 * 1. Nothing is buffered whole: decoders, lines and rows are streams with bounds, and the socket is read no faster than
 *    rows become durable. There is no request timeout.
 * 2. Whatever happens — bad rows, a damaged or broken-off body, the server closing — what was good is stored and counted.
 * 3. After an answer that came before the body's end the connection is not reused; the rest of the body is read away for
 *    a while, so that a client that is still sending gets to see the answer.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { constants, createBrotliDecompress, createGunzip, createZstdDecompress } from 'node:zlib'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { SydraError, toSydraError } from '../../lib/errors.ts'
import type { IngestReport } from '../../types.ts'
import { ingestBody } from '../ingest-body.ts'
import type { HttpContext } from './context.ts'
import { errorHeaders, statusOf } from './errors.ts'
import { object, oneOf, responses } from './schemas.ts'

/** A zstd frame may ask for a window of at most 8 MiB (RFC 9659). */
const zstdWindowLogMax = 23
const decodedChunkBytes = 64 * 1024
/** How long, and how much, of a body that nobody wants is read away before the connection is closed. */
const lingerMsMax = 2000
const lingerBytesMax = 64 * 1024 * 1024

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The body in the OpenAPI document, of a route that reads it as a stream. */
    documentedBody?: object
  }
}

interface IngestQuery {
  readonly precision?: 's' | 'ms' | 'us' | 'ns'
  readonly on_error?: 'skip' | 'abort'
  readonly ack?: 'stream'
}

const bodyMediaTypes = ['application/x-ndjson', 'application/json']
const counts = {
  type: 'object',
  properties: {
    ingested: { type: 'integer', description: 'Rows stored, durable under the fsync policy.' },
    rejected: { type: 'integer' },
    errors: {
      type: 'array',
      description: 'The first 100 bad rows.',
      items: {
        type: 'object',
        properties: { line: { type: 'integer' }, code: { type: 'string' }, message: { type: 'string' } },
      },
    },
  },
  required: ['ingested'],
}
const rowSchema = {
  type: 'object',
  properties: {
    series: { type: 'string', description: 'The metric.' },
    ts: { description: 'An integer in `precision`, or ISO 8601; the server’s time when absent.' },
    value: { description: 'The field `value`.' },
    fields: { type: 'object', additionalProperties: true },
    tags: { type: 'object', additionalProperties: true },
  },
  required: ['series'],
}
const schema = {
  summary: 'Store rows',
  description:
    'NDJSON, one row a line, of any length; or `application/json`, one row or an array of rows. `Content-Encoding` may be ' +
    'gzip, zstd or br. Every read from the socket commits the complete lines it holds.',
  tags: ['rows'],
  querystring: object({
    precision: oneOf('Unit of integer timestamps; without it the first one settles it by magnitude.', [
      's',
      'ms',
      'us',
      'ns',
    ]),
    on_error: oneOf('`skip` (default) stores the good rows and reports the bad, `abort` stops at the first bad one.', [
      'skip',
      'abort',
    ]),
    ack: oneOf('`stream`: the response is NDJSON, a line {"lines","lsn"} per commit and the counts at the end.', [
      'stream',
    ]),
  }),
  response: responses('All rows are stored.', { 'application/json': counts }),
}
/** For the OpenAPI document only: nothing validates a body that streams. */
const documentedBody = {
  content: {
    'application/x-ndjson': { schema: rowSchema },
    'application/json': { schema: { oneOf: [rowSchema, { type: 'array', items: rowSchema }] } },
  },
}

export function ingestRoute(context: HttpContext) {
  return async (app: FastifyInstance): Promise<void> => {
    // the body stays in the socket until the handler reads it
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', (_request, _payload, done) => done(null))
    app.post<{ Querystring: IngestQuery }>('/api/v1/ingest', { schema, config: { documentedBody } }, (request, reply) =>
      ingest(context, request, reply),
    )
  }
}

type IngestRequest = FastifyRequest<{ Querystring: IngestQuery }>

async function ingest(context: HttpContext, request: IngestRequest, reply: FastifyReply): Promise<void> {
  const format = bodyFormat(request.headers['content-type'])
  const source = decoded(request.raw, request.headers['content-encoding'])
  const { precision, on_error: onError, ack } = request.query
  const acks = ack === 'stream' ? new AckStream(reply) : undefined
  let report: IngestReport
  try {
    report = await context.ingests.run(signal =>
      ingestBody(context.db, source, { format, precision, onError, signal, onCommit: acks?.commit }),
    )
  } catch (error) {
    // nothing was read: the database takes no rows now
    const refusal = toSydraError(error)
    await respond(request, reply, refusal, statusOf(refusal), { error: refusal })
    return
  } finally {
    // lets go of the decoder, and of its hold on what is left of the body
    if (source !== request.raw) source.destroy()
  }
  const { failure, ingested, rejected, errors } = report
  const answer = {
    ...(failure === undefined ? {} : { error: failure }),
    ingested,
    ...(rejected > 0 || failure !== undefined ? { rejected, errors } : {}),
  }
  if (acks === undefined || (failure !== undefined && !acks.started)) {
    await respond(request, reply, failure, rejected > 0 ? 400 : 200, answer)
  } else await acks.end(answer, request.raw)
}

function bodyFormat(contentType: string | undefined): 'ndjson' | 'json' {
  const mediaType = contentType?.split(';')[0]?.trim().toLowerCase() ?? ''
  if (mediaType === 'application/json') return 'json'
  // curl says x-www-form-urlencoded, and fetch text/plain, for a body they were told nothing about
  const lines = /^(|application\/(x-ndjson|ndjson|jsonl|x-jsonlines|octet-stream|x-www-form-urlencoded)|text\/plain)$/
  if (lines.test(mediaType)) return 'ndjson'
  throw new SydraError('unsupported_media_type', `ingest does not read ${mediaType}`, {
    hint: `send ${bodyMediaTypes.join(' or ')}`,
  })
}

/** The body's bytes as they were before the client compressed them. */
function decoded(raw: IncomingMessage, encoding: string | undefined): Readable {
  const decoder = decoderOf(encoding?.trim().toLowerCase() ?? '')
  if (decoder === undefined) return raw
  // not a `pipeline`: that would close the socket of a damaged body, and the answer with it
  raw.once('close', () => {
    if (!raw.readableEnded) decoder.destroy(new SydraError('truncated_body', 'the connection broke off'))
  })
  return raw.pipe(decoder)
}

function decoderOf(encoding: string) {
  switch (encoding) {
    case '':
    case 'identity':
      return undefined
    case 'gzip':
    case 'x-gzip':
      return createGunzip({ chunkSize: decodedChunkBytes })
    case 'zstd':
      return createZstdDecompress({
        chunkSize: decodedChunkBytes,
        params: { [constants.ZSTD_d_windowLogMax]: zstdWindowLogMax },
      })
    case 'br':
      return createBrotliDecompress({ chunkSize: decodedChunkBytes })
    default:
      throw new SydraError('unsupported_encoding', `Content-Encoding "${encoding}" is not supported`, {
        hint: 'use gzip, zstd or br, one of them at a time',
      })
  }
}

/** Sends the answer whole, and to a client that is still sending right away. */
async function respond(
  request: IngestRequest,
  reply: FastifyReply,
  failure: SydraError | undefined,
  status: number,
  answer: object,
): Promise<void> {
  const body = Buffer.from(JSON.stringify(answer))
  const { raw } = reply
  reply.hijack()
  raw.writeHead(failure === undefined ? status : statusOf(failure), {
    'content-type': 'application/json; charset=utf-8',
    'content-length': body.length,
    ...(failure === undefined ? {} : errorHeaders(failure)),
    ...(request.raw.readableEnded ? {} : { connection: 'close' }),
  })
  raw.write(body)
  await finish(request.raw, raw)
}

/** Ends the response: at once after a whole body, else when the client stops sending or has been waited for enough. */
async function finish(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (!request.readableEnded && !request.destroyed) {
    let bytes = 0
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, lingerMsMax)
      const stop = (): void => {
        clearTimeout(timer)
        resolve()
      }
      request.on('data', (chunk: Uint8Array) => {
        bytes += chunk.length
        if (bytes > lingerBytesMax) stop()
      })
      request.once('end', stop).once('close', stop).resume()
    })
  }
  response.end()
  if (!request.readableEnded) response.socket?.destroySoon()
}

/** The response as a stream of acknowledgements. A client that does not read them misses some, never the newest. */
class AckStream {
  started = false
  readonly #reply: FastifyReply
  #unsent: object | undefined

  constructor(reply: FastifyReply) {
    this.#reply = reply
  }

  readonly commit = (progress: object): void => {
    const raw = this.#start()
    if (raw.writableNeedDrain) {
      if (this.#unsent === undefined) raw.once('drain', () => this.#sendUnsent())
      this.#unsent = progress
    } else raw.write(`${JSON.stringify(progress)}\n`)
  }

  async end(answer: object, request: IncomingMessage): Promise<void> {
    const raw = this.#start()
    this.#sendUnsent()
    raw.write(`${JSON.stringify(answer)}\n`)
    await finish(request, raw)
  }

  #start(): ServerResponse {
    const { raw } = this.#reply
    if (!this.started) {
      this.started = true
      this.#reply.hijack()
      raw.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' })
    }
    return raw
  }

  #sendUnsent(): void {
    if (this.#unsent !== undefined) this.#reply.raw.write(`${JSON.stringify(this.#unsent)}\n`)
    this.#unsent = undefined
  }
}
