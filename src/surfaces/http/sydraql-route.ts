/** `POST /api/v1/sydraql`: a statement in, its result streamed as it is computed. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { SydraError } from '../../lib/errors.ts'
import type { QueryOptions, QueryParameter, QueryResult, TextFormat, TextOptions } from '../../types.ts'
import type { HttpContext } from './context.ts'
import { epoch, object, oneOf, responses, string } from './schemas.ts'
import { clientSignal, sendStream } from './streaming.ts'

/** A query's text with its parameters. */
export const queryBytesMax = 1 << 20

export const mediaTypes = {
  json: 'application/json',
  ndjson: 'application/x-ndjson',
  csv: 'text/csv',
} as const satisfies Record<TextFormat, string>
const arrowMediaType = 'application/vnd.apache.arrow.stream'

interface SydraqlQuery {
  readonly format?: TextFormat | 'arrow'
  readonly epoch?: 's' | 'ms' | 'us' | 'ns'
}
interface SydraqlBody {
  readonly query: string
  readonly params?: readonly QueryParameter[]
  readonly timeout_ms?: number
}

const columns = {
  type: 'array',
  items: {
    type: 'object',
    properties: { name: { type: 'string' }, type: { type: 'string' }, nullable: { type: 'boolean' } },
  },
}
const jsonBody = object(
  {
    query: string('sydraQL.', { minLength: 1 }),
    params: {
      type: 'array' as const,
      description: 'Values of `?` in order, or of `$1`, `$2` ….',
      items: { type: ['number', 'string', 'boolean', 'null'] },
    },
    timeout_ms: { type: 'number' as const, exclusiveMinimum: 0, description: 'Ends the query with `query_timeout`.' },
  },
  ['query'],
)
const schema = {
  summary: 'Run a sydraQL statement',
  description:
    'The body is sydraQL as plain text, or JSON with parameters. `insert` and `delete` answer one row, once they are as ' +
    'durable as `fsync` says. The result ends with `stats`, or with `error` in its place when the query fails after the ' +
    'first chunk; the connection is closed then.',
  tags: ['queries'],
  body: {
    content: { 'text/plain': { schema: { type: 'string' } }, 'application/json': { schema: jsonBody } },
  },
  querystring: object({
    format: oneOf('Before `Accept`.', ['json', 'ndjson', 'csv', 'arrow']),
    epoch,
  }),
  response: responses('The result, in chunks as rows are produced.', {
    'application/json': {
      type: 'object',
      properties: { columns, rows: { type: 'array', items: { type: 'array' } }, stats: { type: 'object' } },
    },
    'application/x-ndjson': { type: 'object' },
    'text/csv': { type: 'string' },
  }),
}
export function sydraqlRoute(context: HttpContext) {
  return async (app: FastifyInstance): Promise<void> => {
    // what is not JSON is the query itself: curl -d says x-www-form-urlencoded, and means text
    app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body))
    app.post<{ Querystring: SydraqlQuery; Body: SydraqlBody | string | null | undefined }>(
      '/api/v1/sydraql',
      { schema, bodyLimit: queryBytesMax },
      async (request, reply) => {
        const { query, params = [], timeout_ms: timeoutMs } = readBody(request.body)
        const format = negotiate(request.query.format, request.headers.accept)
        await sendQuery(context, reply, query, params, {
          options: timeoutMs === undefined ? {} : { timeoutMs },
          text: { format, epoch: request.query.epoch },
        })
      },
    )
  }
}

/** Runs a query and streams its text. It stops when the client goes away or the server closes. */
export async function sendQuery(
  context: HttpContext,
  reply: FastifyReply,
  query: string,
  params: readonly QueryParameter[],
  { options = {}, text }: { readonly options?: QueryOptions; readonly text: TextOptions },
): Promise<void> {
  await context.queries.run(async closing => {
    const signal = AbortSignal.any([clientSignal(reply.raw), closing])
    const result: QueryResult = context.db.query(query, params, { ...options, signal })
    await sendStream(reply, {
      contentType: mediaTypes[text.format] + (text.format === 'csv' ? '; charset=utf-8; header=present' : ''),
      chunks: result.text({ ...text, borrow: true }),
      failure: () => result.failure,
    })
  })
}

function readBody(body: SydraqlBody | string | null | undefined): SydraqlBody {
  if (body === null || body === undefined || body === '') {
    throw new SydraError('bad_request', 'the body holds no query', {
      hint: 'send sydraQL as text/plain, or {"query", "params", "timeout_ms"} as application/json',
    })
  }
  return typeof body === 'string' ? { query: body } : body
}

/** `?format` first, then the best of `Accept` that there is; JSON when it names nothing known. */
function negotiate(format: SydraqlQuery['format'], accept: string | undefined): TextFormat {
  const wanted = format ?? acceptedFormat(accept ?? '')
  if (wanted === 'arrow') {
    throw new SydraError('unsupported_feature', 'Arrow output is not available', { hint: 'use json, ndjson or csv' })
  }
  return wanted
}

const formatOfType: ReadonlyMap<string, TextFormat | 'arrow'> = new Map([
  [mediaTypes.json, 'json'],
  ['*/*', 'json'],
  ['application/*', 'json'],
  [mediaTypes.ndjson, 'ndjson'],
  ['application/ndjson', 'ndjson'],
  [mediaTypes.csv, 'csv'],
  ['text/*', 'csv'],
  [arrowMediaType, 'arrow'],
])

function acceptedFormat(accept: string): TextFormat | 'arrow' {
  let best: { readonly format: TextFormat | 'arrow'; readonly quality: number } = { format: 'json', quality: 0 }
  for (const range of accept.split(',')) {
    const [type = '', ...parameters] = range.split(';').map(part => part.trim().toLowerCase())
    const found = formatOfType.get(type)
    const quality = Number(parameters.find(parameter => parameter.startsWith('q='))?.slice(2) ?? 1)
    if (found !== undefined && quality > best.quality) best = { format: found, quality }
  }
  return best.format
}
