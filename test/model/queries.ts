/**
 * Random queries, each with its text and its answer over an array of merged rows, one row at a time. Clauses run where,
 * aggregate, having, fill, order, limit; a fault of the engine can hardly be shared, since nothing of it is used here.
 */
import { type Aggregate, aggregate, type Cell, exactly, zero } from './aggregates.ts'
import { calendarBuckets, fixedBuckets, type TimeBuckets, zonedBuckets } from './buckets.ts'
import {
  both,
  compare,
  compareKeys,
  comparisons,
  type Generator,
  literal,
  type Meaning,
  numbers,
  type Row,
  type Scalar,
} from './expressions.ts'
import { type Extent, fillGroups, fillOf, type Group, nameOf } from './fill.ts'

export interface Question {
  readonly text: string
  readonly params: readonly Scalar[]
  /** undefined: more than such a test should make. */
  answer(rows: readonly Row[]): readonly (readonly Cell[])[] | undefined
}

/** What the data is like: when its rows are, and how far apart. */
export interface Setting {
  readonly startUs: number
  readonly stepUs: number
  readonly steps: number
  /** Some of the values of `f` and `g`. */
  readonly samples: readonly number[]
}

const iso = (timeUs: number): string => {
  const ms = Math.floor(timeUs / 1000)
  return `${new Date(ms).toISOString().slice(0, -1)}${String(timeUs - ms * 1000).padStart(3, '0')}Z`
}

// ---- where ----------------------------------------------------------------------------------------------------------

interface Where {
  readonly text: string
  readonly range: Extent
  /** All but the bounds of time. */
  holds(row: Row): boolean
}

const nowhere: Where = { text: '', range: { fromUs: -Infinity, toUs: Infinity }, holds: () => true }

function where(generate: Generator, setting: Setting, conditions = generate.pick([0, 0, 1, 1, 2])): Where {
  const { startUs, stepUs, steps } = setting
  const parts: Meaning[] = []
  let fromUs = -Infinity
  let toUs = Infinity
  const texts: string[] = []
  const someTime = () =>
    startUs + generate.random.below(steps + 2) * stepUs - generate.pick([0, 0, 1, Math.floor(stepUs / 2)])
  const time = (us: number): string => {
    return generate.chance(0.15) ? generate.parameter(us) : `'${iso(us)}'`
  }
  if (generate.chance(0.45)) {
    const at = someTime()
    if (generate.chance(0.7)) {
      fromUs = at
      texts.push(`time >= ${time(at)}`)
    } else {
      fromUs = at + 1
      texts.push(`${time(at)} < time`)
    }
  }
  if (generate.chance(0.45)) {
    const at = Math.max(someTime(), fromUs + 1)
    if (generate.chance(0.7)) {
      toUs = at
      texts.push(`time < ${time(at)}`)
    } else {
      toUs = at + 1
      texts.push(`not (time > ${time(at)})`)
    }
  }
  for (let count = conditions; count > 0; count--) {
    const part = generate.pick([tagCondition, bound, bound, anyCondition])(generate, setting)
    parts.push(part)
    texts.push(part.text)
  }
  texts.sort()
  return {
    text: texts.length === 0 ? '' : ` where ${texts.join(' and ')}`,
    range: { fromUs, toUs },
    holds: row =>
      both([true, true, ...parts.map(part => part.of(row))]) === true && parts.every(part => part.of(row) === true),
  }
}

const anyCondition = (generate: Generator): Meaning => generate.truth(2)

/** What statistics of blocks may rule out. */
function bound(generate: Generator, { samples }: Setting): Meaning {
  const column = generate.column(generate.pick(['f', 'f', 'g', 'n']))
  const [sign, holds] = generate.pick(comparisons)
  const value = generate.pick(column.text === 'n' ? [-9, 0, 4] : generate.chance(0.3) ? numbers : samples)
  const negated = generate.chance(0.3)
  const text = `${column.text} ${sign} ${literal(value)}`
  return {
    text: negated ? `not (${text})` : text,
    of: row => (column.of(row) === null ? null : holds(compare(column.of(row)!, value)) !== negated),
  }
}

