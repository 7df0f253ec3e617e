/** Data goes to stdout, everything else to stderr. A reader that goes away (`| head`) ends the program quietly. */
import process from 'node:process'
import { SydraError, toSydraError } from '../../lib/errors.ts'

/** Thrown by `writeOut` when nobody reads any more. */
export class BrokenPipe extends Error {}

// what a write rejects with says the same
process.stdout.on('error', () => {})

/** Resolves when the data is out. */
export function writeOut(data: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(data, error => {
      if (error === null || error === undefined) resolve()
      else if ((error as NodeJS.ErrnoException).code === 'EPIPE') reject(new BrokenPipe())
      else reject(new SydraError('io_error', `cannot write the output: ${error.message}`, { cause: error }))
    })
  })
}

export const note = (text: string): void => {
  process.stderr.write(`${text}\n`)
}

/** An empty NO_COLOR is none (no-color.org). */
export const wantsColor = (stream: NodeJS.WriteStream, flag: boolean): boolean =>
  flag && stream.isTTY === true && (process.env['NO_COLOR'] ?? '') === ''

/** A size as a person reads it. */
export const bytesText = (bytes: number): string =>
  bytes < 2 ** 20 ? `${(bytes / 2 ** 10).toFixed(1)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`

/** Prints an error as a person reads it: message, hint; of a bug, also where it is. */
export function reportError(error: unknown, json: boolean): void {
  const known = toSydraError(error)
  if (json) {
    note(JSON.stringify({ error: known }))
    return
  }
  note(`sydradb: ${known.message}`)
  if (known.hint !== undefined) note(`  ${known.hint}`)
  for (const { message, hint } of known.others) {
    note(`sydradb: ${message}`)
    if (hint !== undefined) note(`  ${hint}`)
  }
  if (known.code === 'internal_error' && error instanceof Error && !(error instanceof SydraError)) {
    note(error.stack ?? '')
  }
}
