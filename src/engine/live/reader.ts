/**
 * A reader pulls a subscription: what happened since the last event comes as one.
 *
 * Invariants:
 * 1. Events are made when they are asked for; calls of `next` are answered in order.
 * 2. However it ends — `close`, `break`, an error, the closing of the database — the subscription is let go of.
 */
import type { Subscription } from './subscription.ts'
import type { LiveEvent, LiveReader } from './types.ts'

/** Makes a subscription; the listener is told whenever it may have something, never before this returns. */
export type Subscribe = (listener: () => void) => Subscription

interface Waiting<Row> {
  resolve(result: IteratorResult<LiveEvent<Row>, undefined>): void
  reject(error: unknown): void
}

export function liveReader<Row>(subscribe: Subscribe): LiveReader<Row> {
  const waiting: Waiting<Row>[] = []
  let isOver = false
  const end = (): void => {
    isOver = true
    subscription.close()
    for (const one of waiting.splice(0)) one.resolve({ value: undefined, done: true })
  }
  /** Throws what ended it, once. */
  const take = (): LiveEvent<Row> | undefined => {
    if (isOver) return undefined
    const event = subscription.next('all')
    if (event !== undefined) return event as LiveEvent<Row>
    const { ending } = subscription
    if (ending === undefined) return undefined
    isOver = true
    subscription.close()
    if (ending.error !== undefined) throw ending.error
    return undefined
  }
  const serve = (): void => {
    while (waiting.length > 0) {
      try {
        const value = take()
        if (value !== undefined) waiting.shift()!.resolve({ value, done: false })
        else if (isOver) end()
        else break
      } catch (error) {
        waiting.shift()!.reject(error)
      }
    }
  }
  const subscription = subscribe(serve)

  return {
    get columns() {
      return subscription.columns
    },
    poll: take,
    next: () =>
      new Promise((resolve, reject) => {
        waiting.push({ resolve, reject })
        serve()
      }),
    return() {
      end()
      return Promise.resolve({ value: undefined, done: true })
    },
    close: end,
    async [Symbol.asyncDispose]() {
      end()
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}
