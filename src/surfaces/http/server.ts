/**
 * The HTTP surface: routes over one `Database`, which it neither opens nor closes.
 *
 * Invariants:
 * 1. Every error is `{"error":{code,message,position,hint}}` with the status of the table in lib/errors.ts.
 * 2. With a token set, nothing under `/api/` and `/debug/` answers without it, unknown routes included.
 * 3. `close` takes a bounded time: it stops listening, answers open ingest bodies with what was stored, tells live clients, gives
 *    queries `queryGraceMs`, then cuts what is left.
 */
import type { Socket } from 'node:net'
import swagger from '@fastify/swagger'
import websocket from '@fastify/websocket'
import { fastify } from 'fastify'
import { version } from '../../index.ts'
import { SydraError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/ports.ts'
import type { Settings } from '../../lib/settings.ts'
import type { Database } from '../../types.ts'
import { assertBindAllowed, bearerCheck } from './auth.ts'
import { catalogRoutes } from './catalog-routes.ts'
import { compactRoute } from './compact-route.ts'
import { type HttpContext, OpenRequests } from './context.ts'
import { errorHandler, schemaError } from './errors.ts'
import { ingestRoute } from './ingest-route.ts'
import { livePath, liveRoute } from './live-route.ts'
import { isWebSocketUpgrade, webSocketOptions } from './live-websocket.ts'
import { createMetrics } from './metrics.ts'
import { operationRoutes } from './operation-routes.ts'
import { rangeRoute } from './range-route.ts'
import { snapshotRoutes } from './snapshot-routes.ts'
import { queryBytesMax, sydraqlRoute } from './sydraql-route.ts'

export type HttpSettings = Pick<Settings, 'httpHost' | 'httpPort' | 'authToken' | 'insecure' | 'live'>

export interface HttpServer {
  /** `http://HOST:PORT`, with the port really taken. */
  readonly address: string
  /** Calling it again gives the same promise. */
  close(): Promise<void>
}

/** What a running query may take to finish while the server closes, and then everything to be cut. */
const queryGraceMs = 2000
const cutAfterMs = 2000
/** The kernel's socket buffer is read in pieces of at most so many bytes. */
const socketReadBytes = 256 * 1024
const pathLengthMax = 2048

/**
 * @throws `invalid_setting` for an address beyond loopback without a token, `io_error` when it cannot be listened on.
 *
 * @example
 * const server = await createHttpServer(db, parseSettings({ httpPort: 0 }))
 * await fetch(`${server.address}/healthz`)
 * await server.close()
 */
export async function createHttpServer(
  db: Database,
  settings: HttpSettings,
  log: Logger = () => {},
): Promise<HttpServer> {
  const { httpHost, httpPort, authToken, insecure } = settings
  assertBindAllowed(httpHost, authToken, insecure)

  let closing: Promise<void> | undefined
  const context: HttpContext = {
    db,
    log,
    ingests: new OpenRequests(),
    queries: new OpenRequests(),
    lives: new OpenRequests(),
    isClosing: () => closing !== undefined,
  }
  const metrics = createMetrics(db)
  const authorized = bearerCheck(authToken)

  const app = fastify({
    logger: false,
    bodyLimit: queryBytesMax,
    // an ingest body may take for ever; Node's limit on the time for a head stays
    requestTimeout: 0,
    http: {
      highWaterMark: socketReadBytes,
      // what is not upgraded is answered as if it had not asked, as HTTP wants; Node before 24.9 refuses it instead
      shouldUpgradeCallback: request => isWebSocketUpgrade(request) && request.url?.split('?')[0] === livePath,
    },
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: pathLengthMax },
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, allowUnionTypes: true, verbose: true } },
    schemaErrorFormatter: schemaError,
    // what fails before a route is found, such as a path that is no text
    frameworkErrors: errorHandler(log),
    clientErrorHandler: answerBrokenRequest,
  })
  // schemas of responses are documentation: text is written by whoever knows how
  app.setSerializerCompiler(() => JSON.stringify)
  app.setErrorHandler(errorHandler(log))
  await app.register(websocket, webSocketOptions)
  app.addHook('onRequest', async (request, reply) => {
    // where a connection was to be switched and is not, nobody reads requests from it any more
    if (request.ws) reply.header('connection', 'close')
    const path = request.routeOptions.url ?? request.url
    const isGuarded = request.routeOptions.url === undefined || /^\/(api|debug)\//.test(path)
    const inQuery = request.routeOptions.config.tokenInQuery
      ? (request.query as { readonly access_token?: unknown }).access_token
      : undefined
    if (isGuarded && !authorized(request.headers.authorization, inQuery)) {
      throw new SydraError('unauthorized', 'this needs Authorization: Bearer <token>')
    }
    if (context.isClosing()) throw new SydraError('shutting_down', 'the server is closing')
  })
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unknown'
    metrics.observe(request.method, route, reply.raw.statusCode, reply.elapsedTime / 1000)
  })
  app.setNotFoundHandler(request => {
    const [url = ''] = request.url.split('?')
    const known = (['GET', 'POST'] as const).filter(method => app.findRoute({ method, url }) !== null)
    throw new SydraError('not_found', `there is no ${request.method} ${url}`, {
      hint: known.length > 0 ? `there is ${known.join(' and ')} ${url}` : 'GET /openapi.json lists what there is',
    })
  })

  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'SydraDB', version, description: 'A streaming time-series and event database.' },
      components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } },
      ...(authToken === '' ? {} : { security: [{ bearer: [] }] }),
    },
    transform: ({ schema, url, route }) => {
      const body = (route.config as { readonly documentedBody?: object } | undefined)?.documentedBody
      return { schema: body === undefined ? schema : { ...schema, body }, url }
    },
  })
  await app.register(ingestRoute(context))
  await app.register(sydraqlRoute(context))
  await app.register(rangeRoute(context))
  await app.register(liveRoute(context, metrics, settings))
  await app.register(catalogRoutes(context))
  await app.register(snapshotRoutes(context))
  await app.register(operationRoutes(context, metrics))
  await app.register(compactRoute(context))

  try {
    await app.listen({ host: httpHost, port: httpPort })
  } catch (error) {
    throw new SydraError('io_error', `cannot listen on ${httpHost}:${httpPort}: ${(error as Error).message}`, {
      cause: error,
    })
  }
  const { port } = app.server.address() as { readonly port: number }
  const close = async (): Promise<void> => {
    const reason = new SydraError('shutting_down', 'the server is closing')
    context.ingests.stop(reason)
    context.lives.stop(reason)
    const grace = setTimeout(() => context.queries.stop(reason), queryGraceMs)
    const cut = setTimeout(() => app.server.closeAllConnections(), queryGraceMs + cutAfterMs)
    try {
      await app.close()
    } finally {
      clearTimeout(grace)
      clearTimeout(cut)
    }
  }
  return {
    address: `http://${httpHost.includes(':') ? `[${httpHost}]` : httpHost}:${port}`,
    close: () => (closing ??= close()),
  }
}

/** What is not HTTP, or ends before it should, gets an answer too where the socket still takes one. */
function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const isTorn = error.code === 'HPE_INVALID_EOF_STATE'
  const problem = isTorn
    ? new SydraError('truncated_body', 'the body broke off')
    : new SydraError('bad_request', `not a request: ${error.message}`)
  const body = JSON.stringify({ error: problem })
  socket.end(
    `HTTP/1.1 400 Bad Request\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  )
}
