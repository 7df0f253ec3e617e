/** Groups: every aggregate in several groupings, kinds of buckets and keys, having, fill, order, row functions over groups. */
import { type Chooser, type Shape, shape } from './shape.ts'

/** By name: the call over a column, with the name of its result. */
const calls: Readonly<Record<string, (choose: Chooser) => string>> = {
  'count(*)': () => 'count(*) as v',
  count: choose => `count(${choose.field()}) as v`,
  'count(distinct)': choose => `count(distinct ${choose.field()}) as v`,
  sum: choose => `sum(${choose.number()}) as v_r`,
  avg: choose => `avg(${choose.number()}) as v_r`,
  min: choose => `min(${choose.field()}) as v`,
  max: choose => `max(${choose.field()}) as v`,
  first: choose => `first(${choose.field()}) as v`,
  last: choose => `last(${choose.field()}) as v`,
  'last time': () => 'max(time) as v, min(time) as w',
  spread: choose => `spread(${choose.number()}) as v`,
  stddev: choose => `stddev(${choose.number()}) as v_q`,
  variance: choose => `variance(${choose.number()}) as v_q`,
  median: choose => `median(${choose.number()}) as v_r`,
  percentile: choose => `percentile(${choose.number()}, ${choose.of(0.1, 0.5, 0.95)}) as v_r`,
  approx_percentile: choose => `approx_percentile(${choose.number()}, ${choose.of(0.1, 0.5, 0.95)}) as v`,
  approx_count_distinct: choose => `approx_count_distinct(${choose.field()}) as v`,
  mode: choose => `mode(${choose.field()}) as v`,
  min_by: choose => `min_by(${choose.field()}, ${choose.of('f', 'n', 's')}) as v`,
  max_by: choose => `max_by(${choose.field()}, ${choose.of('f', 'n', 's')}) as v`,
}
const aCall = (choose: Chooser): string => choose.of(...Object.values(calls))(choose)
const exactCall = (choose: Chooser): string =>
  choose.of('count(*)', `count(${choose.field()})`, `max(${choose.number()})`, `min(f)`, `last(f)`, 'first(g)')

const everyAggregate: readonly Shape[] = Object.entries(calls).flatMap(([name, call]) => [
  shape(
    `${name} by bucket and tag`,
    choose => `select ${choose.bucket()} as t, tag.host, ${call(choose)} from m${choose.where()} group by t, tag.host`,
  ),
  shape(`${name} of all`, choose => `select ${call(choose)} from m${choose.where()}`),
  shape(
    `${name} by tag`,
    choose =>
      `select ${choose.of('tag.host', 'tag.dc', 'series')} as k, ${call(choose)} from m${choose.where()} group by k`,
  ),
])

const buckets: readonly Shape[] = Object.entries({
  'buckets from an origin': "time_bucket(90m, time, '2026-01-01T00:30:00Z')",
  weeks: 'time_bucket(1w, time)',
  'local days': "time_bucket(1d, time, 'Europe/Amsterdam')",
  'local quarters of days': "time_bucket(6h, time, 'Europe/Amsterdam')",
  'pairs of local days': "time_bucket(2d, time, 'Europe/Amsterdam')",
  months: 'time_bucket(1mo, time)',
  quarters: 'time_bucket(1q, time)',
  years: 'time_bucket(1y, time)',
  'local months': "time_bucket(1mo, time, 'Europe/Amsterdam')",
  'truncated days': "date_trunc('day', time)",
}).map(([name, bucket]) =>
  shape(name, choose => `select ${bucket} as t, count(*) as c, ${aCall(choose)} from m${choose.where()} group by t`),
)

const keys: readonly Shape[] = [
  shape('by series', choose => `select series, ${aCall(choose)} from m${choose.where()} group by series`),
  shape('by text', choose => `select s, ${aCall(choose)} from m${choose.where()} group by s`),
  shape('by boolean', choose => `select b, ${aCall(choose)} from m${choose.where()} group by b`),
  shape('by number', choose => `select ${choose.number()} as k, ${aCall(choose)} from m${choose.where()} group by k`),
  shape(
    'by two tags',
    choose => `select tag.host, tag.dc, ${aCall(choose)} from m${choose.where()} group by tag.host, tag.dc`,
  ),
  shape(
    'by an expression',
    choose => `select concat(upper(tag.host), tag.dc) as k, ${aCall(choose)} from m group by k`,
  ),
  shape('by a condition', choose => `select f > 0 as k, ${aCall(choose)} from m${choose.where()} group by k`),
  shape('groups alone', choose => `select tag.host, b from m${choose.where()} group by tag.host, b`),
  shape(
    'keys not selected',
    choose => `select ${aCall(choose)} from m${choose.where()} group by tag.host, ${choose.bucket()}`,
  ),
  shape(
    'bucket not selected',
    choose => `select tag.host, ${aCall(choose)} from m group by tag.host, ${choose.bucket()}`,
  ),
  shape(
    'bucket alone',
    choose => `select ${choose.bucket()} as t, ${aCall(choose)} from m${choose.where()} group by t`,
  ),
  shape('bucket and field', choose => `select ${choose.bucket()} as t, n, count(*) as c from m group by t, n`),
  shape('part of the hour', choose => `select extract(minute from time) as k, ${aCall(choose)} from m group by k`),
]

