/** Raw rows: tails, the first rows by an order, the first of each key, and row functions along series. */
import { type Shape, shape } from './shape.ts'

const tails: readonly Shape[] = [
  shape('tail', choose => `select time, series, f, g from m${choose.where()}`),
  shape('tail of all columns', choose => `select * from m${choose.where()}`),
  shape('tail of fields alone', choose => `select f, s from m${choose.where()}`),
  shape('tail of one tag', choose => `select time, f from m where tag.host = '${choose.of('a', 'b', 'z')}'`),
  shape('tail of a tag pattern', () => `select time, tag.host, g from m where tag.host =~ /^[bh]/`),
  shape('tail without a tag', () => 'select time, tag.host, f from m where tag.dc is null'),
  shape('tail of one field', choose => `select time, n from m where n ${choose.of('>', '<=', '!=')} 2`),
  shape('tail of a present field', choose => `select time, g from m where ${choose.of('g', 's', 'n')} is not null`),
  shape('tail of a missing field', choose => `select time, f from m where ${choose.of('g', 's', 'n')} is null`),
  shape('tail of tag or field', () => `select time, series, f from m where tag.host = 'a' or g > 0`),
  shape('tail of a boolean', choose => `select time, b, f from m where ${choose.of('b', 'not b', 'b is null')}`),
  shape('tail of text', choose => `select time, s from m where s ${choose.of(`like 'a%'`, `=~ /b/`, `> 'ab'`)}`),
  shape('tail of a list', () => "select time, f from m where n in (1, 2, 3) or s in ('a', '')"),
  shape('tail between', () => 'select time, f from m where f between -5 and 5'),
  shape('tail with arithmetic', choose => `select f * 2 + g as v, f / n as w, -f as x, time from m${choose.where()}`),
  shape(
    'tail with case',
    choose => `select case when f > 0 then 'up' when f < 0 then 'down' end as way from m${choose.where()}`,
  ),
  shape(
    'tail with text functions',
    choose => `select upper(tag.host) as h, concat(s, '!') as t, length(s) as l from m${choose.where()}`,
  ),
  shape(
    'tail with buckets',
    choose => `select ${choose.bucket()} as t, f, extract(minute from time) as minute from m${choose.where()}`,
  ),
  shape(
    'tail with coalesce',
    () => 'select time, coalesce(g, f, 0) as v, nullif(n, 2) as n from m where coalesce(g, f) >= 0',
  ),
  shape('tail from a time', choose => `select time, series, f from m where time >= ${choose.at()}`),
  shape('tail until a time', choose => `select time, series, f from m where time < ${choose.at()}`),
  shape(
    'tail between times',
    choose => `select time, f from m${choose.where(`time >= ${choose.at(10)}`, `time < ${choose.at(90)}`)}`,
  ),
  shape('tail of one series', () => `select time, f, g from m where series = 'm{dc="x",host="a"}'`),
  shape('tail by id', () => `select time, f, g from by_id('{id}')`),
  shape('tail with parameters', choose => ({
    text: 'select time, series, f from m where tag.host = $1 and f > $2',
    params: [choose.of('a', 'b'), choose.of(-3, 0, 4)],
  })),
  shape('tail by a field', choose => `select time, f from m${choose.where()} order by f, time`),
  shape('tail backwards', choose => `select time, f from m${choose.where()} order by time desc`),
  shape('tail by series', choose => `select time, series, g from m${choose.where()} order by series, time`),
  shape(
    'tail of a metric with a dot',
    choose => `select time, tag.host, v from k.a${choose.chance(0.5) ? ' where v > 0' : ''}`,
  ),
  shape('tail of a sub-select', () => 'select a, t from (select f * 2 as a, time as t from m where g > 0) q'),
  shape(
    'filtered sub-select',
    () => 'select time, series, f from (select time, series, f, b from m) q where b or f > 1',
  ),
  shape(
    'sub-select of a sub-select',
    () => 'select v from (select w + 1 as v from (select f as w, time from m) p where w > 0) q',
  ),
]

