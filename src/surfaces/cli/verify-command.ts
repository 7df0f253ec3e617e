/**
 * `sydradb verify`: a line a file, its problems beneath it; with `--json` a JSON object a line. Exit code 1 when something
 * is damaged.
 *
 *   of a directory   reads its files while no process has it open, with --repair mends them first
 *   of a server      the server verifies itself and goes on meanwhile
 */
import process from 'node:process'
import { repair, SydraError, verify } from '../../index.ts'
import type { Settings } from '../../lib/settings.ts'
import type { Repair, VerifiedFile } from '../../types.ts'
import { snakeCase } from '../snake-case.ts'
import { bytesText, note, writeOut } from './output.ts'
import { connect } from './remote.ts'

export interface VerifyCommandOptions {
  readonly repair?: boolean
  readonly json?: boolean
}

/** `server`: its URL; undefined: the settings' directory. */
export async function verifyCommand(
  settings: Settings,
  server: string | undefined,
  options: VerifyCommandOptions,
  signal: AbortSignal,
): Promise<void> {
  const print = printer(options.json === true)
  if (options.repair === true) {
    if (server !== undefined)
      throw new SydraError('bad_request', 'a server cannot repair its own files', {
        hint: 'stop it, then run `sydradb verify --repair` on its directory',
      })
    const repairs: Promise<void>[] = []
    await repair(settings, each => repairs.push(print.repair(each)), { signal })
    await Promise.all(repairs)
  }
  const files = server === undefined ? verify(settings, { signal }) : connect(server, settings.authToken).verify(signal)
  const total = { files: 0, damaged: 0, rows: 0, bytes: 0 }
  for await (const file of files) {
    total.files++
    total.bytes += file.bytes
    if (file.kind === 'segment') total.rows += file.checked['rows'] ?? 0
    if (file.problems.some(({ severity }) => severity === 'damage')) total.damaged++
    await print.file(file)
    showProgress(total)
  }
  endProgress()
  note(
    `${total.files} files, ${total.rows} rows in segments: ${total.damaged === 0 ? 'nothing is damaged' : `${total.damaged} damaged`}`,
  )
  if (total.damaged > 0) process.exitCode = 1
}

/** Where the lines go elsewhere, a terminal shows how far it is. */
const showsProgress = process.stderr.isTTY === true && process.stdout.isTTY !== true

function showProgress({ files, bytes }: { readonly files: number; readonly bytes: number }): void {
  if (showsProgress) process.stderr.write(`\r${files} files, ${bytesText(bytes)} `)
}

function endProgress(): void {
  if (showsProgress) process.stderr.write('\r\u001b[K')
}

const printer = (json: boolean) => ({
  file: (file: VerifiedFile): Promise<void> => writeOut(json ? `${JSON.stringify(file)}\n` : fileText(file)),
  repair: (each: Repair): Promise<void> =>
    writeOut(json ? `${JSON.stringify({ repair: snakeCase(each) })}\n` : repairText(each)),
})

function fileText({ path, kind, checked, problems }: VerifiedFile): string {
  const state = problems.some(({ severity }) => severity === 'damage') ? 'DAMAGED' : problems.length > 0 ? 'note' : 'ok'
  const counts = Object.entries(checked).map(([what, count]) => `${count} ${what}`)
  let text = `${state.padEnd(8)} ${path}  ${[kind, ...counts].join(', ')}\n`
  for (const { message, offset, advice } of problems) {
    const at = offset === undefined || message.includes(`${offset}`) ? '' : `byte ${offset}: `
    text += `         ${at}${message}\n           ${advice}\n`
  }
  return text
}

function repairText({ path, action, message, losses }: Repair): string {
  let text = `${action.padEnd(8)} ${path}  ${message}\n`
  for (const { metric, field, rows, seriesCount, series, minTimeUs, maxTimeUs } of losses) {
    const what = field === undefined ? `${rows} rows` : `field ${field} of ${rows} rows`
    const of = metric === undefined ? '' : ` of ${metric}`
    text += `         lost: ${what}${of}, ${iso(minTimeUs)} to ${iso(maxTimeUs)}\n`
    if (series.length > 0)
      text += `           ${seriesCount} series: ${series.join(' ')}${seriesCount > series.length ? ' …' : ''}\n`
  }
  return text
}

/** Beyond what a date can be, the number of microseconds. */
function iso(timeUs: number): string {
  const date = new Date(timeUs / 1000)
  return Number.isNaN(date.getTime()) ? `${timeUs} us` : date.toISOString()
}
