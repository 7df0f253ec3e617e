/** What looks from row to row, joins, patterns of metrics, histograms; and ranges that slide with now(). */
import { type Shape, shape } from './shape.ts'

const perSeries: readonly Shape[] = [
  'rate',
  'irate',
  'increase',
  'delta',
  'derivative',
  'integral',
  'time_weighted_avg',
].flatMap(name => [
  shape(`${name} by bucket`, choose => `select ${choose.bucket()} as t, ${name}(value) as v_r from c group by t`),
  shape(
    `${name} by tag`,
    choose =>
      `select tag.host, ${name}(value) as v_r from c${choose.chance(0.5) ? ` where time >= ${choose.at()}` : ''} group by tag.host`,
  ),
])

const sources: readonly Shape[] = [
  shape(
    'join at equal times',
    () => 'select a.time, a.tag.host as x, b.tag.host as y, a.v as p, b.v as q from k.a a join k.b b on time',
  ),
  shape(
    'join of equal tags',
    () => 'select time, a.v, b.v as w from k.a a join k.b b on time where a.tag.host = b.tag.host',
  ),
  shape(
    'join within',
    choose =>
      `select a.time, a.v, b.v as w, b.time as t from k.a a join k.b b on time within ${choose.scale.short} where a.tag.host = b.tag.host`,
  ),
  shape(
    'groups of a join',
    () =>
      'select a.tag.host as h, sum(a.v - b.v) as v_r from k.a a join k.b b on time where a.tag.host = b.tag.host group by h',
  ),
  shape(
    'join of groups',
    choose =>
      `select x.t, x.v, y.v as w from (select ${choose.bucket()} as t, max(v) as v from k.a group by t) x join (select ${choose.bucket()} as t, max(v) as v from k.b group by t) y on time`,
  ),
  shape(
    'newest of a join',
    () => 'select a.time, a.v, b.v as w from k.a a join k.b b on time order by a.time desc limit 5',
  ),
  shape('join with itself', () => 'select a.v, b.f from k.a a join m b on time where a.tag.host = b.tag.host'),
  shape('metrics by pattern', () => 'select time, series, v from /^k/'),
  shape('metrics by pattern, filtered', () => `select time, tag.host, v from /^k/ where v > 0 and tag.host != 'c'`),
  shape(
    'groups of a pattern',
    choose => `select ${choose.bucket()} as t, tag.host, max(v) as v, count(*) as c from /^k/ group by t, tag.host`,
  ),
  shape('sum of a pattern', () => 'select sum(v) as v_r, last(v) as w from /^k/'),
  shape(
    'newest of a pattern',
    choose => `select time, series, v from /^k/ order by time desc limit ${choose.of(3, 8)}`,
  ),
  shape(
    'last of each series of a pattern',
    () => 'select time, series, v from /^k/ order by time desc limit 1 per series',
  ),
  shape('distinct of a pattern', () => 'select distinct tag.host from /^k/'),
  shape('histogram', () => 'select histogram(f, -20, 20, 8) from m'),
  shape(
    'histogram, in order',
    () => 'select bucket, count from (select histogram(f, -20, 20, 8) from m) h where count > 2',
  ),
  shape('constant', () => 'select 1 + 1 as two'),
  shape('nothing', () => 'select time, f from m where 1 = 2'),
]

