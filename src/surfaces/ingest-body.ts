/**
 * Feeds a byte stream of rows — an HTTP body, a file, a pipe — into the database.
 *
 *   source -> (JSON: lines) -> IngestStream -> report
 *
 * Invariants:
 * 1. The source is paused while the ingest stream waits: the backpressure reaches the socket.
 * 2. Every chunk commits the complete lines it holds.
 * 3. What was good before a failure of any kind — a broken source, bad JSON, an abort — is stored and counted, and the
 *    report's `failure` says what it was.
 */
import type { Readable } from 'node:stream'
import { SydraError, toSydraError } from '../lib/errors.ts'
import type { Database, IngestOptions, IngestReport, IngestStream } from '../types.ts'
import { JsonLines } from './json-lines.ts'

export interface IngestBodyOptions {
  /** `json`: one row, or an array of rows. */
  readonly format: 'ndjson' | 'json'
  readonly precision?: IngestOptions['precision'] | undefined
  readonly onError?: IngestOptions['onError'] | undefined
  readonly onCommit?: IngestOptions['onCommit'] | undefined
  /** Stops reading; `reason` becomes the report's failure. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Rejects only when nothing could be read (the database takes no new rows).
 *
 * @example
 * const { ingested, failure } = await ingestBody(db, createReadStream('points.ndjson'), { format: 'ndjson' })
 */
export async function ingestBody(db: Database, source: Readable, options: IngestBodyOptions): Promise<IngestReport> {
  const { format, precision, onError, onCommit, signal } = options
  const stream = db.ingestStream({
    transfer: true,
    ...(precision === undefined ? {} : { precision }),
    ...(onError === undefined ? {} : { onError }),
    ...(onCommit === undefined ? {} : { onCommit }),
  })
  const lines = format === 'json' ? new JsonLines() : undefined
  const broken = await pump(source, stream, lines, signal)
  if (lines !== undefined && broken === undefined && !stream.stopped) await stream.write(lines.end())
  const failure = broken ?? lines?.failure
  const report = await (failure === undefined ? stream.end() : stream.cut())
  return { ...report, failure: report.failure ?? failure }
}

/** Resolves when the source has ended (undefined), broken off (why), or nothing more is taken. */
function pump(
  source: Readable,
  stream: IngestStream,
  lines: JsonLines | undefined,
  signal: AbortSignal | undefined,
): Promise<SydraError | undefined> {
  return new Promise(resolve => {
    let settled = false
    /** The write that the source is paused for. */
    let waiting: Promise<void> | undefined
    let broken = false

    const settle = (failure: SydraError | undefined): void => {
      if (settled) return
      settled = true
      source.off('data', take).off('end', onEnd).off('error', onBroken).off('close', onClose)
      // whoever owns the source decides about the rest of it; a late error must not end the process
      source.on('error', () => {}).pause()
      signal?.removeEventListener('abort', onAbort)
      if (waiting === undefined) resolve(failure)
      else void waiting.then(() => resolve(failure))
    }
    const write = (chunk: Uint8Array): Promise<void> | undefined => {
      const bytes = lines === undefined ? chunk : lines.push(chunk)
      return bytes.length === 0 ? undefined : stream.write(bytes)
    }
    const take = (chunk: Uint8Array): void => {
      const granted = write(chunk)
      if (granted !== undefined) {
        source.pause()
        waiting = granted.then(
          () => {
            waiting = undefined
            if (done()) settle(undefined)
            else if (!settled && !broken) source.resume()
          },
          (error: unknown) => {
            waiting = undefined
            settle(toSydraError(error))
          },
        )
      } else if (done()) settle(undefined)
    }
    const done = (): boolean => stream.stopped || lines?.failure !== undefined
    const onEnd = (): void => settle(undefined)
    const onAbort = (): void => settle(toSydraError(signal?.reason))
    const onBroken = (error: unknown): void => {
      if (broken) return
      broken = true
      void takeBuffered().finally(() => settle(sourceFailure(error)))
    }
    const onClose = (): void => {
      if (!source.readableEnded) onBroken(new SydraError('truncated_body', 'the body broke off'))
    }
    /** A decoder that fails may still hold what it decoded before, when it was paused. */
    const takeBuffered = async (): Promise<void> => {
      source.off('data', take)
      await waiting
      for (let chunk = source.read(); chunk !== null && !settled && !done(); chunk = source.read()) {
        await write(chunk as Uint8Array)
      }
    }

    if (signal?.aborted) return onAbort()
    signal?.addEventListener('abort', onAbort, { once: true })
    if (source.errored) return onBroken(source.errored)
    source.on('end', onEnd).on('error', onBroken).on('close', onClose).on('data', take)
  })
}

/** zlib's codes are Z_… for deflate and ERR_… for brotli and zstd. */
function sourceFailure(error: unknown): SydraError {
  if (error instanceof SydraError) return error
  const { code = '', message } = error as NodeJS.ErrnoException
  if (/^(Z_|ZSTD_|ERR__?(ERROR|BROTLI|ZSTD|ZLIB))/.test(code))
    return new SydraError('truncated_body', `the compressed body is damaged or cut off: ${message}`, { cause: error })
  if (['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE', 'ABORT_ERR'].includes(code))
    return new SydraError('truncated_body', 'the connection broke off', { cause: error })
  return new SydraError('io_error', message, { cause: error })
}
