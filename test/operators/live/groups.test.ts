/** Groups over random commits: at every step what is kept is what the batch planner gives. Seeds are in the messages. */
import { describe, expect, test } from 'vitest'
import { follow } from './groups-world.ts'

const seeds = (count: number): number[] => Array.from({ length: count }, (_, i) => 1000 + i)
const each = async (text: string, count: number, run: Parameters<typeof follow>[2]) => {
  for (const seed of seeds(count)) await follow(text, seed, run)
}

const calls = [
  'count(*)',
  'count(note)',
  'count(distinct cores)',
  'sum(usage)',
  'avg(usage)',
  'min(usage)',
  'max(note)',
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
  'max_by(usage, cores)',
  'max(time)',
]

describe('every function', () => {
  test.each(calls)('%s', async call => {
    await each(`select time_bucket(10s, time) as t, tag.host, ${call} v from cpu group by t, tag.host`, 4, {
      turns: 20,
    })
    await each(`select ${call} v from cpu where usage > -5 or up`, 3, { turns: 20 })
    await each(`select tag.dc, ${call} v from cpu where time >= now() - 15s group by tag.dc`, 4, { turns: 25 })
  })
})