const conditions: readonly Shape[] = [
  shape(
    'having count',
    choose =>
      `select ${choose.bucket()} as t, count(*) as c from m${choose.where()} group by t having c ${choose.of('>', '<', '=')} ${choose.of(1, 2, 5)}`,
  ),
  shape(
    'having max',
    choose =>
      `select tag.host, max(f) as v from m${choose.where()} group by tag.host having v > ${choose.of(0, 5, 10)}`,
  ),
  shape('having a key', () => `select tag.host, count(*) as c from m group by tag.host having tag.host != 'a'`),
  shape(
    'having what is not selected',
    choose => `select ${choose.bucket()} as t, tag.host, last(f) as v from m group by t, tag.host having count(g) >= 1`,
  ),
  shape('having of all', () => 'select count(*) as c from m having max(f) > 5'),
  shape('having sum', choose => ({
    text: `select ${choose.bucket()} as t, sum(f) as v_r from m group by t having sum(f) > ${choose.of(0, 3)}`,
    needsExactSums: true,
  })),
  shape(
    'groups from a time',
    choose => `select ${choose.bucket()} as t, ${aCall(choose)} from m where time >= ${choose.at()} group by t`,
  ),
  shape(
    'groups between times',
    choose =>
      `select tag.host, ${aCall(choose)} from m where time >= ${choose.at(10)} and time < ${choose.at(100)} group by tag.host`,
  ),
  shape(
    'groups of one series',
    choose => `select ${choose.bucket()} as t, ${aCall(choose)} from m where series = 'm{dc="x",host="a"}' group by t`,
  ),
  shape('groups by id', choose => `select ${choose.bucket()} as t, ${aCall(choose)} from by_id('{id}') group by t`),
  shape(
    'ratio of aggregates',
    choose => `select ${choose.bucket()} as t, sum(f) / count(f) as v_r, max(f) - min(f) as w from m group by t`,
  ),
  shape(
    'sum of an expression',
    choose => `select tag.host, sum(f * 2 + coalesce(g, 0)) as v_r from m${choose.where()} group by tag.host`,
  ),
  shape(
    'conditional aggregates',
    choose =>
      `select ${choose.bucket()} as t, sum(case when f > 0 then 1 else 0 end) as v_r, count(case when b then 1 end) as c from m group by t`,
  ),
  shape(
    'case over aggregates',
    choose =>
      `select tag.host, case when count(*) > 5 then 'many' else 'few' end as v from m${choose.where()} group by tag.host`,
  ),
  shape(
    'many aggregates',
    choose =>
      `select ${choose.bucket()} as t, count(*) as a, sum(f) as b_r, avg(g) as c_r, min(f) as d, max(g) as e, first(s) as h, last(b) as i, stddev(f) as j_q from m${choose.where()} group by t`,
  ),
  shape('groups with parameters', choose => ({
    text: `select ${choose.bucket()} as t, count(*) as c from m where tag.host = ? and f > ? group by t`,
    params: [choose.of('a', 'b'), choose.of(0, 2)],
  })),
]

const fills: readonly Shape[] = ['null', 'previous', 'linear', '7'].flatMap(mode => {
  const column = mode === 'linear' ? 'avg(f) as v_r' : 'max(f) as v'
  return [
    shape(
      `fill ${mode}`,
      choose =>
        `select time_bucket(${choose.scale.wide}, time) as t, ${column} from m${choose.where()} group by t fill(${mode})`,
    ),
    shape(
      `fill ${mode} of tags`,
      choose =>
        `select time_bucket(${choose.scale.wide}, time) as t, tag.host, ${column}, count(*) as c from m group by t, tag.host fill(${mode})`,
    ),
    shape(
      `fill ${mode} of a range`,
      choose =>
        `select time_bucket(${choose.scale.wide}, time) as t, ${column} from m where time >= ${choose.at(5)} and time < ${choose.at(120)} group by t fill(${mode})`,
    ),
  ]
})
const moreFills: readonly Shape[] = [
  shape(
    'fill with lookback',
    choose =>
      `select time_bucket(${choose.scale.wide}, time) as t, last(f) as v from m where time >= ${choose.at(40)} and time < ${choose.at(120)} group by t fill(previous, ${choose.scale.long})`,
  ),
  shape(
    'fill and having',
    choose =>
      `select time_bucket(${choose.scale.wide}, time) as t, tag.host, count(*) as c from m group by t, tag.host having c > 1 fill(null)`,
  ),
  shape(
    'fill of local days',
    () => `select time_bucket(1d, time, 'Europe/Amsterdam') as t, sum(f) as v_r from m group by t fill(0)`,
  ),
  shape(
    'fill and row functions',
    choose => `select time_bucket(${choose.scale.wide}, time) as t, lag(max(f)) as v from m group by t fill(previous)`,
  ),
  shape(
    'fill and order',
    choose =>
      `select time_bucket(${choose.scale.wide}, time) as t, max(f) as v from m group by t fill(null) order by t desc limit 5`,
  ),
]

