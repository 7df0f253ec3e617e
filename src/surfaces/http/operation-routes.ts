/** Health, metrics, administration, the OpenAPI document, and the page that names them. */
import { getHeapStatistics } from 'node:v8'
import type { FastifyInstance } from 'fastify'
import { version } from '../../index.ts'
import { SydraError, toSydraError } from '../../lib/errors.ts'
import type { VerifiedFile } from '../../types.ts'
import { snakeCase } from '../snake-case.ts'
import type { HttpContext } from './context.ts'
import type { Metrics } from './metrics.ts'
import { noParameters, responses } from './schemas.ts'
import { clientSignal, type StreamedBody, sendStream } from './streaming.ts'

const operation = (summary: string, type = 'application/json') => ({
  schema: {
    summary,
    tags: ['operation'],
    querystring: noParameters,
    response: responses(summary, { [type]: { type: type === 'application/json' ? 'object' : 'string' } }),
  },
})

export function operationRoutes(context: HttpContext, metrics: Metrics) {
  const { db } = context
  return async (app: FastifyInstance): Promise<void> => {
    app.post('/api/v1/flush', operation('Write every row in memory to segments'), async () => {
      await db.flush()
      const { lsn, segments } = db.stats()
      return { lsn, segments: segments.count }
    })

    app.post('/api/v1/verify', operation('Read and check every file', 'application/x-ndjson'), (_request, reply) =>
      context.queries.run(closing => {
        const signal = AbortSignal.any([closing, clientSignal(reply.raw)])
        return sendStream(reply, verifiedBody(db.verify({ signal })))
      }),
    )

    app.get('/metrics', operation('Prometheus exposition', 'text/plain'), async (_request, reply) => {
      const { text, contentType } = await metrics.expose()
      return reply.type(contentType).send(text)
    })
    app.get('/healthz', operation('The process answers'), async () => ({ status: 'ok', version }))
    // recovery is over before the server listens: what is left that can keep requests away is the end
    app.get('/readyz', operation('Requests are welcome'), async () => {
      if (context.isClosing()) throw new SydraError('shutting_down', 'the server is closing')
      const { readOnly } = db.stats()
      if (readOnly) throw new SydraError('read_only', 'a sync failed: reopen the database to write again')
      return { status: 'ready' }
    })

    app.get('/debug/compat/stats', operation('Statistics of the database'), async () => ({
      version,
      data_dir: db.dataDir,
      ...(snakeCase(db.stats()) as object),
      http: { ingests: context.ingests.size, queries: context.queries.size, lives: context.lives.size },
    }))
    app.get('/debug/compat/catalog', operation('Metrics and fields'), async () => {
      const { series, metrics: count } = db.stats()
      const [metricRows, fieldRows] = await Promise.all([db.query('show metrics').all(), db.query('show fields').all()])
      return { series, metrics: count, metric_rows: metricRows.rows, field_rows: fieldRows.rows }
    })
    app.get(
      '/debug/alloc/stats',
      operation('Memory: the account of mem_limit_bytes, slabs, the process'),
      async () => ({
        memory: snakeCase(db.stats().memory),
        process: snakeCase(process.memoryUsage()),
        heap: getHeapStatistics(),
      }),
    )

    app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())
    app.get('/', { schema: { hide: true } }, async (_request, reply) =>
      reply.type('text/html; charset=utf-8').send(page),
    )
  }
}

/** A line a file, then a summary, or the error that ended it. */
function verifiedBody(files: AsyncIterable<VerifiedFile>): StreamedBody {
  let failure: SydraError | undefined
  async function* lines(): AsyncGenerator<string> {
    let [count, damaged] = [0, 0]
    try {
      for await (const file of files) {
        count++
        if (file.problems.some(({ severity }) => severity === 'damage')) damaged++
        yield `${JSON.stringify(file)}\n`
      }
      yield `${JSON.stringify({ summary: { files: count, damaged } })}\n`
    } catch (error) {
      failure = toSydraError(error)
      yield `${JSON.stringify({ error: failure })}\n`
    }
  }
  return { contentType: 'application/x-ndjson', chunks: lines(), failure: () => failure }
}

const page = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>SydraDB</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}pre{overflow:auto}</style>
<h1>SydraDB ${version}</h1>
<p>A streaming time-series and event database.</p>
<ul>
<li><a href="/openapi.json">OpenAPI document</a>
<li><a href="/metrics">Metrics</a>, <a href="/healthz">health</a>, <a href="/debug/compat/stats">statistics</a>
</ul>
<pre>curl --data-binary '{"series":"cpu","tags":{"host":"a"},"value":0.5}' localhost:8080/api/v1/ingest
curl --data-binary 'select * from cpu' localhost:8080/api/v1/sydraql</pre>
</html>
`
