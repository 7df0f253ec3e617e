/**
 * Snapshots over HTTP: taking, listing, forgetting, restoring, comparing, and removing what none needs.
 *
 * `GET /api/v1/diff` answers in lines: one per series, then `{"summary":{…}}` or `{"error":{…}}`.
 */
import type { FastifyInstance } from 'fastify'
import { type SydraError, toSydraError } from '../../lib/errors.ts'
import type { Database } from '../../types.ts'
import { snakeCase } from '../snake-case.ts'
import type { HttpContext } from './context.ts'
import { noParameters, object, responses, string } from './schemas.ts'
import { clientSignal, sendStream } from './streaming.ts'
import { queryBytesMax } from './sydraql-route.ts'

const json = (type: 'object' | 'array') => ({ 'application/json': { type } })
const schema = (summary: string, content: Readonly<Record<string, object>>, more: object = {}) => ({
  schema: {
    summary,
    tags: ['snapshots'],
    querystring: noParameters,
    response: responses(summary, content),
    ...more,
  },
})
const ref = string('A name, HEAD, or the first digits of an id.', { minLength: 1 })

interface NewSnapshot {
  readonly name?: string
  readonly message?: string
}

export function snapshotRoutes(context: HttpContext) {
  const { db } = context
  return async (app: FastifyInstance): Promise<void> => {
    // A body that is not there is none: everything in it may be left out.
    app.post<{ Body: NewSnapshot }>(
      '/api/v1/snapshots',
      {
        bodyLimit: queryBytesMax,
        ...schema('Take a snapshot', json('object'), { body: newSnapshotBody }),
        preValidation: async request => {
          request.body ??= {}
        },
      },
      (request, reply) =>
        context.queries.run(async closing => {
          const { name, message } = request.body
          const signal = AbortSignal.any([clientSignal(reply.raw), closing])
          return snakeCase(await db.snapshot(name, { message, signal }))
        }),
    )
    app.get('/api/v1/snapshots', schema('Snapshots, newest first', json('array')), async () =>
      snakeCase(db.snapshots()),
    )
    app.delete<{ Params: { readonly name: string } }>(
      '/api/v1/snapshots/:name',
      schema('Forget a snapshot', json('object'), { params: object({ name: string('Its name.') }) }),
      async request => {
        await db.removeSnapshot(request.params.name)
        return {}
      },
    )
    app.post<{ Body: { readonly ref: string; readonly dry_run?: boolean } }>(
      '/api/v1/restore',
      {
        bodyLimit: queryBytesMax,
        ...schema('Make the database what it was at a snapshot', json('object'), {
          body: object({ ref, dry_run: { type: 'boolean', description: 'Verify only.' } }, ['ref']),
        }),
      },
      (request, reply) =>
        context.queries.run(async closing => {
          const signal = AbortSignal.any([clientSignal(reply.raw), closing])
          return snakeCase(await db.restore(request.body.ref, { dryRun: request.body.dry_run, signal }))
        }),
    )
    app.post('/api/v1/gc', schema('Remove what no snapshot needs', json('object')), (_request, reply) =>
      context.queries.run(async closing =>
        snakeCase(await db.gc({ signal: AbortSignal.any([clientSignal(reply.raw), closing]) })),
      ),
    )
    app.get<{ Querystring: { readonly before: string; readonly after?: string } }>(
      '/api/v1/diff',
      schema(
        'What changed between two snapshots, by series',
        { 'application/x-ndjson': { type: 'object' } },
        {
          querystring: object({ before: ref, after: ref }, ['before']),
        },
      ),
      (request, reply) =>
        context.queries.run(async closing => {
          let failure: SydraError | undefined
          const signal = AbortSignal.any([clientSignal(reply.raw), closing])
          const { before, after } = request.query
          await sendStream(reply, {
            contentType: 'application/x-ndjson',
            chunks: differenceLines(db.diff(before, after, { signal }), error => {
              failure = error
            }),
            failure: () => failure,
          })
        }),
    )
  }
}

const newSnapshotBody = object({
  name: string('By default the time.', { minLength: 1 }),
  message: string('What it is for.'),
})

/** Before the first line a failure is thrown, to become a status; after it, it is the last line. */
async function* differenceLines(
  differences: ReturnType<Database['diff']>,
  onFailure: (error: SydraError) => void,
): AsyncGenerator<string, void, undefined> {
  const totals = { series: 0, added: 0, removed: 0, changed: 0 }
  try {
    for await (const difference of differences) {
      totals.series++
      totals.added += difference.added
      totals.removed += difference.removed
      totals.changed += difference.changed
      yield `${JSON.stringify(difference)}\n`
    }
    yield `${JSON.stringify({ summary: totals })}\n`
  } catch (error) {
    if (totals.series === 0) throw error
    onFailure(toSydraError(error))
    yield `${JSON.stringify({ error: toSydraError(error) })}\n`
  }
}
