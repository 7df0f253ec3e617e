/**
 * Groups over random commits — late rows, duplicates with other fields, deletes, time that passes: at every step what is kept is
 * what the batch planner gives. Messages tell the query, the seed and the turn.
 */
import { describe, test } from 'vitest'
import { follow, type Run } from './groups-world.ts'

const firstSeed = Number(process.env['SEED'] ?? 1)
const seedsPerQuery = Number(process.env['SEEDS'] ?? 1)
const followed = async (text: string, run: Run = { turns: 20 }): Promise<void> => {
  for (let seed = firstSeed; seed < firstSeed + seedsPerQuery; seed++) await follow(text, seed, run)
}

const calls = [
  'count(*)',
  'count(note)',
  'count(distinct cores)',
  'count(distinct note)',
  'sum(usage)',
  'avg(usage)',
  'min(usage)',
  'min(note)',
  'max(up)',
  'first(usage)',
  'last(note)',
  'spread(cores)',
  'stddev(usage)',
  'variance(cores)',
  'median(usage)',
  'mode(note)',
  'percentile(usage, 0.9)',
  'approx_percentile(usage, 0.5)',
  'approx_count_distinct(note)',
  'min_by(note, usage)',
  'max_by(usage, note)',
  'max(time)',
]

describe('every function, by buckets, of all, over a range that slides', () => {
  test.each(calls)('%s', async call => {
    await followed(`select time_bucket(10s, time) as t, tag.host, ${call} v from cpu group by t, tag.host`)
    await followed(`select ${call} v from cpu where usage > -5 or up`)
    await followed(`select tag.dc, ${call} v from cpu where time >= now() - 15s group by tag.dc`)
  })
})

describe('keys and buckets', () => {
  test.each([
    "select time_bucket(90s, time, '2026-01-01T00:30:00Z') as t, count(*), sum(usage) from cpu group by t",
    "select time_bucket(1d, time, 'Europe/Amsterdam') as t, avg(usage) from cpu group by t",
    "select time_bucket(6h, time, 'Europe/Amsterdam') as t, max(usage) from cpu group by t",
    'select time_bucket(1mo, time) as t, last(cores) from cpu group by t',
    "select date_trunc('minute', time) as t, count(*) from cpu group by t",
    'select time_bucket(7s, time) as t, note, up, count(*) from cpu group by t, note, up',
    'select tag.host, avg(usage) from cpu group by time_bucket(30s, time), tag.host',
    'select series, first(usage) from cpu group by series',
    'select series_id, last(usage), last(note) from cpu group by series_id',
    'select cores, up, count(*), max(usage) from cpu group by cores, up',
    'select usage, count(*) from cpu group by usage',
    'select concat(tag.host, note) as k, sum(usage) from cpu group by k',
    'select extract(second from time) as k, count(*) from cpu group by k',
    'select usage > 0 as k, count(*), min(time) from cpu group by k',
    'select tag.host, up from cpu group by tag.host, up',
    'select distinct note, tag.dc from cpu where cores > 1',
    'select avg(v), count(*) from (select usage * 2 as v, time from cpu where cores is not null) as q',
    'select h, max(v) w, min(v) from (select tag.host as h, usage * 2 + cores as v, time from cpu) as q group by h',
    'select tag.host, count(*), sum(usage), last(usage) from /^(cpu|mem)$/ group by tag.host',
    'select time_bucket(20s, time) as t, count(*), first(usage) from /^(cpu|mem)$/ group by t',
    'select count(*), max(free) from mem',
  ])('%s', text => followed(text))
})

describe('conditions', () => {
  test.each([
    "select time_bucket(10s, time) as t, count(*) c, max(usage) from cpu where tag.dc = 'x' group by t having c > 2",
    'select tag.host, sum(usage) / count(usage) as v, max(cores) - min(cores) as w from cpu where usage > 0 group by tag.host having w > 1',
    "select tag.host, case when count(*) > 5 then 'many' else 'few' end as v from cpu where note = 'ok' or up group by tag.host",
    'select count(*) c from cpu having max(usage) > 5',
    "select time_bucket(10s, time) as t, count(*) from cpu where tag.host = 'nowhere' group by t",
    "select time_bucket(10s, time) as t, sum(usage) from cpu where time >= '2026-01-01T00:00:05Z' and time < '2026-01-01T00:00:35Z' group by t",
    "select tag.host, count(*) from cpu where time >= '2026-01-01T00:00:10Z' group by tag.host",
    'select tag.host, sum(case when usage > 0 then cores else 1 end) v, count(distinct note) from cpu group by tag.host',
  ])('%s', text => followed(text))
})