function tagCondition(generate: Generator): Meaning {
  const column = generate.column(generate.pick(['tag.host', 'tag.dc']))
  const value = generate.pick(['a', 'b', 'x', 'é'])
  switch (generate.random.below(5)) {
    case 0:
      return {
        text: `${column.text} != '${value}'`,
        of: row => (column.of(row) === null ? null : column.of(row) !== value),
      }
    case 1:
      return {
        text: `${column.text} in ('${value}', 'y')`,
        of: row => (column.of(row) === null ? null : [value, 'y'].includes(column.of(row) as string)),
      }
    case 2:
      return { text: `${column.text} is null`, of: row => column.of(row) === null }
    case 3:
      return {
        text: `(${column.text} = '${value}' or f > 1)`,
        of: row => {
          const sides = [
            column.of(row) === null ? null : column.of(row) === value,
            row['f'] === null ? null : compare(row['f']!, 1) > 0,
          ]
          return sides.includes(true) ? true : sides.includes(null) ? null : false
        },
      }
    default:
      return {
        text: `${column.text} = '${value}'`,
        of: row => (column.of(row) === null ? null : column.of(row) === value),
      }
  }
}

const within = ({ fromUs, toUs }: Extent, row: Row): boolean => {
  const time = row['time'] as number
  return time >= fromUs && time < toUs
}

// ---- order by, limit ------------------------------------------------------------------------------------------------

interface Order<T> {
  readonly of: (row: T) => Scalar
  readonly descending: boolean
  readonly nullsFirst: boolean
}

function direction(generate: Generator): { text: string; descending: boolean; nullsFirst: boolean } {
  const descending = generate.chance(0.5)
  const nulls = generate.pick(['', '', 'first', 'last'])
  return {
    text: `${descending ? ' desc' : generate.pick(['', ' asc'])}${nulls && ` nulls ${nulls}`}`,
    descending,
    nullsFirst: nulls === '' ? descending : nulls === 'first',
  }
}

const sorted = <T>(rows: readonly T[], orders: readonly Order<T>[]): T[] =>
  rows.toSorted((a, b) => {
    for (const { of, descending, nullsFirst } of orders) {
      const order = compareKeys(of(a), of(b), descending, nullsFirst)
      if (order !== 0) return order
    }
    return 0
  })

function limits(generate: Generator): { text: string; cut<T>(rows: readonly T[]): readonly T[] } {
  const limit = generate.chance(0.35) ? generate.pick([0, 1, 2, 5, 20]) : undefined
  const offset = generate.chance(0.2) ? generate.pick([0, 1, 3, 10]) : undefined
  return {
    text: `${limit === undefined ? '' : ` limit ${limit}`}${offset === undefined ? '' : ` offset ${offset}`}`,
    cut: rows => rows.slice(offset ?? 0, limit === undefined ? undefined : (offset ?? 0) + limit),
  }
}

// ---- raw rows -------------------------------------------------------------------------------------------------------

const byTime: Order<Row> = { of: row => row['time']!, descending: false, nullsFirst: false }
const bySeries: Order<Row> = { of: row => row['series']!, descending: false, nullsFirst: false }
const columns = ['time', 'series', 'series_id', 'tag.host', 'tag.dc', 'f', 'g', 'n', 'b', 's']

export function rawQuestion(generate: Generator, setting: Setting): Question {
  const items = generate.some<Meaning>(
    [
      ...columns.map(name => generate.column(name)),
      generate.number(2),
      generate.number(2),
      generate.text(1),
      generate.truth(1),
    ],
    6,
  )
  const condition = where(generate, setting)
  const orders: Order<Row>[] = []
  const orderTexts: string[] = []
  const isSorted = new Set<string>()
  if (generate.chance(0.6)) {
    const keys = generate.chance(0.5)
      ? generate.pick([['time'], ['series', 'time'], ['time', 'series'], ['series']]).map(name => generate.column(name))
      : generate.some([...columns.map(name => generate.column(name)), generate.number(1), generate.text(1)], 3)
    for (const key of keys) {
      const { text, ...rest } = direction(generate)
      orders.push({ of: key.of, ...rest })
      orderTexts.push(key.text + text)
      isSorted.add(key.text)
    }
  }
  const { text: limit, cut } = limits(generate)
  // Names may repeat: aliases keep `order by` from meaning an item.
  const list = items.map((item, i) => `${item.text} as c${i}`).join(', ')
  const order = orderTexts.length === 0 ? '' : ` order by ${orderTexts.join(', ')}`
  return {
    ...generate.finish(`select ${list} from m${condition.text}${order}${limit}`),
    answer: rows =>
      cut(
        sorted(
          rows.filter(row => within(condition.range, row) && condition.holds(row)),
          [...orders, byTime, bySeries],
        ),
      ).map(row => items.map(item => exactly(item.of(row)))),
  }
}

