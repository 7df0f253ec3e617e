/**
 * What all engines are asked. An answer is its rows, in any order: times in ms since the epoch, texts, numbers.
 *
 *   sql         DuckDB, SQLite, ClickHouse: one text with the engine's own words for a bucket of time and the newest value
 *   metricsql   VictoriaMetrics: over steps of time, or at one moment
 *
 * Invariant: a question has one right answer. Where engines differ about what is right (percentiles), it says which is meant.
 */
import { type Data, fields, hostName, startMs } from './data.ts'

export interface Question {
  readonly id: string
  readonly about: string
  /** sydraQL. */
  readonly ours: string
  /** undefined: the engine's SQL cannot say it. */
  sql(words: SqlWords): string | undefined
  /** undefined: the language cannot say it. */
  readonly metricsql: MetricsQl | undefined
  /** Rows that are read out, not worked out: `rows` counts them. */
  readonly isExport?: true
}

/** How an engine says what SQL leaves open. Times of the table are its own; ms come out. */
export interface SqlWords {
  /** Start of the bucket that `time` is in, in ms since the epoch. */
  bucket(seconds: number): string
  /** The time column in ms since the epoch. */
  readonly timeMs: string
  /** A moment, to be compared with the time column. */
  moment(ms: number): string
  /** All of it: hosts, and a column of the newest row of each. */
  lastOfHosts(column: string): string
  /** All of it: columns of the newest rows of each host. */
  newestOfHosts(columns: string, count: number): string
  /** Percentile, interpolated; undefined: it has none. */
  percentile(column: string, share: number): string | undefined
}

/** A range query: one value for each step, of the window that ends 1 ms before the next; or an instant query. */
export interface MetricsQl {
  readonly text: string
  readonly fromMs: number
  readonly toMs: number
  /** undefined: at one moment, the end. */
  readonly stepSeconds: number | undefined
  /** What a row is made of, beside the time of a step. */
  readonly columns: readonly ('hostname' | 'value')[]
}

const minute = 60
const hour = 3600
const iso = (ms: number): string => `'${new Date(ms).toISOString()}'`
const eight = [3, 13, 23, 33, 43, 53, 63, 73].map(hostName)
const five = fields.slice(0, 5)
const list = (names: readonly string[]): string => names.map(name => `'${name}'`).join(', ')
const calls = (name: string, columns: readonly string[]): string =>
  columns.map(column => `${name}(${column})`).join(', ')

