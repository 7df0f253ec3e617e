/**
 * A live query as an Observable: each subscription is one of its own, pushed to as things happen, or pulled through a reader.
 *
 * Invariants:
 * 1. Events come in order, one after the other: what a subscriber does in its callback, also unsubscribing and subscribing,
 *    leads to no other event before it returns.
 * 2. They never come from within `subscribe`, nor from within a commit.
 */
import { Observable } from 'rxjs'
import { liveReader, type Subscribe } from './reader.ts'
import type { LiveEvent, LiveObservable, LiveReader } from './types.ts'

export class LiveStream<Row> extends Observable<LiveEvent<Row>> implements LiveObservable<Row> {
  readonly #subscribe: Subscribe

  constructor(subscribe: Subscribe) {
    super(subscriber => {
      let isDelivering = false
      const deliver = (): void => {
        if (isDelivering) return
        isDelivering = true
        try {
          for (let event = subscription.next('each'); event !== undefined; event = subscription.next('each'))
            subscriber.next(event as LiveEvent<Row>)
        } finally {
          isDelivering = false
        }
        const { ending } = subscription
        if (ending === undefined) return
        if (ending.error === undefined) subscriber.complete()
        else subscriber.error(ending.error)
      }
      const subscription = subscribe(deliver)
      return () => subscription.close()
    })
    this.#subscribe = subscribe
  }

  reader(): LiveReader<Row> {
    return liveReader(this.#subscribe)
  }

  [Symbol.asyncIterator](): LiveReader<Row> {
    return this.reader()
  }
}