const tops: readonly Shape[] = [
  shape(
    'newest',
    choose => `select time, series, f from m${choose.where()} order by time desc limit ${choose.of(1, 3, 10)}`,
  ),
  shape('newest of all columns', choose => `select * from m order by time desc limit ${choose.of(2, 5)}`),
  shape('oldest', choose => `select time, series, f from m${choose.where()} limit ${choose.of(1, 5, 20)}`),
  shape('largest', choose => `select time, f from m${choose.where()} order by f desc limit ${choose.of(1, 3, 10)}`),
  shape('largest, nulls last', choose => `select time, g from m order by g desc nulls last limit ${choose.of(3, 8)}`),
  shape(
    'smallest',
    choose => `select series, ${choose.of('f', 'n')} as v from m${choose.where()} order by v limit ${choose.of(2, 7)}`,
  ),
  shape('smallest, nulls first', choose => `select time, g from m order by g nulls first limit ${choose.of(3, 30)}`),
  shape(
    'largest but some',
    choose =>
      `select time, f from m${choose.where()} order by f desc limit ${choose.of(1, 5)} offset ${choose.of(1, 3)}`,
  ),
  shape(
    'newest but some',
    choose => `select time, f from m order by time desc limit ${choose.of(2, 6)} offset ${choose.of(2, 10)}`,
  ),
  shape(
    'first by an expression',
    choose => `select time, f, g from m order by abs(f) + coalesce(g, 0) desc limit ${choose.of(2, 6)}`,
  ),
  shape(
    'first by text',
    choose => `select time, s from m${choose.where()} order by s desc, f limit ${choose.of(2, 6)}`,
  ),
  shape('first by boolean and field', choose => `select time, b, f from m order by b, f desc limit ${choose.of(4, 9)}`),
  shape(
    'first by a hidden column',
    choose => `select s from m${choose.where()} order by f desc, n limit ${choose.of(3, 6)}`,
  ),
  shape('first by series', choose => `select series, time, f from m order by series, time limit ${choose.of(5, 40)}`),
  shape(
    'first of a range',
    choose => `select time, f from m where time >= ${choose.at()} order by f limit ${choose.of(3, 6)}`,
  ),
  shape('first, many', () => 'select time, series, f from m order by time desc limit 500'),
  shape('limit 0', () => 'select time, f from m order by f limit 0'),
  shape(
    'last of each series',
    choose => `select time, series, f from m${choose.where()} order by time desc limit ${choose.of(1, 2)} per series`,
  ),
  shape(
    'first of each series',
    choose => `select time, series, g from m${choose.where()} limit ${choose.of(1, 3)} per series`,
  ),
  shape(
    'largest of each tag',
    choose => `select time, tag.host, f from m${choose.where()} order by f desc limit ${choose.of(1, 3)} per tag.host`,
  ),
  shape(
    'newest of each tag, or none',
    choose => `select time, tag.dc, f from m order by time desc limit ${choose.of(1, 2)} per tag.dc`,
  ),
  shape('largest of each boolean', choose => `select time, b, f from m order by f desc limit ${choose.of(1, 4)} per b`),
  shape(
    'newest of each value',
    choose => `select time, n, f from m order by time desc limit 1 per ${choose.of('n', 'f', 's')}`,
  ),
  shape(
    'newest of each expression',
    () => `select time, f from m order by time desc limit 2 per coalesce(tag.dc, upper(tag.host))`,
  ),
  shape('newest of each bucket', choose => `select time, f from m order by f desc limit 1 per ${choose.bucket()}`),
  shape(
    'last of each series but some',
    () => 'select time, series, f from m order by time desc limit 2 per series offset 3',
  ),
  shape('all but some', choose => `select time, f from m order by f offset ${choose.of(1, 5)}`),
  shape(
    'filtered first rows',
    () => 'select time, f from (select time, series, f from m order by time desc limit 12) q where f > 0',
  ),
  shape(
    'first rows, changed',
    () => 'select f * 2 as v, t from (select time as t, f from m order by f desc limit 6) q',
  ),
  shape(
    'first rows of first rows',
    () => 'select v from (select time as t, f as v from m order by time desc limit 20) q order by v limit 3',
  ),
  shape('first rows without time', () => 'select v from (select f * 2 as v from m) q order by v limit 3'),
  shape('sum of the newest', () => ({
    text: 'select sum(f) as v_r, count(*) as c from (select f from m order by time desc limit 10) q',
  })),
]

const alongSeries: readonly Shape[] = [
  shape(
    'lag',
    choose => `select time, series, lag(${choose.field()}, ${choose.of(1, 2)}) as v from m${choose.where()}`,
  ),
  shape('lead', choose => `select time, series, lead(${choose.field()}) as v from m${choose.where()}`),
  shape(
    'difference',
    choose => `select time, series, f, difference(${choose.number()}) as v_r from m${choose.where()}`,
  ),
  shape('difference of time', () => 'select time - lag(time) as gap, difference(time) as d, series from m'),
  shape(
    'moving average of rows',
    choose => `select time, moving_avg(f, ${choose.of(2, 5)}) as v_r from m${choose.where()}`,
  ),
  shape(
    'moving average of time',
    choose => `select time, moving_avg(f, ${choose.scale.short}) as v_r from m${choose.where()}`,
  ),
  shape(
    'exponential average',
    choose => `select time, ema(f, ${choose.scale.short}, 0.3) as v_r from m${choose.where()}`,
  ),
  shape('cumulative sum', choose => `select time, cumulative_sum(${choose.number()}) as v_r from m${choose.where()}`),
  shape('row number', choose => `select time, series, row_number() as k from m${choose.where()}`),
  shape(
    'fill forward',
    choose => `select time, series, fill_forward(${choose.of('g', 's', 'b')}) as v from m${choose.where()}`,
  ),
  shape(
    'row functions together',
    () => 'select time, f - lag(f) as d_r, row_number() as k, fill_forward(g) as g from m',
  ),
  shape('row functions from a time', choose => `select time, series, lag(f) as v from m where time >= ${choose.at()}`),
  shape(
    'filtered row functions',
    () => 'select time, d_r from (select time, difference(f) as d_r from m) q where d_r > 0',
  ),
  shape('newest of row functions', () => 'select time, series, difference(f) as v_r from m order by time desc limit 8'),
]

export const rawShapes: readonly Shape[] = [...tails, ...tops, ...alongSeries]