const sliding: readonly Shape[] = [
  shape(
    'sliding tail',
    choose =>
      `select time, series, f from m${choose.where(`time >= now() - ${choose.of(choose.scale.short, choose.scale.long)}`)}`,
  ),
  shape(
    'sliding tail with both ends',
    choose =>
      `select time, f from m where time > now() - ${choose.scale.long} and time <= now() - ${choose.scale.short}`,
  ),
  shape('tail until now', () => 'select time, series, f from m where time <= now()'),
  shape(
    'sliding aggregates',
    choose =>
      `select count(*) as c, sum(f) as v_r, max(g) as w, last(s) as l from m${choose.where(`time >= now() - ${choose.scale.long}`)}`,
  ),
  shape(
    'sliding aggregates by tag',
    choose =>
      `select tag.host, count(*) as c, avg(f) as v_r, first(f) as w from m where time >= now() - ${choose.of(choose.scale.short, choose.scale.long)} group by tag.host`,
  ),
  shape(
    'sliding extremes',
    choose =>
      `select series, min(f) as v, max(f) as w from m where time > now() - ${choose.scale.long} and time < now() group by series`,
  ),
  shape(
    'sliding buckets',
    choose =>
      `select ${choose.bucket()} as t, tag.host, count(*) as c, max(f) as v from m where time >= now() - ${choose.scale.long} group by t, tag.host`,
  ),
  shape(
    'sliding median',
    choose =>
      `select median(f) as v_r, count(distinct tag.host) as c from m where time >= now() - ${choose.scale.long}`,
  ),
  shape(
    'sliding having',
    choose =>
      `select tag.host, count(*) as c from m where time >= now() - ${choose.scale.long} group by tag.host having c > 2`,
  ),
  shape(
    'sliding largest groups',
    choose =>
      `select tag.host, max(f) as v from m where time >= now() - ${choose.scale.long} group by tag.host order by v desc limit 2`,
  ),
  shape(
    'sliding fill',
    choose =>
      `select time_bucket(${choose.scale.wide}, time) as t, max(f) as v from m where time >= now() - ${choose.scale.long} group by t fill(null)`,
  ),
  shape(
    'sliding fill until now',
    choose =>
      `select time_bucket(${choose.scale.wide}, time) as t, count(*) as c from m where time >= now() - ${choose.scale.long} and time <= now() group by t fill(0)`,
  ),
  shape(
    'sliding largest',
    choose =>
      `select time, f from m where time >= now() - ${choose.scale.long} order by f desc limit ${choose.of(2, 10)}`,
  ),
  shape(
    'sliding last of each series',
    choose =>
      `select time, series, f from m where time >= now() - ${choose.of(choose.scale.short, choose.scale.long)} order by time desc limit 1 per series`,
  ),
  shape(
    'sliding row functions',
    choose =>
      `select time, series, difference(f) as v_r, row_number() as k from m where time >= now() - ${choose.scale.long}`,
  ),
  shape(
    'sliding row functions over groups',
    choose =>
      `select ${choose.bucket()} as t, lag(count(*)) as v from m where time >= now() - ${choose.scale.long} group by t`,
  ),
  shape(
    'sliding rate',
    choose => `select tag.host, rate(value) as v_r from c where time >= now() - ${choose.scale.long} group by tag.host`,
  ),
  shape(
    'sliding join',
    choose => `select a.time, a.v, b.v as w from k.a a join k.b b on time where a.time >= now() - ${choose.scale.long}`,
  ),
  shape(
    'sliding pattern',
    choose => `select tag.host, count(*) as c from /^k/ where time >= now() - ${choose.scale.long} group by tag.host`,
  ),
  shape('sliding distinct', choose => `select distinct tag.host from m where time >= now() - ${choose.scale.short}`),
  shape(
    'sliding sub-select',
    choose =>
      `select h, c from (select tag.host as h, count(*) as c from m where time >= now() - ${choose.scale.long} group by h) q where c > 1`,
  ),
  shape('age of the newest', () => 'select series, now() - time as age from m order by time desc limit 3'),
  shape(
    'age of each row',
    choose => `select now() - time as age, f from m where time >= now() - ${choose.scale.short}`,
  ),
  shape('age of groups', () => 'select tag.host, now() - max(time) as age from m group by tag.host'),
  shape(
    'groups by age',
    choose => `select time >= now() - ${choose.scale.short} as fresh, count(*) as c from m group by fresh`,
  ),
  shape(
    'now in a condition',
    choose =>
      `select tag.host, count(*) as c from m where f > 0 or time > now() - ${choose.scale.short} group by tag.host`,
  ),
]

export const otherShapes: readonly Shape[] = [...perSeries, ...sources, ...sliding]
