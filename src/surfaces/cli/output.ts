/** Data goes to stdout, everything else to stderr. A reader that goes away (`| head`) ends the program quietly. */
import { once } from 'node:events'
import process from 'node:process'
import { SydraError, toSydraError } from '../../lib/errors.ts'

export class BrokenPipe extends Error {}

let broken = false
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  broken = true
})

/** Resolves when stdout may take more. */
export async function writeOut(data: string | Uint8Array): Promise<void> {
  if (broken) throw new BrokenPipe()
  if (!process.stdout.write(data)) await Promise.race([once(process.stdout, 'drain'), once(process.stdout, 'close')])
}

export const note = (text: string): void => {
  process.stderr.write(`${text}\n`)
}

export const wantsColor = (stream: NodeJS.WriteStream, flag: boolean): boolean =>
  flag && stream.isTTY === true && process.env['NO_COLOR'] === undefined

/** Prints an error as a person reads it: message (with the caret print of a syntax error), code, hint. */
export function reportError(error: unknown, json: boolean): void {
  const known = toSydraError(error)
  if (json) {
    note(JSON.stringify({ error: known }))
    return
  }
  note(`sydradb: ${known.message}`)
  if (known.hint !== undefined) note(`  ${known.hint}`)
  if (known.code === 'internal_error' && error instanceof Error && !(error instanceof SydraError)) {
    note(error.stack ?? '')
  }
}
