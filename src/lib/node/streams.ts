/**
 * Anything that is pulled — the rows of a query, the events of a live one, chunks of text — as a Readable of Node.
 *
 * Invariants:
 * 1. The source is pulled for what the stream has room for, one item at a time, and begun with the first read.
 * 2. However reading ends — to the end, by an error, by `destroy` — the source is told; `close` comes when it has let go.
 */
import { Readable } from 'node:stream'
import { itemsOf, type StreamOptions, streamItemsMax, type TextSource } from '../web-stream.ts'

/** A chunk of text at a time, whatever its size. */
const textHighWaterMark = 1

/**
 * A Readable in object mode of rows or events; with a `format`, of the bytes of a query's text. Destroying it ends the query,
 * or the subscription.
 *
 * @example
 * await pipeline(toReadable(db.query('select * from cpu'), { format: 'csv' }), createWriteStream('cpu.csv'))
 * toReadable(db.live('select * from cpu')).on('data', event => …)
 */
export function toReadable<Options extends { readonly format: string }>(
  source: TextSource<Options>,
  options: Options & StreamOptions,
): Readable
/** Of rows or events. */
export function toReadable(source: AsyncIterable<unknown>, options?: StreamOptions): Readable
export function toReadable(source: AsyncIterable<unknown> | TextSource<object>, options: StreamOptions = {}): Readable {
  const { items, isText } = itemsOf(source, options)
  return Readable.from(begunByReading(items), {
    objectMode: !isText,
    highWaterMark: options.highWaterMark ?? (isText ? textHighWaterMark : streamItemsMax),
  })
}

/** `Readable.from` asks for the iterator at once, which would begin a subscription that nobody reads yet. */
function begunByReading<Item>(items: AsyncIterable<Item>): AsyncIterableIterator<Item> {
  let iterator: AsyncIterator<Item> | undefined
  return {
    next: () => (iterator ??= items[Symbol.asyncIterator]()).next(),
    return: async () => (await iterator?.return?.()) ?? { done: true, value: undefined },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}
