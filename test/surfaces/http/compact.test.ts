/** `POST /api/v1/compact`: progress by lines, then the report or the error. */
import { describe, expect, test } from 'vitest'
import { SydraError } from '../../../src/lib/errors.ts'
import type { CompactionOptions } from '../../../src/types.ts'
import { start } from './harness.ts'

const report = { merges: 3, failed: 0, rowsRead: 9, rowsWritten: 8, bytesRead: 7, bytesWritten: 6, elapsedMs: 5 }
const wireReport = {
  merges: 3,
  failed: 0,
  rows_read: 9,
  rows_written: 8,
  bytes_read: 7,
  bytes_written: 6,
  elapsed_ms: 5,
}
const progress = { merges: 2, rowsRead: 1, bytesRead: 10, bytesWritten: 5, bytesTotal: 20 }

/** A compaction that tells of progress until it is let go. */
function slow() {
  let finish = (_error?: SydraError): void => {}
  const started = Promise.withResolvers<CompactionOptions>()
  const compaction = (options: CompactionOptions = {}) =>
    new Promise<typeof report>((resolve, reject) => {
      options.signal?.addEventListener('abort', () => reject(options.signal!.reason))
      finish = error => (error === undefined ? resolve(report) : reject(error))
      options.onProgress?.(progress)
      started.resolve(options)
    })
  return { compaction, started: started.promise, finish: (error?: SydraError) => finish(error) }
}

const linesOf = (text: string): unknown[] =>
  text
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))

describe('POST /api/v1/compact', () => {
  test('answers with the report', async () => {
    const { call, fake } = await start()
    fake.compaction = async () => report
    const response = await call('/api/v1/compact', { method: 'POST' })
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/x-ndjson'])
    expect(linesOf(await response.text())).toEqual([{ report: wireReport }])
  })

  test('what takes a while tells of its progress', async () => {
    const { call, fake } = await start()
    const { compaction, finish } = slow()
    fake.compaction = compaction
    const response = await call('/api/v1/compact', { method: 'POST' })
    finish()
    const told = { merges: 2, rows_read: 1, bytes_read: 10, bytes_written: 5, bytes_total: 20 }
    expect(linesOf(await response.text())).toEqual([{ progress: told }, { report: wireReport }])
  })

  test('a failure is a status before the first line, and the last line after it', async () => {
    const { call, fake } = await start()
    fake.compaction = async () => {
      throw new SydraError('read_only', 'no')
    }
    const refused = await call('/api/v1/compact', { method: 'POST' })
    expect([refused.status, await refused.json()]).toMatchObject([503, { error: { code: 'read_only' } }])
    const { compaction, finish } = slow()
    fake.compaction = compaction
    const response = await call('/api/v1/compact', { method: 'POST' })
    finish(new SydraError('disk_full', 'no room'))
    expect(linesOf(await response.text()).at(-1)).toEqual({ error: { code: 'disk_full', message: 'no room' } })
  })

  test('a client that goes away calls it off', async () => {
    const { call, fake } = await start()
    const { compaction, started } = slow()
    fake.compaction = compaction
    const client = new AbortController()
    const gone = call('/api/v1/compact', { method: 'POST', signal: client.signal }).catch(() => {})
    const { signal } = await started
    client.abort()
    await gone
    if (!signal!.aborted) await new Promise(resolve => signal!.addEventListener('abort', resolve))
  })
})