// ---- grouped rows ---------------------------------------------------------------------------------------------------

const zone = 'Europe/Amsterdam'
/** None so small that a fill would make very many rows. */
function buckets(generate: Generator, { stepUs }: Setting): TimeBuckets {
  const hourUs = 3600e6
  const dayUs = 24 * hourUs
  const short = [
    fixedBuckets('1s', 1e6),
    fixedBuckets('7s', 7e6),
    fixedBuckets('500us', 500),
    fixedBuckets('1m', 60e6, '2024-03-01T00:00:17Z'),
  ]
  const long = [
    fixedBuckets('1h', hourUs),
    fixedBuckets('1d', dayUs),
    fixedBuckets('1w', 7 * dayUs),
    fixedBuckets('2w', 14 * dayUs),
    fixedBuckets('5d', 5 * dayUs),
    fixedBuckets('90m', 1.5 * hourUs, '2024-03-01T00:30:00Z'),
    zonedBuckets('1d', dayUs, zone),
    zonedBuckets('2d', 2 * dayUs, zone),
    zonedBuckets('1w', 7 * dayUs, zone),
    zonedBuckets('6h', 6 * hourUs, zone),
    calendarBuckets('1mo', 1),
    calendarBuckets('1q', 3),
    calendarBuckets('1y', 12),
    calendarBuckets('1mo', 1, zone),
    calendarBuckets('2mo', 2, zone),
  ]
  return generate.pick(stepUs < 10e6 ? short : long)
}

/** What statistics of segments may answer: columns as they are, groups that series decide, no condition on rows. */
function statisticsQuestion(generate: Generator, setting: Setting): Question {
  const names = ['count', 'sum', 'avg', 'min', 'max', 'first', 'last', 'spread']
  const aggregates = Array.from({ length: 1 + generate.random.below(3) }, () =>
    generate.chance(0.15)
      ? aggregate(generate, 'count(*)')
      : aggregate(generate, generate.pick(names), ['f', 'g', 'n']),
  )
  const keys = generate.chance(0.6) ? [generate.column(generate.pick(['series', 'tag.host']))] : []
  const bucket = generate.chance(0.3) ? buckets(generate, setting) : undefined
  return groups(
    generate,
    setting,
    bucket,
    keys,
    aggregates,
    generate.chance(0.3) ? where(generate, setting, 0) : nowhere,
  )
}

export function groupedQuestion(generate: Generator, setting: Setting): Question {
  if (generate.chance(0.3)) return statisticsQuestion(generate, setting)
  const bucket = generate.chance(0.6) ? buckets(generate, setting) : undefined
  const keys = generate.chance(bucket === undefined ? 0.75 : 0.5)
    ? generate.some<Meaning>(
        [
          ...['tag.host', 'tag.dc', 'series', 's', 'b', 'f', 'n'].map(name => generate.column(name)),
          generate.text(1),
          generate.truth(1),
        ],
        3,
      )
    : []
  const aggregates = Array.from({ length: 1 + generate.random.below(4) }, () => aggregate(generate))
  return groups(generate, setting, bucket, keys, aggregates, where(generate, setting))
}

