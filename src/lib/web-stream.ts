/**
 * Anything that is pulled — the rows of a query, the events of a live one, chunks of text — as a web ReadableStream.
 *
 * Invariants:
 * 1. The source is pulled for what the stream has room for, one item at a time, and begun with the first pull.
 * 2. However reading ends — to the end, by an error, by `cancel` — the source is told, and `cancel` resolves when it has let go.
 */

/** Items a stream holds that nobody has read yet, unless told otherwise. */
export const streamItemsMax = 16

/** How much a stream holds. */
export interface StreamOptions {
  /** Items that may wait for the reader: rows or events, 16 by default. Of text each is a chunk, and one waits. */
  readonly highWaterMark?: number | undefined
}

/** What gives its contents as text, too: the result of a query. */
export interface TextSource<Options extends object> {
  text(options: Options): AsyncIterable<Uint8Array>
}

/**
 * A web stream of rows or events; with a `format`, of the bytes of a query's text. Cancelling it ends the query, or the
 * subscription.
 *
 * @example
 * return new Response(toWebStream(db.query('select * from cpu'), { format: 'csv' }), { headers: { 'content-type': 'text/csv' } })
 */
export function toWebStream<Options extends { readonly format: string }>(
  source: TextSource<Options>,
  options: Options & StreamOptions,
): ReadableStream<Uint8Array>
/** Of rows or events. */
export function toWebStream<Item>(source: AsyncIterable<Item>, options?: StreamOptions): ReadableStream<Item>
export function toWebStream(
  source: AsyncIterable<unknown> | TextSource<object>,
  options: StreamOptions = {},
): ReadableStream<unknown> {
  const { items, isText } = itemsOf(source, options)
  let iterator: AsyncIterator<unknown> | undefined
  let isCancelled = false
  return new ReadableStream<unknown>(
    {
      async pull(controller) {
        iterator ??= items[Symbol.asyncIterator]()
        const { value, done } = await iterator.next()
        if (isCancelled) return
        if (done) controller.close()
        else controller.enqueue(value)
      },
      async cancel() {
        isCancelled = true
        await iterator?.return?.()
      },
    },
    { highWaterMark: options.highWaterMark ?? (isText ? 1 : streamItemsMax) },
  )
}

/** What a stream pulls: the source itself, or its text where a format is named. */
export function itemsOf(
  source: AsyncIterable<unknown> | TextSource<object>,
  options: StreamOptions,
): { readonly items: AsyncIterable<unknown>; readonly isText: boolean } {
  if (Symbol.asyncIterator in source && !('format' in options)) return { items: source, isText: false }
  return { items: (source as TextSource<object>).text(options), isText: true }
}
