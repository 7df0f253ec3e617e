/** `sydradb ingest`: files or stdin in, a report out; a progress bar on a terminal. */
import { createReadStream, statSync } from 'node:fs'
import process from 'node:process'
import { type Readable, Transform } from 'node:stream'
import { Presets, SingleBar } from 'cli-progress'
import { SydraError } from '../../lib/errors.ts'
import type { IngestReport, Precision } from '../../types.ts'
import { note, writeOut } from './output.ts'
import type { Target } from './target.ts'

interface IngestCommandOptions {
  readonly format: 'ndjson' | 'json'
  readonly precision?: Precision
  readonly onError: 'skip' | 'abort'
  readonly json?: boolean
}

/** Files that are read faster than this need no bar. */
const barAfterMs = 500
const MiB = 2 ** 20

/** Reads the files in order and stops at the first that fails. Bad rows are told and make the exit code 1. */
export async function ingestCommand(
  target: Target,
  files: readonly string[],
  options: IngestCommandOptions,
  signal: AbortSignal,
): Promise<void> {
  const started = performance.now()
  let ingested = 0
  let rejected = 0
  let failure: SydraError | undefined
  for (const file of files.length === 0 ? ['-'] : files) {
    const report = await ingestOne(target, file, options, signal)
    ingested += report.ingested
    rejected += report.rejected
    tellErrors(file === '-' ? 'stdin' : file, report)
    failure = report.failure
    if (failure !== undefined) break
  }
  const seconds = (performance.now() - started) / 1000
  if (options.json) await writeOut(`${JSON.stringify({ ingested, rejected, seconds })}\n`)
  else {
    const rate = Math.round(ingested / seconds).toLocaleString('en')
    const refused = rejected === 0 ? '' : `, ${rejected.toLocaleString('en')} refused`
    note(`${ingested.toLocaleString('en')} rows stored in ${seconds.toFixed(2)} s (${rate} rows/s)${refused}`)
  }
  if (failure !== undefined) throw failure
  if (rejected > 0) process.exitCode = 1
}

function tellErrors(file: string, { errors, rejected }: IngestReport): void {
  for (const { line, code, message } of errors) note(`${file}:${line}: ${code}: ${message}`)
  if (rejected > errors.length) note(`… and ${rejected - errors.length} more bad rows`)
}

async function ingestOne(
  target: Target,
  file: string,
  { format, precision, onError }: IngestCommandOptions,
  signal: AbortSignal,
): Promise<IngestReport> {
  const { source, size } = openInput(file)
  const options = { format, precision, onError, signal }
  try {
    if (!process.stderr.isTTY) return await target.ingest(source, options)
    const bar = progressBar(source, size)
    try {
      return await target.ingest(bar.counted, options)
    } finally {
      bar.stop()
    }
  } finally {
    source.destroy()
  }
}

/** Counts what passes, and shows it when it takes a while. */
function progressBar(source: Readable, size: number | undefined): { readonly counted: Readable; stop(): void } {
  const bar = new SingleBar(
    {
      format: size === undefined ? '{mib} MiB read' : '{bar} {percentage}% | {mib} MiB | {eta_formatted} left',
      stream: process.stderr,
      clearOnComplete: true,
      hideCursor: true,
    },
    Presets.shades_classic,
  )
  const started = performance.now()
  let isShown = false
  let read = 0
  const counted = new Transform({
    transform(chunk: Uint8Array, _, done) {
      read += chunk.length
      if (!isShown && performance.now() - started > barAfterMs) {
        isShown = true
        bar.start(size ?? 0, 0, { mib: '0.0' })
      }
      if (isShown) bar.update(size === undefined ? 0 : read, { mib: (read / MiB).toFixed(1) })
      done(null, chunk)
    },
  })
  source.on('error', error => counted.destroy(error))
  return {
    counted: source.pipe(counted),
    stop: () => {
      if (isShown) bar.stop()
    },
  }
}

function openInput(file: string): { readonly source: Readable; readonly size: number | undefined } {
  if (file === '-') {
    if (process.stdin.isTTY) note('reading rows from the terminal; Ctrl-D ends them')
    return { source: process.stdin, size: undefined }
  }
  try {
    const info = statSync(file)
    if (info.isDirectory()) throw new Error('it is a directory')
    return { source: createReadStream(file, { highWaterMark: MiB }), size: info.isFile() ? info.size : undefined }
  } catch (error) {
    throw new SydraError('not_found', `cannot read ${file}: ${(error as Error).message}`, { cause: error })
  }
}
