/**
 * Brings the events of a subscription to a client, as fast as it takes them and no faster.
 *
 *   reader.next() ─► wire events ─► pieces of text ─► transport.write ─► socket: taken ─► reader.next() …
 *
 * Invariants:
 * 1. The next event is asked for when the socket has taken the last one: meanwhile the reader joins what comes into one event,
 *    or tells that it was too much.
 * 2. A client that is gone, silent, or takes nothing for `clientStallMs` ends the delivery at once. Whatever ends it, the subscription
 *    is released.
 * 3. When the server closes, the client is told after the event under way.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { type SydraError, toSydraError } from '../../lib/errors.ts'
import type { LiveEvent, LiveReader } from '../../types.ts'
import { type EventWriter, errorEvent, type LiveRow, type WireEvent } from './live-events.ts'

/** A live query that a client has asked for. */
export interface LiveSubscription {
  readonly reader: LiveReader<LiveRow>
  /** What was asked of the reader before the response began. */
  readonly first: Promise<IteratorResult<LiveEvent<LiveRow>>>
  readonly writer: EventWriter
  /** Aborts when the connection is no more. */
  readonly gone: AbortSignal
  /** Aborts, with the reason, when the server closes. */
  readonly closing: AbortSignal
  release(): void
}

/** How events look on a connection. */
export interface LiveTransport {
  /** What stands around an event's members. */
  frame(event: WireEvent): { readonly before: string; readonly after: string }
  /** Text of an event, the last of it with `endsEvent`. Calls `taken` when the socket has taken it, or will not any more. */
  write(text: string, endsEvent: boolean, taken: () => void): void
  /** Called each `heartbeatMs`, between events; `idle`: there was none since the last time. False: the client is not there. */
  beat(idle: boolean): boolean
  /** After the last event. */
  end(error: SydraError | undefined): void
  /** Cuts the connection. */
  destroy(): void
}

export interface LiveLimits {
  readonly heartbeatMs: number
  readonly clientStallMs: number
}

/** Why a client was cut. */
export type CutReason = 'stalled' | 'silent'

/** How a delivery ended: the client has gone, or was cut, or was told an error. */
export interface DeliveryEnd {
  readonly cut: CutReason | undefined
  readonly error: SydraError | undefined
}

/** What a client may take to hear that the server closes. */
const farewellMs = 2000
/** Characters that are handed to the socket at once. */
const writeLength = 64 * 1024

/** Never rejects; resolves when all is over. */
export async function deliver(
  subscription: LiveSubscription,
  transport: LiveTransport,
  { heartbeatMs, clientStallMs }: LiveLimits,
): Promise<DeliveryEnd> {
  const { reader, writer, gone, closing } = subscription
  let cut: CutReason | undefined
  let error: SydraError | undefined
  /** Part of an event is written. */
  let isTorn = false
  let isWriting = false
  let isIdle = true
  /** Settle what is waited for: the socket, or the reader. */
  let wake = (): void => {}
  let interrupt = (_reason: unknown): void => {}

  const destroy = (reason: CutReason): void => {
    cut ??= reason
    transport.destroy()
  }
  const heartbeat = setInterval(() => {
    // whether who takes nothing is still there is not known: `stall` gives them their time
    if (!isWriting && !transport.beat(isIdle)) destroy('silent')
    isIdle = true
  }, heartbeatMs)
  const stall = setTimeout(() => isWriting && destroy('stalled'), clientStallMs)
  const onGone = (): void => {
    wake()
    interrupt(gone.reason)
  }
  const onClosing = (): void => {
    interrupt(closing.reason)
    const farewellOver = setTimeout(() => transport.destroy(), farewellMs).unref()
    gone.addEventListener('abort', () => clearTimeout(farewellOver), { once: true })
  }

  const write = async (text: string, endsEvent: boolean): Promise<void> => {
    stall.refresh()
    isWriting = true
    isIdle = false
    await new Promise<void>(resolve => {
      wake = resolve
      transport.write(text, endsEvent, resolve)
    })
    isWriting = false
    gone.throwIfAborted()
  }
  const send = async (event: WireEvent): Promise<void> => {
    const { before, after } = transport.frame(event)
    let text = before
    for (const piece of event.members) {
      text += piece
      if (text.length < writeLength) continue
      isTorn = true
      await write(text, false)
      await turn()
      text = ''
    }
    await write(text + after, true)
    isTorn = false
  }
  const arrival = (next: LiveSubscription['first']): LiveSubscription['first'] =>
    new Promise((resolve, reject) => {
      interrupt = reject
      next.then(resolve, reject)
      if (gone.aborted) onGone()
      else if (closing.aborted) onClosing()
    })

  gone.addEventListener('abort', onGone, { once: true })
  closing.addEventListener('abort', onClosing, { once: true })
  try {
    for (let next = subscription.first; ; next = reader.next()) {
      const item = await arrival(next)
      if (item.done === true) break
      for (const event of writer(item.value, reader.columns ?? [])) {
        closing.throwIfAborted()
        await send(event)
      }
    }
    transport.end(undefined)
  } catch (thrown) {
    if (!gone.aborted) {
      error = toSydraError(thrown)
      await farewell(error)
    }
  } finally {
    clearInterval(heartbeat)
    clearTimeout(stall)
    gone.removeEventListener('abort', onGone)
    closing.removeEventListener('abort', onClosing)
    subscription.release()
  }
  return { cut, error }

  async function farewell(error: SydraError): Promise<void> {
    try {
      if (isTorn) return transport.destroy()
      await send(errorEvent(error))
      transport.end(error)
    } catch {
      // gone after all
    }
  }
}
