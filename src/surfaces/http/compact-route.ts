/**
 * `POST /api/v1/compact`: merges segments until no merge pays any more, and says how far it is.
 *
 *   {"progress":{"merges":2,"bytes_read":…,"bytes_total":…}}      at most one a second, of the merge under way
 *   {"report":{"merges":5,…}}  or  {"error":{…}}                  the last line
 *
 * A client that goes away calls the merge off, unless someone else waits for it too.
 */
import type { FastifyInstance } from 'fastify'
import { SydraError, toSydraError } from '../../lib/errors.ts'
import type { CompactionProgress, Database } from '../../types.ts'
import { snakeCase } from '../snake-case.ts'
import type { HttpContext } from './context.ts'
import { noParameters, responses } from './schemas.ts'
import { clientSignal, sendStream } from './streaming.ts'

const progressMs = 1000
const summary = 'Merge segments until no merge pays any more; progress by lines, then the report'
const schema = {
  summary,
  tags: ['operation'],
  querystring: noParameters,
  response: responses(summary, { 'application/x-ndjson': { type: 'object' } }),
}

export function compactRoute(context: HttpContext) {
  return async (app: FastifyInstance): Promise<void> => {
    app.post('/api/v1/compact', { schema }, (_request, reply) =>
      context.queries.run(async closing => {
        let failure: SydraError | undefined
        const signal = AbortSignal.any([clientSignal(reply.raw), closing])
        const fail = (error: SydraError): void => {
          failure = error
        }
        await sendStream(reply, {
          contentType: 'application/x-ndjson',
          chunks: compactionLines(context.db, signal, fail),
          failure: () => failure,
        })
      }),
    )
  }
}

/** Before the first line a failure is thrown, to become a status; after it, it is the last line. */
async function* compactionLines(
  db: Database,
  signal: AbortSignal,
  onFailure: (error: SydraError) => void,
): AsyncGenerator<string, void, undefined> {
  const abort = new AbortController()
  let progress: CompactionProgress | undefined
  const work = db.compact({
    signal: AbortSignal.any([signal, abort.signal]),
    onProgress: now => {
      progress = now
    },
  })
  let isOver = false
  const over = work.then(
    () => (isOver = true),
    () => (isOver = true),
  )
  let begun = false
  try {
    for (;;) {
      await Promise.race([over, new Promise(resolve => setTimeout(resolve, progressMs).unref())])
      if (isOver) break
      if (progress === undefined) continue
      begun = true
      yield line({ progress })
      progress = undefined
    }
    yield line({ report: await work })
  } catch (error) {
    if (!begun) throw error
    onFailure(toSydraError(error))
    yield line({ error: toSydraError(error) })
  } finally {
    abort.abort(new SydraError('cancelled', 'nobody waits for the compaction any more'))
  }
}

const line = (told: object): string => `${JSON.stringify('error' in told ? told : snakeCase(told))}\n`