function groups(
  generate: Generator,
  setting: Setting,
  bucket: TimeBuckets | undefined,
  keys: readonly Meaning[],
  aggregates: readonly Aggregate[],
  condition: Where,
): Question {
  const by = keys.map(key => key.text)
  if (bucket !== undefined) by.splice(generate.random.below(keys.length + 1), 0, bucket.text)
  const fill = fillOf(
    generate,
    bucket !== undefined,
    condition.range.fromUs !== -Infinity,
    aggregates.every(each => each.isNumber),
    setting.stepUs,
  )
  const having = havingOf(generate, aggregates)
  const orders: Order<Group>[] = []
  const orderTexts: string[] = []
  if (generate.chance(0.4)) {
    const candidates: { text: string; of(group: Group): Scalar }[] = aggregates.flatMap((each, i) =>
      each.isExact ? [{ text: `c${i}`, of: group => group.cells[i]!.value }] : [],
    )
    if (bucket !== undefined) candidates.push({ text: bucket.text, of: group => group.bucketUs! })
    candidates.push(...keys.map((key, i) => ({ text: key.text, of: (group: Group) => group.keys[i]! })))
    // What fill makes may be rounded, and then is no key to sort by.
    const usable =
      fill.kind === 'linear' ? candidates.slice(aggregates.filter(each => each.isExact).length) : candidates
    for (const key of usable.length === 0 ? [] : generate.some(usable, 2)) {
      const { text, ...rest } = direction(generate)
      orders.push({ of: key.of, ...rest })
      orderTexts.push(key.text + text)
    }
  }
  const ties: Order<Group>[] = [
    { of: group => group.bucketUs ?? 0, descending: false, nullsFirst: false },
    ...keys.map((_, i): Order<Group> => ({ of: group => group.keys[i]!, descending: false, nullsFirst: false })),
  ]
  const { text: limit, cut } = limits(generate)
  const items = [
    ...aggregates.map((each, i) => `${each.text} as c${i}`),
    ...keys.map((key, i) => `${key.text} as k${i}`),
    ...(bucket === undefined ? [] : [`${bucket.text} as t`]),
  ]
  const groupBy = by.length === 0 ? '' : ` group by ${by.join(', ')}`
  const order = orderTexts.length === 0 ? '' : ` order by ${orderTexts.join(', ')}`
  return {
    ...generate.finish(
      `select ${items.join(', ')} from m${condition.text}${groupBy}${having?.text ?? ''}${fill.text}${order}${limit}`,
    ),
    answer(rows) {
      const before = fill.lookbackUs === undefined ? 0 : fill.lookbackUs
      const { range } = condition
      const reach = { fromUs: range.fromUs - before, toUs: range.toUs }
      // What looks back are whole earlier buckets: rows before the range do not enter its first.
      const firstUs = bucket === undefined || range.fromUs === -Infinity ? -Infinity : bucket.start(range.fromUs)
      const chosen = sorted(
        rows.filter(
          row =>
            condition.holds(row) &&
            (within(range, row) ||
              (before > 0 && within(reach, row) && bucket!.start(row['time'] as number) < firstUs)),
        ),
        [byTime, bySeries],
      )
      const groups = grouped(chosen, bucket, keys, aggregates)
      const kept = having === undefined ? groups : groups.filter(group => having.holds(group))
      const filled =
        fill.kind === 'none' || bucket === undefined
          ? kept
          : fillGroups(fill, bucket, range, kept, new Set(groups.filter(group => !kept.includes(group)).map(nameOf)))
      if (filled === undefined) return undefined
      return cut(sorted(filled, [...orders, ...ties])).map(group => [
        ...group.cells,
        ...group.keys.map(exactly),
        ...(bucket === undefined ? [] : [exactly(group.bucketUs!)]),
      ])
    },
  }
}

function havingOf(generate: Generator, aggregates: readonly Aggregate[]) {
  const index = aggregates.findIndex(each => each.isExact && each.isNumber)
  if (index < 0 || !generate.chance(0.3)) return undefined
  const [sign, holds] = generate.pick(comparisons)
  const value = generate.pick([0, 1, 2, 5])
  return {
    text: ` having ${generate.chance(0.5) ? `c${index}` : aggregates[index]!.text} ${sign} ${value}`,
    holds: ({ cells }: Group) => cells[index]!.value !== null && holds(compare(cells[index]!.value!, value)),
  }
}

function grouped(
  rows: readonly Row[],
  bucket: TimeBuckets | undefined,
  keys: readonly Meaning[],
  aggregates: readonly Aggregate[],
): Group[] {
  const members = new Map<string, { bucketUs: number | undefined; keys: Scalar[]; rows: Row[] }>()
  if (bucket === undefined && keys.length === 0) members.set('', { bucketUs: undefined, keys: [], rows: [...rows] })
  else
    for (const row of rows) {
      const found = {
        bucketUs: bucket?.start(row['time'] as number),
        keys: keys.map(key => zero(key.of(row))),
        rows: [row],
      }
      const name = nameOf(found)
      const known = members.get(name)
      if (known === undefined) members.set(name, found)
      else known.rows.push(row)
    }
  return [...members.values()].map(({ rows: own, ...rest }) => ({
    ...rest,
    cells: aggregates.map(each => each.of(own)),
  }))
}
