/** `sydradb ingest`: files or stdin in, a report out; a progress bar on a terminal. */
import { createReadStream, statSync } from 'node:fs'
import process from 'node:process'
import { type Readable, Transform } from 'node:stream'
import { Presets, SingleBar } from 'cli-progress'
import { SydraError } from '../../lib/errors.ts'
import type { IngestReport, Precision } from '../../types.ts'
import { note } from './output.ts'
import type { Target } from './target.ts'

interface IngestCommandOptions {
  readonly format: 'ndjson' | 'json'
  readonly precision?: Precision
  readonly onError: 'skip' | 'abort'
  readonly json?: boolean
}

export async function ingestCommand(
  target: Target,
  files: readonly string[],
  options: IngestCommandOptions,
): Promise<void> {
  const started = performance.now()
  let ingested = 0
  let rejected = 0
  let failure: SydraError | undefined
  for (const file of files.length === 0 ? ['-'] : files) {
    const report = await ingestOne(target, file, options)
    ingested += report.ingested
    rejected += report.rejected
    for (const error of report.errors)
      note(`${file === '-' ? 'stdin' : file}:${error.line}: ${error.code}: ${error.message}`)
    if (report.rejected > report.errors.length) note(`… and ${report.rejected - report.errors.length} more bad rows`)
    failure ??= report.failure
    if (failure !== undefined) break
  }
  const seconds = (performance.now() - started) / 1000
  if (options.json) process.stdout.write(`${JSON.stringify({ ingested, rejected, seconds })}\n`)
  else
    note(
      `${ingested.toLocaleString('en')} rows stored in ${seconds.toFixed(2)} s (${Math.round(ingested / seconds).toLocaleString('en')} rows/s)${rejected === 0 ? '' : `, ${rejected.toLocaleString('en')} refused`}`,
    )
  if (failure !== undefined) throw failure
  if (rejected > 0) process.exitCode = 1
}

async function ingestOne(target: Target, file: string, options: IngestCommandOptions): Promise<IngestReport> {
  const { source, size } = openInput(file)
  if (!process.stderr.isTTY) return target.ingest(source, options)

  const bar = new SingleBar(
    {
      format: size === undefined ? '{mib} MiB read' : '{bar} {percentage}% | {mib} MiB | {eta_formatted} left',
      stream: process.stderr,
      clearOnComplete: true,
      hideCursor: true,
    },
    Presets.shades_classic,
  )
  bar.start(size ?? 0, 0, { mib: '0.0' })
  let read = 0
  const counted = source.pipe(
    new Transform({
      transform(chunk: Uint8Array, _, done) {
        read += chunk.length
        bar.update(size === undefined ? 0 : read, { mib: (read / 2 ** 20).toFixed(1) })
        done(null, chunk)
      },
    }),
  )
  source.on('error', error => counted.destroy(error))
  try {
    return await target.ingest(counted, options)
  } finally {
    bar.stop()
  }
}

function openInput(file: string): { readonly source: Readable; readonly size: number | undefined } {
  if (file === '-') return { source: process.stdin, size: undefined }
  try {
    const { size } = statSync(file)
    return { source: createReadStream(file, { highWaterMark: 1 << 20 }), size }
  } catch (error) {
    throw new SydraError('not_found', `cannot read ${file}: ${(error as Error).message}`, { cause: error })
  }
}