const orders: readonly Shape[] = [
  shape(
    'largest groups',
    choose =>
      `select tag.host, ${exactCall(choose)} as v from m${choose.where()} group by tag.host order by v desc limit ${choose.of(1, 3)}`,
  ),
  shape(
    'newest groups',
    choose =>
      `select ${choose.bucket()} as t, ${aCall(choose)} from m${choose.where()} group by t order by t desc limit ${choose.of(1, 4)}`,
  ),
  shape(
    'oldest groups',
    choose =>
      `select ${choose.bucket()} as t, tag.host, ${aCall(choose)} from m group by t, tag.host limit ${choose.of(2, 6)}`,
  ),
  shape(
    'groups but some',
    choose =>
      `select ${choose.bucket()} as t, count(*) as c from m group by t order by c desc, t limit 3 offset ${choose.of(1, 2)}`,
  ),
  shape(
    'groups in order',
    choose => `select tag.host, ${exactCall(choose)} as v from m group by tag.host order by v, tag.host desc`,
  ),
  shape(
    'groups by what is not selected',
    choose => `select tag.host from m group by tag.host order by ${exactCall(choose)} desc limit 2`,
  ),
  shape('largest sums', () => ({
    text: 'select tag.host, sum(f) as v_r from m group by tag.host order by v_r desc limit 2',
    needsExactSums: true,
  })),
  shape(
    'first groups of each key',
    choose =>
      `select ${choose.bucket()} as t, tag.host, ${exactCall(choose)} as v from m group by t, tag.host order by v desc limit ${choose.of(1, 2)} per tag.host`,
  ),
  shape(
    'newest bucket of each key',
    choose =>
      `select ${choose.bucket()} as t, tag.host, ${aCall(choose)} from m group by t, tag.host order by t desc limit 1 per tag.host`,
  ),
]

const windows: readonly Shape[] = Object.entries({
  lag: 'lag(max(f)) as v',
  lead: 'lead(last(f)) as v',
  difference: 'difference(avg(f)) as v_r',
  'moving average of groups': 'moving_avg(sum(f), 3) as v_r',
  'exponential average of groups': 'ema(max(f), 1m, 0.5) as v_r',
  'cumulative sum': 'cumulative_sum(count(*)) as v_r',
  'row number': 'row_number() as v, count(*) as c',
  'fill forward': 'fill_forward(max(g)) as v',
}).flatMap(([name, call]) => [
  shape(`${name} over buckets`, choose => `select ${choose.bucket()} as t, ${call} from m${choose.where()} group by t`),
  shape(
    `${name} over buckets of tags`,
    choose => `select ${choose.bucket()} as t, tag.host, ${call} from m group by t, tag.host`,
  ),
])

const nested: readonly Shape[] = [
  shape('distinct tags', () => 'select distinct tag.host, tag.dc from m'),
  shape('distinct values', choose => `select distinct ${choose.of('n', 's', 'f')} as v from m${choose.where()}`),
  shape('distinct expressions', choose => `select distinct f > 0 as p, ${choose.bucket()} as t from m`),
  shape('distinct with a limit', choose => `select distinct n from m order by n ${choose.of('desc', 'asc')} limit 3`),
  shape('distinct with a limit per', () => 'select distinct tag.host, n from m order by n limit 2 per tag.host'),
  shape(
    'groups of groups',
    choose => `select max(v) as w_r from (select ${choose.bucket()} as t, avg(f) as v from m group by t) q`,
  ),
  shape(
    'count of groups',
    choose =>
      `select host, count(*) as c from (select ${choose.bucket()} as t, tag.host as host, max(f) as v from m group by t, tag.host) q group by host`,
  ),
  shape(
    'filtered groups',
    choose => `select t, v from (select ${choose.bucket()} as t, max(f) as v from m group by t) q where v > 3`,
  ),
  shape(
    'groups of a sub-select',
    choose =>
      `select h, max(v) as w from (select tag.host as h, f * 2 as v, time from m${choose.where()}) q group by h`,
  ),
  shape(
    'groups of row functions',
    () =>
      'select tag.host, max(d) as v from (select time, series, tag.host, f - lag(f) as d from m) q group by tag.host',
  ),
  shape(
    'largest of groups of groups',
    choose =>
      `select h, n from (select tag.host as h, count(*) as n from m group by h) q order by n desc limit ${choose.of(1, 2)}`,
  ),
]

export const groupShapes: readonly Shape[] = [
  ...everyAggregate,
  ...buckets,
  ...keys,
  ...conditions,
  ...fills,
  ...moreFills,
  ...orders,
  ...windows,
  ...nested,
]
