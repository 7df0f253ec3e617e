/**
 * A live query as Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html).
 *
 *   retry: 1000⏎⏎
 *   event: snapshot⏎ id:⏎ data: {"lsn":7,…}⏎⏎      an empty id: what a client has is nothing to resume from
 *   event: snapshot_end⏎ id: 6e0f.7.0⏎ data: {…}⏎⏎
 *   :⏎⏎                                             a heartbeat
 */
import type { FastifyReply } from 'fastify'
import type { LiveTransport } from './live-delivery.ts'
import { outgoing } from './streaming.ts'

export const eventStreamType = 'text/event-stream'

/** When a client comes back whose connection broke. */
const retryMs = 1000

/** Sends the head; the reply is the transport's from here on. */
export function sseTransport(reply: FastifyReply): LiveTransport {
  const { raw } = reply
  reply.hijack()
  raw.writeHead(200, {
    ...outgoing(reply),
    'content-type': `${eventStreamType}; charset=utf-8`,
    'cache-control': 'no-store',
    // nginx would gather events otherwise
    'x-accel-buffering': 'no',
  })
  raw.write(`retry: ${retryMs}\n\n`)
  return {
    frame: ({ event, id }) => ({
      before: `event: ${event}\n${id === undefined ? '' : `id: ${id ?? ''}\n`}data: {`,
      after: '}\n\n',
    }),
    write(text, _endsEvent, taken) {
      if (raw.destroyed) taken()
      else raw.write(text, taken)
    },
    beat(idle) {
      // nothing else tells that nobody is there: the socket fails once enough was sent in vain
      if (idle) raw.write(':\n\n')
      return true
    },
    end() {
      const { socket } = raw
      raw.end(() => socket?.destroySoon())
    },
    destroy() {
      raw.destroy()
    },
  }
}