describe('ranges that now() moves', () => {
  test.each([
    'select time_bucket(10s, time) as t, tag.host, count(*), sum(usage) from cpu where time >= now() - 25s group by t, tag.host',
    'select count(*), avg(usage), last(note) from cpu where time >= now() - 20s and time <= now()',
    'select tag.host, count(*) from cpu where time < now() group by tag.host',
    'select time_bucket(5s, time) as t, max(usage) from cpu where time > now() - 12s and time < now() - 2s group by t',
    'select time_bucket(1h, time) as t, count(*), min(usage) from cpu where time >= now() - 10s group by t',
    'select tag.host, max(usage) v from cpu where time >= now() - 300ms group by tag.host having v > 0',
    'select tag.host, count(*) c from cpu where time >= now() - 20s group by tag.host order by c desc, tag.host limit 2',
    'select tag.host, now() - max(time) as age from cpu group by tag.host',
    'select time_bucket(5s, time) as t, sum(usage) from cpu where time >= now() - 20s and time < now() group by t fill(0)',
    'select tag.host, count(*) from /^(cpu|mem)$/ where time >= now() - 10s group by tag.host',
  ])('%s', text => followed(text, { turns: 30 }))

  test('a long wait', () =>
    followed('select tag.host, count(*), min(usage) from cpu where time >= now() - 15s group by tag.host', {
      turns: 15,
      manner: { passed: 40 },
    }))
})

describe('operators that look from group to group', () => {
  test.each([
    'select tag.host, max(usage) v from cpu group by tag.host order by v desc limit 2',
    'select time_bucket(10s, time) as t, tag.host, count(*) c from cpu group by t, tag.host order by t desc, c limit 3 offset 1',
    'select time_bucket(10s, time) as t, tag.host, last(usage) v from cpu group by t, tag.host order by v desc limit 1 per tag.host',
    'select time_bucket(60s, time) as t, tag.host, max(usage) v from cpu group by t, tag.host fill(previous)',
    "select time_bucket(5s, time) as t, sum(usage) v from cpu where time >= '2026-01-01T00:00:10Z' and time < '2026-01-01T00:01:00Z' group by t fill(linear)",
    'select time_bucket(10s, time) as t, tag.dc, lag(count(*)) v, moving_avg(sum(usage), 3) w from cpu group by t, tag.dc',
    'select max(v) from (select time_bucket(10s, time) as t, avg(usage) as v from cpu group by t) as q',
    'select host, count(*) c from (select time_bucket(10s, time) as t, tag.host as host, max(usage) as v from cpu group by t, host) as q group by host',
    'select note, count(*) c from cpu group by note order by c desc, note',
  ])('%s', text => followed(text))
})

describe('circumstances', () => {
  const queries = [
    'select time_bucket(10s, time) as t, tag.host, count(*), sum(usage), last(note) from cpu group by t, tag.host',
    'select tag.dc, avg(usage), count(distinct note), first(cores) from cpu group by tag.dc',
    'select count(*), max(usage) from cpu where time >= now() - 20s',
    'select tag.host, min(usage) v from cpu group by tag.host order by v limit 2',
  ]
  test.each(queries)('retention: %s', text => followed(text, { turns: 25, world: { keptUs: 30_000_000 } }))
  test.each(queries)('the first of duplicates counts: %s', text =>
    followed(text, { turns: 20, world: { duplicates: 'first' }, manner: { late: 0.5 } }),
  )
  test.each(queries)('nothing comes late: %s', text =>
    followed(text, { turns: 20, manner: { late: 0, deletes: 0, forgets: 0 } }),
  )
  test.each(queries)('much is deleted: %s', text => followed(text, { turns: 20, manner: { deletes: 0.6 } }))
  test.each(queries)('much comes late: %s', text => followed(text, { turns: 20, manner: { late: 0.8 } }))
  test.each(queries.slice(0, 2))('values whose sums are rounded: %s', text =>
    followed(text, { turns: 20, manner: { wild: true }, tolerance: 1e-12 }),
  )
})
