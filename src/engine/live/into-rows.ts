/**
 * Rows of a live query as rows of a metric: what tells them apart is their time and their tags, the rest are their fields.
 *
 *   minute (key, timestamp)   tag.host (key)   avg    max         minute is the time, avg and max are fields
 *   12:01:00                  web-1            0.25   0.75   ->   cpu_1m{host="web-1"} avg=0.25 max=0.75 at 12:01:00
 *
 * Tags are the keys but the time, hidden ones too, and columns called `tag.…`. Of raw rows these take the place of the key
 * `series_id`, which is a tag where there are none.
 *
 * Invariant: rows with different keys have different places (series, time), unless keys differ as an empty text and null do, or as a
 * number and its text; or they are raw rows that differ in tags which are not selected.
 */
import { SydraError } from '../../lib/errors.ts'
import type { LiveRow } from '../../operators/live/types.ts'
import { canonicalTags, printSeries } from '../../storage/catalog/identity.ts'
import type { RowObject } from '../../types.ts'
import type { LiveColumn } from './types.ts'

/** Where a row of the metric is. */
export interface Place {
  readonly series: string
  readonly timeUs: number
}

export interface RowMapping {
  /** Names of fields, in the order of columns. */
  readonly fields: readonly string[]
  place(row: LiveRow): Place
  /** undefined: all its values are null. */
  point(row: LiveRow): RowObject | undefined
  /** By field. */
  isNull(row: LiveRow, field: number): boolean
}

/** Throws `bad_request` for columns that make no rows. */
export function rowMapping(columns: readonly LiveColumn[], metric: string): RowMapping {
  const all = [...columns.keys()]
  const time = timeColumn(columns)
  const isTag = (index: number): boolean => columns[index]!.name.startsWith('tag.')
  const isTagged = all.some(index => isTag(index) && !columns[index]!.key)
  const isKey = (index: number): boolean =>
    columns[index]!.key && index !== time && !(isTagged && columns[index]!.name === 'series_id')
  const tags = all.filter(index => isKey(index) || isTag(index))
  const fields = all.filter(index => !columns[index]!.key && !isTag(index))
  if (fields.length === 0) throw unfit('it has no values but its keys', 'select an aggregate, such as avg(usage)')
  const tagKeys = tags.map(index => plainName(columns[index]!.name, 'tag.'))
  const names = fields.map(index => plainName(columns[index]!.name, 'field.'))
  refuseTwice([...tagKeys, ...names])

  const tagsOf = (row: LiveRow): [string, string | null][] =>
    tags.map((index, at) => {
      const cell = row[index]!
      return [tagKeys[at]!, cell === null ? null : String(cell)]
    })
  const timeOf = (row: LiveRow): number => {
    const timeUs = row[time]
    if (typeof timeUs !== 'number') throw new SydraError('invalid_row', `a row has no ${columns[time]!.name}`)
    return timeUs
  }
  return {
    fields: names,
    place: row => ({ series: printSeries(metric, canonicalTags(tagsOf(row))), timeUs: timeOf(row) }),
    point(row) {
      const values = fields.map((index, at) => [names[at]!, row[index]!] as const)
      if (values.every(([, value]) => value === null)) return undefined
      return {
        series: metric,
        ts: timeOf(row),
        tags: Object.fromEntries(tagsOf(row)),
        fields: Object.fromEntries(values),
      }
    },
    isNull: (row, field) => row[fields[field]!] === null,
  }
}

/** The key that is a time: the bucket, or the time of raw rows. */
function timeColumn(columns: readonly LiveColumn[]): number {
  const found = [...columns.keys()].filter(index => columns[index]!.key && columns[index]!.type === 'timestamp')
  if (found.length === 1) return found[0]!
  throw unfit(
    found.length === 0 ? 'its rows have no time' : 'its rows have several times',
    'group by time_bucket(…), and by columns that become tags',
  )
}

/** `tag.host` is the tag `host`. */
const plainName = (name: string, prefix: string): string =>
  name.startsWith(prefix) && name.length > prefix.length ? name.slice(prefix.length) : name

function refuseTwice(names: readonly string[]): void {
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw unfit(`it has two columns for "${twice}"`, 'call one of them otherwise')
}

const unfit = (why: string, hint: string): SydraError =>
  new SydraError('bad_request', `the query cannot be written into a metric: ${why}`, { hint })
