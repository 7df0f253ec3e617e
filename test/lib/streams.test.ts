/** What is pulled, as streams of Node and of the web: bounded, and ended from both sides. */
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { toReadable } from '../../src/lib/node/streams.ts'
import { type StreamOptions, toWebStream } from '../../src/lib/web-stream.ts'

/** Counts what is pulled; waits for ever after `ready` items, ends after `count`, fails in place of item `fails`. */
function source({ count = Number.POSITIVE_INFINITY, ready = Number.POSITIVE_INFINITY, fails = -1 } = {}) {
  const seen = { begun: 0, pulled: 0, ended: 0 }
  let letGo = (): void => {}
  const items: AsyncIterable<number> = {
    [Symbol.asyncIterator]() {
      seen.begun++
      return {
        async next() {
          const value = seen.pulled++
          if (value === fails) throw new Error('it broke')
          if (value >= ready) await new Promise<void>(resolve => (letGo = resolve))
          return value < count ? { value, done: false } : { value: undefined, done: true }
        },
        async return() {
          seen.ended++
          letGo()
          return { value: undefined, done: true }
        },
      }
    },
  }
  return { items, seen }
}
const settled = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await turn()
}
/** Text of a query: two chunks, in the format asked for. */
const textSource = (asked: unknown[]) => ({
  ...source({ count: 1 }).items,
  async *text(options: { readonly format: 'csv' | 'json' }) {
    asked.push(options)
    yield new TextEncoder().encode('time\r\n')
    yield new TextEncoder().encode('1\r\n')
  },
})

/** Both kinds by one face. */
const kinds = {
  toReadable: (items: AsyncIterable<number>, options?: StreamOptions) => {
    const stream = toReadable(items, options)
    const iterator = stream[Symbol.asyncIterator]()
    return {
      read: () => iterator.next(),
      cancel: async () => {
        const closed = new Promise(resolve => stream.once('close', resolve))
        stream.destroy()
        await closed
      },
    }
  },
  toWebStream: (items: AsyncIterable<number>, options?: StreamOptions) => {
    const reader = toWebStream(items, options).getReader()
    return { read: () => reader.read(), cancel: () => reader.cancel() }
  },
}

describe.each(Object.entries(kinds))('%s', (_, open) => {
  test('gives everything in order, then ends', async () => {
    const { items, seen } = source({ count: 40 })
    const { read } = open(items)
    const values: number[] = []
    for (let next = await read(); next.done !== true; next = await read()) values.push(next.value as number)
    expect(values).toEqual(Array.from({ length: 40 }, (_, i) => i))
    expect(seen.begun).toBe(1)
  })

  test('pulls what it has room for, and more as it is read', async () => {
    const { items, seen } = source()
    const { read } = open(items, { highWaterMark: 3 })
    await read()
    await settled()
    const pulled = seen.pulled
    expect(pulled).toBeLessThanOrEqual(5)
    await read()
    await settled()
    expect(seen.pulled).toBe(pulled + 1)
  })

  test('cancelled while an item is waited for, it tells the source, and does not wait for the item', async () => {
    const { items, seen } = source({ ready: 1 })
    const { read, cancel } = open(items)
    expect(await read()).toMatchObject({ value: 0 })
    await settled()
    await cancel()
    await settled()
    expect(seen).toEqual({ begun: 1, pulled: 2, ended: 1 })
  })

  test('an error comes after what was before it', async () => {
    const { read } = open(source({ fails: 2 }).items, { highWaterMark: 1 })
    expect(await read()).toMatchObject({ value: 0 })
    expect(await read()).toMatchObject({ value: 1 })
    await expect(read()).rejects.toThrow('it broke')
  })
})

describe('a Readable', () => {
  test('that nobody reads begins nothing, and ends with nothing to end', async () => {
    const { items, seen } = source()
    const stream = toReadable(items)
    await settled()
    stream.destroy()
    await settled()
    expect(seen).toEqual({ begun: 0, pulled: 0, ended: 0 })
  })

  test('with a format is bytes, and hands the other options on', async () => {
    const asked: unknown[] = []
    const stream = toReadable(textSource(asked), { format: 'csv' })
    expect(stream.readableObjectMode).toBe(false)
    const chunks: Buffer[] = []
    for await (const chunk of stream) chunks.push(chunk as Buffer)
    expect(Buffer.concat(chunks).toString()).toBe('time\r\n1\r\n')
    expect(asked).toEqual([{ format: 'csv' }])
  })
})

test('a web stream with a format is the body of a Response', async () => {
  const stream = toWebStream(textSource([]), { format: 'csv' })
  expect(await new Response(stream).text()).toBe('time\r\n1\r\n')
})
