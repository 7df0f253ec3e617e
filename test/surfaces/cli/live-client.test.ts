/** How a server is followed while connections come and go. */
import { describe, expect, test } from 'vitest'
import { SydraError } from '../../../src/lib/errors.ts'
import { followServer, type LiveMessage } from '../../../src/surfaces/cli/live-client.ts'

/** What a connection gives, or how it is refused: `end` closes it, `break` breaks it, `wait` leaves it open. */
type Connection = readonly string[] | SydraError

const event = (name: string, data: object, id?: string): string =>
  `event: ${name}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`

/** A server of these connections, one after the other; the last is left open. */
function server(...connections: Connection[]) {
  const lastIds: (string | undefined)[] = []
  const paths: string[] = []
  const open = async (path: string, { headers, signal }: RequestInit): Promise<AsyncIterable<Uint8Array>> => {
    paths.push(path)
    lastIds.push((headers as Record<string, string>)['last-event-id'])
    const connection = connections.shift()
    if (connection === undefined) throw new SydraError('internal_error', 'one connection too many')
    if (connection instanceof SydraError) throw connection
    return (async function* () {
      for (const text of connection) {
        if (text === 'end') return
        if (text === 'break') throw new TypeError('terminated')
        yield new TextEncoder().encode(text)
      }
      signal!.throwIfAborted()
      await new Promise((_, reject) => signal!.addEventListener('abort', () => reject(signal!.reason)))
    })()
  }
  return { open, lastIds, paths }
}

const unreachable = new SydraError('io_error', 'cannot reach it')

/** Follows until so many messages came, or it failed. */
async function follow({ open }: ReturnType<typeof server>, count: number) {
  const interruptions: (string | undefined)[] = []
  const messages: LiveMessage[] = []
  const abort = new AbortController()
  const options = {
    history: 0,
    signal: abort.signal,
    onInterruption: (failure: SydraError | undefined) => interruptions.push(failure?.message),
  } as const
  const stopped = new SydraError('cancelled', 'interrupted')
  let failure: unknown
  try {
    for await (const message of followServer(open)('select 1', ['a'], options)) {
      messages.push(message)
      if (messages.length === count) abort.abort(stopped)
    }
  } catch (error) {
    failure = error
  }
  return { messages, interruptions, failure, stopped }
}

describe('a server that is followed', () => {
  test('is asked again from the last event, and told about once', async () => {
    const fake = server(
      [
        event('snapshot', { lsn: 1 }, ''),
        event('snapshot_end', { lsn: 1 }, 'x.1.0'),
        event('delta', { lsn: 2 }, 'x.2.0'),
        'break',
      ],
      unreachable,
      unreachable,
      [':\n\n', event('delta', { lsn: 3 }, 'x.3.0'), event('lagged', { lsn: 4 }), 'end'],
      [event('delta', { lsn: 5 }, 'x.5.0')],
    )
    const { messages, interruptions, failure, stopped } = await follow(fake, 6)
    expect(messages.map(({ event, id }) => [event, id])).toEqual([
      ['snapshot', ''],
      ['snapshot_end', 'x.1.0'],
      ['delta', 'x.2.0'],
      ['delta', 'x.3.0'],
      ['lagged', 'x.3.0'],
      ['delta', 'x.5.0'],
    ])
    expect(fake.lastIds).toEqual([undefined, 'x.2.0', 'x.2.0', 'x.2.0', 'x.3.0'])
    expect(fake.paths[0]).toBe('/api/v1/live?q=select+1&params=%5B%22a%22%5D&history=0')
    expect(interruptions).toEqual([
      'the connection broke off',
      undefined,
      'the server closed the connection',
      undefined,
    ])
    expect(failure).toBe(stopped)
  })

  test('begins anew where a snapshot was cut off', async () => {
    const whole = [event('snapshot', { lsn: 2 }, ''), event('snapshot_end', { lsn: 2 }, 'x.2.0')]
    const fake = server([event('delta', { lsn: 1 }, 'x.1.0'), whole[0]!, 'break'], whole)
    await follow(fake, 4)
    expect(fake.lastIds).toEqual([undefined, undefined])
  })

  test('may say that it closes; other errors of its own are thrown', async () => {
    const closing = { code: 'shutting_down', message: 'closing' }
    const wrong = { code: 'memory_limit', message: 'too much', hint: 'less' }
    const fake = server(
      [event('delta', { lsn: 1 }, 'x.1.0'), event('error', closing)],
      [event('delta', { lsn: 2 }, 'x.2.0'), event('error', wrong)],
    )
    const { messages, failure } = await follow(fake, 9)
    expect(messages).toHaveLength(2)
    expect(failure).toMatchObject(wrong)
  })

  test('that does not answer from the start is no server; nor is a token refused twice', async () => {
    expect((await follow(server(unreachable), 1)).failure).toBe(unreachable)
    expect((await follow(server(['end']), 1)).failure).toMatchObject({ code: 'io_error' })
    const refused = new SydraError('unauthorized', 'no')
    const fake = server([event('delta', { lsn: 1 }, 'x.1.0'), 'break'], refused)
    expect((await follow(fake, 9)).failure).toBe(refused)
  })

  test('is left while nobody answers', async () => {
    const abort = new AbortController()
    const { open } = server([event('delta', { lsn: 1 }, 'x.1.0'), 'break'], ...Array<SydraError>(50).fill(unreachable))
    const reason = new SydraError('cancelled', 'interrupted')
    const following = followServer(open)('select 1', [], {
      history: 'all',
      signal: abort.signal,
      onInterruption: () => setTimeout(() => abort.abort(reason), 20),
    })
    const seen: unknown[] = []
    await expect(
      (async () => {
        for await (const message of following) seen.push(message)
      })(),
    ).rejects.toSatisfy(() => abort.signal.aborted)
    expect(seen).toHaveLength(1)
  })
})
