/**
 * `sydradb tail`: the rows of a metric as they come.
 *
 *   metric, tag=value … ─► select * from metric where … ─► added and changed rows ─► lines, NDJSON or CSV
 *
 * A row that is written again, or a field of it, is printed again, as it is then. Deletes are not told.
 */
import process from 'node:process'
import { SydraError } from '../../lib/errors.ts'
import { tellInterruptions } from './live-client.ts'
import { writeOut } from './output.ts'
import { type TailFormat, TailRows } from './tail-rows.ts'
import type { Target } from './target.ts'

interface TailCommandOptions {
  readonly format?: TailFormat
  readonly history: number | 'all'
  readonly json?: boolean
}

/** Ends by an error only: that of an interrupt, most of the time. */
export async function tailCommand(
  target: Target,
  metric: string,
  tags: readonly string[],
  options: TailCommandOptions,
  signal: AbortSignal,
): Promise<void> {
  const { text, params } = tailStatement(metric, tags)
  const format = options.json ? 'ndjson' : (options.format ?? (process.stdout.isTTY ? 'lines' : 'ndjson'))
  const rows = new TailRows(format)
  for await (const message of target.follow(text, params, { history: options.history, signal, ...tellInterruptions })) {
    const printed = rows.take(message)
    if (printed !== '') await writeOut(printed)
  }
}

/** @example tailStatement('cpu', ['host=a']) // { text: 'select * from "cpu" where tag."host" = $1', params: ['a'] } */
export function tailStatement(
  metric: string,
  tags: readonly string[],
): { readonly text: string; readonly params: readonly string[] } {
  const params: string[] = []
  const conditions = tags.map(tag => {
    const equals = tag.indexOf('=')
    if (equals < 1) {
      throw new SydraError('bad_request', `"${tag}" is not a tag such as host=web-1`, {
        hint: 'host= is for series without that tag',
      })
    }
    const column = `tag.${quoted(tag.slice(0, equals))}`
    const value = tag.slice(equals + 1)
    return value === '' ? `${column} is null` : `${column} = $${params.push(value)}`
  })
  const where = conditions.length === 0 ? '' : ` where ${conditions.join(' and ')}`
  return { text: `select * from ${quoted(metric)}${where}`, params }
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`
