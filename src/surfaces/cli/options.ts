/** Options that several commands have. */
import { Option } from 'commander'
import { SydraError } from '../../lib/errors.ts'
import { durationUnitsMs } from '../../lib/settings.ts'

/** One of these values. */
export const choice = (flags: string, description: string, values: readonly string[]): Option =>
  new Option(flags, description).choices(values)

export const paramOption = (): Option =>
  new Option('--param <value>', 'the next of the values for ? or $1, $2 …, as JSON or text; repeatable')
    .default([], 'none')
    .argParser((value: string, before: readonly string[]) => [...before, value])

/** Of raw rows, how far back a live query begins, in ms. */
export const historyOption = (): Option =>
  new Option('--history <duration>', 'rows to begin with, such as those of the last 10m, or all')
    .default(0, 'none')
    .argParser(history)

function history(text: string): number | 'all' {
  if (text === 'all') return 'all'
  const [, digits, unit = ''] = /^(\d{1,9})(\w*)$/.exec(text) ?? []
  const unitMs = unit === '' ? 1 : durationUnitsMs[unit]
  if (digits !== undefined && unitMs !== undefined) return Number(digits) * unitMs
  throw new SydraError('bad_request', `--history takes a duration such as 10m, or all, not "${text}"`)
}
