/** What there is: series, tags, segments, functions — each a JSON array, streamed. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { SeriesInfo } from '../../types.ts'
import type { HttpContext } from './context.ts'
import { noParameters, object, oneOf, responses, string, tags } from './schemas.ts'
import { jsonArray, sendStream } from './streaming.ts'
import { mediaTypes, queryBytesMax, sendQuery } from './sydraql-route.ts'

interface FindBody {
  readonly tags: Readonly<Record<string, string>>
  readonly op?: 'and' | 'or'
}
interface OfMetric {
  readonly metric?: string
}

const array = (items: object) => ({ 'application/json': { type: 'array', items } })
const seriesItem = {
  type: 'object',
  properties: {
    series_id: { type: 'string', description: 'Decimal text of an unsigned 64-bit number.' },
    metric: { type: 'string' },
    tags: { type: 'object', additionalProperties: { type: 'string' } },
    series: { type: 'string', description: 'As printed: cpu{host="a"}' },
  },
}
const ofMetric = object({ metric: string('Only of this metric.', { minLength: 1 }) })
const catalog = (summary: string, more: object) => ({ schema: { summary, tags: ['catalog'], ...more } })

const detailed = ({ id, metric, tags, printed }: SeriesInfo) => ({
  series_id: id,
  metric,
  tags: Object.fromEntries(tags),
  series: printed,
})

export function catalogRoutes(context: HttpContext) {
  const { db } = context
  const sendArray = (reply: FastifyReply, items: Iterable<unknown>): Promise<void> =>
    sendStream(reply, { contentType: mediaTypes.json, chunks: jsonArray(items), failure: () => undefined })
  const sendShow = (reply: FastifyReply, query: string): Promise<void> =>
    sendQuery(context, reply, query, [], { text: { format: 'json', bare: true } })
  const from = (metric: string | undefined): string =>
    metric === undefined ? '' : ` from "${metric.replaceAll('"', '""')}"`

  return async (app: FastifyInstance): Promise<void> => {
    app.post<{ Body: FindBody; Querystring: { readonly detail?: string } }>(
      '/api/v1/query/find',
      {
        bodyLimit: queryBytesMax,
        ...catalog('Series by their tags', {
          querystring: object({ detail: oneOf('1: objects with metric and tags.', ['0', '1', 'true', 'false']) }),
          body: object({ tags, op: oneOf('All of the tags (default) or any.', ['and', 'or']) }, ['tags']),
          response: responses('Ids of series.', array({ oneOf: [{ type: 'string' }, seriesItem] })),
        }),
      },
      (request, reply) => {
        const { tags, op = 'and' } = request.body
        const withDetail = request.query.detail === '1' || request.query.detail === 'true'
        const found = db.findSeries(tags, op)
        return sendArray(reply, withDetail ? mapped(found, detailed) : mapped(found, ({ id }) => id))
      },
    )

    app.get<{ Querystring: OfMetric }>(
      '/api/v1/series',
      catalog('Every series', { querystring: ofMetric, response: responses('Series.', array(seriesItem)) }),
      (request, reply) => sendArray(reply, mapped(db.series(request.query.metric), detailed)),
    )
    app.get<{ Querystring: OfMetric }>(
      '/api/v1/tags',
      catalog('Tag keys, as `show tags`', {
        querystring: ofMetric,
        response: responses('Tag keys.', array({ type: 'object' })),
      }),
      (request, reply) => sendShow(reply, `show tags${from(request.query.metric)}`),
    )
    app.get<{ Params: { readonly key: string }; Querystring: OfMetric }>(
      '/api/v1/tags/:key/values',
      catalog('Values of a tag', {
        params: object({ key: string('The tag’s key.') }),
        querystring: ofMetric,
        response: responses('Distinct values, sorted.', array({ type: 'string' })),
      }),
      (request, reply) => sendArray(reply, tagValues(db.series(request.query.metric), request.params.key)),
    )
    for (const subject of ['segments', 'functions'] as const) {
      app.get(
        `/api/v1/${subject}`,
        catalog(`As \`show ${subject}\``, {
          querystring: noParameters,
          response: responses('Rows as objects.', array({ type: 'object' })),
        }),
        (_request, reply) => sendShow(reply, `show ${subject}`),
      )
    }
  }
}

function* mapped<T>(series: Iterable<SeriesInfo>, map: (one: SeriesInfo) => T): Generator<T> {
  for (const one of series) yield map(one)
}

function tagValues(series: Iterable<SeriesInfo>, key: string): string[] {
  const values = new Set<string>()
  for (const { tags } of series) {
    const found = tags.find(([name]) => name === key)
    if (found !== undefined) values.add(found[1])
  }
  return [...values].sort()
}