/** Of a day or more; ranges begin at 8:00, so that none starts where the data does. */
export function questionsOf(data: Data): readonly Question[] {
  const fromMs = Math.min(
    startMs + 8 * hour * 1000,
    startMs + Math.floor((data.endMs - startMs) / 3 / 3_600_000) * 3_600_000,
  )
  const until = (hours: number): number => Math.min(data.endMs, fromMs + hours * hour * 1000)
  const all = { fromMs: startMs, toMs: data.endMs }
  const dayMs = Math.min(data.endMs, startMs + 24 * hour * 1000)
  const within = (from: number, to: number, { moment }: SqlWords): string =>
    `time >= ${moment(from)} and time < ${moment(to)}`
  const ours = (from: number, to: number): string => `time >= ${iso(from)} and time < ${iso(to)}`
  const raw = (id: string, about: string, from: number, to: number): Question => ({
    id,
    about,
    ours: `select time, usage_user from cpu where tag.hostname = 'host_42' and ${ours(from, to)}`,
    sql: words =>
      `select ${words.timeMs}, usage_user from cpu where hostname = 'host_42' and ${within(from, to, words)}`,
    metricsql: {
      text: `last_over_time(cpu_usage_user{hostname="host_42"}[10s])`,
      fromMs: from,
      toMs: to,
      stepSeconds: 10,
      columns: ['value'],
    },
  })
  const averages = (id: string, about: string, columns: readonly string[]): Question => ({
    id,
    about,
    ours: `select time_bucket(1h, time) t, tag.hostname, ${calls('avg', columns)} from cpu where ${ours(startMs, dayMs)} group by t, tag.hostname`,
    sql: words =>
      `select ${words.bucket(hour)} as t, hostname, ${calls('avg', columns)} from cpu where ${within(startMs, dayMs, words)} group by t, hostname`,
    metricsql:
      columns.length > 1
        ? undefined
        : {
            text: `avg_over_time(cpu_${columns[0]}[1h])`,
            fromMs: startMs,
            toMs: dayMs,
            stepSeconds: hour,
            columns: ['hostname', 'value'],
          },
  })
  return [
    raw('Q1a', 'one series raw, 1 h', fromMs, until(1)),
    raw('Q1b', 'one series raw, 24 h', startMs, dayMs),
    {
      id: 'Q2',
      about: 'max of one field, one host, per minute, 1 h',
      ours: `select time_bucket(1m, time) t, max(usage_user) from cpu where tag.hostname = 'host_42' and ${ours(fromMs, until(1))} group by t`,
      sql: words =>
        `select ${words.bucket(minute)} as t, max(usage_user) from cpu where hostname = 'host_42' and ${within(fromMs, until(1), words)} group by t`,
      metricsql: {
        text: 'max_over_time(cpu_usage_user{hostname="host_42"}[1m])',
        fromMs,
        toMs: until(1),
        stepSeconds: minute,
        columns: ['value'],
      },
    },
    {
      id: 'Q3',
      about: 'max of five fields, eight hosts, per minute, 1 h',
      ours: `select time_bucket(1m, time) t, ${calls('max', five)} from cpu where tag.hostname in (${list(eight)}) and ${ours(fromMs, until(1))} group by t`,
      sql: words =>
        `select ${words.bucket(minute)} as t, ${calls('max', five)} from cpu where hostname in (${list(eight)}) and ${within(fromMs, until(1), words)} group by t`,
      metricsql: undefined,
    },
    averages('Q4', 'avg of one field per hour per host, all hosts, 24 h', fields.slice(0, 1)),
    averages('Q5', 'avg of ten fields per hour per host, all hosts, 24 h', fields),
    {
      id: 'Q6',
      about: 'max of ten fields per hour, eight hosts, 8 h',
      ours: `select time_bucket(1h, time) t, ${calls('max', fields)} from cpu where tag.hostname in (${list(eight)}) and ${ours(fromMs, until(8))} group by t`,
      sql: words =>
        `select ${words.bucket(hour)} as t, ${calls('max', fields)} from cpu where hostname in (${list(eight)}) and ${within(fromMs, until(8), words)} group by t`,
      metricsql: undefined,
    },
    {
      id: 'Q7a',
      about: 'all fields of rows with usage_user > 90, all hosts, 12 h',
      ours: `select time, tag.hostname, ${fields.join(', ')} from cpu where usage_user > 90 and ${ours(fromMs, until(12))}`,
      sql: words =>
        `select ${words.timeMs}, hostname, ${fields.join(', ')} from cpu where usage_user > 90 and ${within(fromMs, until(12), words)}`,
      metricsql: undefined,
    },
    {
      id: 'Q7b',
      about: 'count of rows with usage_user > 90, all hosts, 12 h',
      ours: `select count(*) from cpu where usage_user > 90 and ${ours(fromMs, until(12))}`,
      sql: words => `select count(*) from cpu where usage_user > 90 and ${within(fromMs, until(12), words)}`,
      metricsql: {
        text: `sum(count_gt_over_time(cpu_usage_user[${(until(12) - fromMs) / 1000}s], 90))`,
        fromMs,
        toMs: until(12),
        stepSeconds: undefined,
        columns: ['value'],
      },
    },
    {
      id: 'Q8',
      about: 'last value per host',
      ours: 'select tag.hostname, last(usage_user) from cpu group by tag.hostname',
      sql: words => words.lastOfHosts('usage_user'),
      metricsql: {
        text: `last_over_time(cpu_usage_user[${(data.endMs - startMs) / 1000}s])`,
        ...all,
        stepSeconds: undefined,
        columns: ['hostname', 'value'],
      },
    },
    {
      id: 'Q9',
      about: 'last five minute-maxima before a moment, without lower bound',
      ours: `select time_bucket(1m, time) t, max(usage_user) from cpu where time < ${iso(until(4))} group by t order by t desc limit 5`,
      sql: words =>
        `select ${words.bucket(minute)} as t, max(usage_user) from cpu where time < ${words.moment(until(4))} group by t order by t desc limit 5`,
      metricsql: undefined,
    },
    {
      id: 'Q10a',
      about: 'count, sum, avg, min, max of one field',
      ours: 'select count(usage_user), sum(usage_user), avg(usage_user), min(usage_user), max(usage_user) from cpu',
      sql: () =>
        'select count(usage_user), sum(usage_user), avg(usage_user), min(usage_user), max(usage_user) from cpu',
      metricsql: undefined,
    },
    {
      id: 'Q10b',
      about: 'count, sum, avg, min, max of all fields',
      ours: `select ${fields.map(field => calls5(field)).join(', ')} from cpu`,
      sql: () => `select ${fields.map(field => calls5(field)).join(', ')} from cpu`,
      metricsql: undefined,
    },
    {
      id: 'Q11',
      about: 'export of all points, in storage order',
      // Without an order ours are by time.
      ours: `select time, tag.hostname, ${fields.join(', ')} from cpu order by series, time`,
      sql: ({ timeMs }) => `select ${timeMs}, hostname, ${fields.join(', ')} from cpu`,
      metricsql: undefined,
      isExport: true,
    },
    {
      id: 'Q12',
      about: 'exact 99th percentile per 5 minutes, all hosts, 24 h, interpolated',
      ours: `select time_bucket(5m, time) t, percentile(usage_user, 0.99) from cpu where ${ours(startMs, dayMs)} group by t`,
      sql: words => {
        const percentile = words.percentile('usage_user', 0.99)
        return percentile === undefined
          ? undefined
          : `select ${words.bucket(300)} as t, ${percentile} from cpu where ${within(startMs, dayMs, words)} group by t`
      },
      metricsql: undefined,
    },
    {
      id: 'Q13',
      about: 'newest three rows of each host',
      ours: 'select time, tag.hostname, usage_user from cpu order by time desc limit 3 per series',
      sql: words => words.newestOfHosts(`${words.timeMs}, hostname, usage_user`, 3),
      metricsql: undefined,
    },
    {
      id: 'Q14',
      about: 'the ten newest rows',
      ours: 'select time, tag.hostname, usage_user from cpu order by time desc, tag.hostname limit 10',
      sql: ({ timeMs }) => `select ${timeMs}, hostname, usage_user from cpu order by time desc, hostname limit 10`,
      metricsql: undefined,
    },
    {
      id: 'Q15',
      about: 'export of all points, by time',
      ours: `select time, tag.hostname, ${fields.join(', ')} from cpu order by time`,
      sql: ({ timeMs }) => `select ${timeMs}, hostname, ${fields.join(', ')} from cpu order by time`,
      metricsql: undefined,
      isExport: true,
    },
  ]
}

const calls5 = (field: string): string =>
  ['count', 'sum', 'avg', 'min', 'max'].map(name => `${name}(${field})`).join(', ')
