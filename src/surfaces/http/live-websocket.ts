/**
 * A live query over a WebSocket (RFC 6455): each event is a text message, one JSON object.
 *
 *   {"event":"snapshot","id":null,"lsn":7,…}   {"event":"snapshot_end","id":"6e0f.7.0",…}   {"event":"delta","id":…}
 *
 * Where there is an `id`, it takes the place of the one before; null: what the client has is nothing to resume from. Long messages
 * go in fragments. What clients say is not listened to.
 */
import type { IncomingMessage } from 'node:http'
import type { WebSocket, WebsocketPluginOptions } from '@fastify/websocket'
import type { LiveTransport } from './live-delivery.ts'

/** A message of a client may be so long; it is dropped. */
const clientMessageBytesMax = 4096

/** RFC 6455, 7.4.1, and the registry it founded: try again, and do not. */
const closeCodes = { done: 1000, failed: 1011, serverCloses: 1012 } as const

export const webSocketOptions: WebsocketPluginOptions = {
  options: { maxPayload: clientMessageBytesMax, perMessageDeflate: false },
  // the socket closes by itself then
  errorHandler: () => {},
  // whoever serves a socket also closes it
  preClose: done => done(),
}

/** Other upgrades, such as to HTTP/2, are not taken: such requests are answered as they are. */
export const isWebSocketUpgrade = ({ headers }: IncomingMessage): boolean =>
  headers.upgrade?.toLowerCase() === 'websocket'

/** A ping waits in line behind what was sent before it: a client has `patienceMs` to answer. */
export function webSocketTransport(socket: WebSocket, patienceMs: number): LiveTransport {
  let pingedAtMs: number | undefined
  socket.on('pong', () => {
    pingedAtMs = undefined
  })
  return {
    frame: ({ event, id }) => ({
      before: `{"event":"${event}",${id === undefined ? '' : `"id":${JSON.stringify(id)},`}`,
      after: '}',
    }),
    write(text, endsEvent, taken) {
      socket.send(text, { fin: endsEvent }, () => taken())
    },
    beat() {
      if (pingedAtMs !== undefined) return performance.now() - pingedAtMs < patienceMs
      pingedAtMs = performance.now()
      socket.ping()
      return true
    },
    end(error) {
      const { done, failed, serverCloses } = closeCodes
      const code = error === undefined ? done : error.code === 'shutting_down' ? serverCloses : failed
      socket.close(code, error?.code)
    },
    destroy() {
      socket.terminate()
    },
  }
}
