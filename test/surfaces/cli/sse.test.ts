import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { eventLengthMax, type ServerSentEvent, serverSentEvents } from '../../../src/surfaces/cli/sse.ts'

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

/** The events of a text that comes in chunks of these many bytes, one after the other, over and over. */
async function eventsOf(text: string, sizes: readonly number[] = [text.length * 3 + 1]): Promise<ServerSentEvent[]> {
  const bytes = new TextEncoder().encode(text)
  const chunks = (async function* () {
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const size = sizes[i % sizes.length]!
      yield bytes.subarray(at, at + size)
      at += size
    }
  })()
  return all(serverSentEvents(chunks))
}

describe('server-sent events', () => {
  test('have a name, data and the last id', async () => {
    expect(await eventsOf('event: delta\nid: a.1.0\ndata: {"x":1}\n\n: heartbeat\n\ndata: more\n\n')).toEqual([
      { event: 'delta', data: '{"x":1}', id: 'a.1.0' },
      { event: 'message', data: 'more', id: 'a.1.0' },
    ])
  })
  test('join their lines of data; a field has one space, or none, or no value', async () => {
    expect(await eventsOf('data:a\ndata:  b\ndata\n\n')).toEqual([{ event: 'message', data: 'a\n b\n', id: '' }])
  })
  test('without data are none, but their id counts; one with a zero does not', async () => {
    expect(await eventsOf('id: 7\nevent: x\n\nid: 8\0\nid\u0000: 9\ndata: y\n\n')).toEqual([
      { event: 'message', data: 'y', id: '7' },
    ])
  })
  test('that the stream ends within are not given', async () => {
    expect(await eventsOf('data: whole\n\ndata: cut\n')).toEqual([{ event: 'message', data: 'whole', id: '' }])
  })
  test('begin after a byte order mark', async () => {
    expect(await eventsOf('\ufeffdata: x\n\n', [1])).toEqual([{ event: 'message', data: 'x', id: '' }])
  })
  test('are refused when too long', async () => {
    const endless = (async function* () {
      const bytes = new TextEncoder().encode('x'.repeat(2 ** 23))
      yield new TextEncoder().encode('data: ')
      for (let length = 0; length <= eventLengthMax; length += bytes.length) yield bytes
    })()
    await expect(all(serverSentEvents(endless))).rejects.toMatchObject({ code: 'body_too_large' })
  })

  const word = fc.string({ unit: fc.constantFrom('a', 'ß', '😀', ' ', ':', '{"'), maxLength: 8 })
  const event = fc.record({ event: word, data: fc.array(word, { minLength: 1, maxLength: 3 }), id: word })
  test('do not depend on how the bytes were cut, nor on how lines end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(event, { maxLength: 5 }),
        fc.constantFrom('\n', '\r', '\r\n'),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 }),
        async (events, eol, sizes) => {
          const text = events
            .map(({ event, data, id }) =>
              [`event: ${event}`, ...data.map(line => `data: ${line}`), ':', `id: ${id}`, '', ''].join(eol),
            )
            .join('')
          const expected = events.map(({ event, data, id }) => ({
            event: event || 'message',
            data: data.join('\n'),
            id,
          }))
          expect(await eventsOf(text, sizes)).toEqual(expected)
        },
      ),
    )
  })
})
