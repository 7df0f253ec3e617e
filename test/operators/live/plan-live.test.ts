/** Which strategy keeps which shape, what tells its rows apart, and how `explain` says it. */
import { describe, expect, test } from 'vitest'
import { describeLive, liveLine } from '../../../src/operators/live/explain.ts'
import { planLive } from '../../../src/operators/live/plan-live.ts'
import { fakeCatalog } from '../fake-database.ts'
import { hosts, World } from './world.ts'

const world = new World({
  catalog: fakeCatalog({ cpu: { usage: 'float', note: 'string' }, mem: { usage: 'float' } }, hosts),
  series: hosts,
})
const planned = (text: string) => planLive(world.source(text), world.context(), 0)
const explained = (text: string) => liveLine(describeLive(() => planned(text), 1000))

describe('strategies', () => {
  test.each([
    ["select * from cpu where tag.host = 'a'", 'tail'],
    ['select time, usage * 2 x from cpu where time >= now() - 5m order by time desc', 'tail'],
    ['select usage from cpu order by usage', 'tail'],
    ['select usage from /^(cpu|mem)$/', 'tail'],
    ['select x.usage from (select time, usage from cpu where usage > 1) as x where x.usage < 9', 'tail'],
    ['select usage from cpu limit 5', 'top'],
    ['select usage from cpu order by time desc limit 1 per series', 'top'],
    ['select time, difference(usage) d from cpu', 'series'],
    ['select x.d from (select time, series, lag(usage) d from cpu) as x where x.d > 1 order by x.d', 'series'],
    ['select time_bucket(1m, time) t, tag.host, avg(usage) from cpu group by t, tag.host', 'groups'],
    ['select distinct tag.host from cpu', 'groups'],
    ['select count(*) from cpu having count(*) > 3', 'groups'],
  ])('%s', (text, strategy) => {
    expect(planned(text)).toMatchObject({ strategy, obstacle: undefined })
  })

  test.each([
    ['select a.usage from cpu a join mem b on time', 'it has a join'],
    ['select histogram(usage, 0, 10, 5) from cpu', 'it has a histogram'],
    ['select time, now() - time age from cpu', 'now() stands outside of bounds of time'],
    ['select difference(usage) from cpu where time > now() - 1h', 'it has row functions over a range that now() moves'],
    ['select 1', 'it reads no metric'],
    [
      'select lag(x.d) from (select time, series, lag(usage) d from cpu) as x',
      'several operators stand on one another',
    ],
  ])('%s runs again: %s', (text, obstacle) => {
    expect(planned(text)).toMatchObject({ strategy: 'rerun', obstacle })
  })

  test('of a snapshot there is nothing to follow', () => {
    expect(() => planned("select usage from cpu as of 'monday'")).toThrow(
      expect.objectContaining({ code: 'unsupported_feature' }),
    )
    expect(explained("select usage from cpu as of 'monday'")).toMatch(/^live: no: a snapshot does not change/)
  })

  test('explain says it in a line', () => {
    expect(explained('select usage from cpu')).toBe('live: tail: rows that come are filtered, and nothing is kept')
    expect(explained('select a.usage from cpu a join mem b on time')).toBe(
      'live: rerun at most every 1s: it has a join',
    )
  })
})

describe('what tells rows apart', () => {
  test.each([
    ['select usage from cpu', ['usage'], ['series_id', 'time']],
    ['select time, series_id, usage from cpu', ['time', 'series_id', 'usage'], []],
    ['select usage time from cpu order by 1', ['time'], ['series_id', 'time_2']],
    ['select x.u from (select time, usage u from cpu) as x', ['u'], ['series_id', 'time']],
    ['select usage from /^(cpu|mem)$/ limit 3', ['usage'], ['series_id', 'time']],
    ['select avg(usage) from cpu group by tag.host', ['avg'], ['tag.host']],
    ['select tag.host h, avg(usage) from cpu group by tag.host', ['h', 'avg'], []],
    ['select count(*) from cpu', ['count'], []],
    [
      'select max(usage) from cpu where time >= 0 and time < 60000000 group by time_bucket(1m, time), tag.dc fill(null)',
      ['max'],
      ['time_bucket(1m, time)', 'tag.dc'],
    ],
    ['select a.usage from cpu a join mem b on time', ['a.usage'], []],
  ])('%s', (text, selected, hidden) => {
    const { schema, selected: count } = planned(text).columns
    const names = schema.map(column => column.name)
    expect([names.slice(0, count), names.slice(count)]).toEqual([selected, hidden])
  })

  const keysOf = (text: string): string[] => {
    const { schema, keys } = planned(text).columns
    return keys.map(key => schema[key]!.name)
  }
  test('keys are named, or all columns', () => {
    expect(keysOf('select usage, time t from cpu')).toEqual(['series_id', 't'])
    expect(keysOf('select count(*) from cpu')).toEqual([])
    expect(keysOf('select distinct usage, note from cpu')).toEqual(['usage', 'note'])
    expect(keysOf('select a.usage, b.usage u from cpu a join mem b on time')).toEqual(['a.usage', 'u'])
    expect(keysOf('select histogram(usage, 0, 10, 5) from cpu')).toEqual(['bucket'])
  })
})
