/** Aggregates: fold the rows of a group into one value. All skip nulls. */
import { type FunctionHints, type FunctionInfo, type ParameterType, parameter, type ReturnRule } from './types.ts'

const aggregate = (
  name: string,
  type: ParameterType,
  returns: ReturnRule,
  description: string,
  hints: FunctionHints,
): FunctionInfo => ({
  name,
  kind: 'aggregate',
  group: 'aggregate',
  parameters: [parameter('v', type)],
  returns,
  description,
  example: `select tag.host, ${name}(usage) from cpu group by tag.host`,
  hints,
  syntax: undefined,
})

const p = parameter('p', 'number', { constant: true })

/** By series first, from sample to sample; then over the series of the group. */
const seriesAggregate = (name: string, description: string): FunctionInfo => ({
  ...aggregate(name, 'number', 'float', description, { mergeable: true, needsOrder: true, needsSeriesOrder: true }),
  group: 'series aggregate',
  example: `select time_bucket(5m, time) t, tag.host, ${name}(value) from cpu group by t, tag.host`,
})

const plain: readonly FunctionInfo[] = [
  {
    ...aggregate('count', 'any', 'integer', 'Number of non-null values; `count(*)` counts rows', {
      mergeable: true,
      statistics: true,
      distinct: true,
      star: true,
    }),
    example: 'select count(*), count(usage) from cpu',
  },
  aggregate('sum', 'number', 'float', 'Sum; null when there is no value', { mergeable: true, statistics: true }),
  aggregate('avg', 'number', 'float', 'Arithmetic mean', { mergeable: true, statistics: true }),
  aggregate('min', 'common', 'first', 'Smallest value; NaN counts as the largest', {
    mergeable: true,
    statistics: true,
  }),
  aggregate('max', 'common', 'first', 'Largest value; NaN counts as the largest', {
    mergeable: true,
    statistics: true,
  }),
  aggregate('first', 'any', 'first', 'Earliest non-null value; ties by printed series', {
    mergeable: true,
    needsOrder: true,
    statistics: true,
  }),
  aggregate('last', 'any', 'first', 'Latest non-null value; ties by printed series', {
    mergeable: true,
    needsOrder: true,
    statistics: true,
  }),
  aggregate('spread', 'number', 'float', 'Difference between the largest and the smallest value', {
    mergeable: true,
    statistics: true,
  }),
  aggregate('stddev', 'number', 'float', 'Standard deviation of a sample; null below two values', { mergeable: true }),
  aggregate('variance', 'number', 'float', 'Variance of a sample; null below two values', { mergeable: true }),
  aggregate('median', 'number', 'float', 'The middle value, exact: `percentile(v, 0.5)`', {}),
  {
    ...aggregate('percentile', 'number', 'float', 'Exact percentile, 0 <= p <= 1, linear between ranks', {}),
    parameters: [parameter('v', 'number'), p],
    example: 'select percentile(usage, 0.99) p99 from cpu',
  },
  {
    ...aggregate(
      'approx_percentile',
      'number',
      'float',
      'Percentile, 0 <= p <= 1, within 1 % of the exact value at the nearest rank, in little memory (DDSketch)',
      { mergeable: true },
    ),
    parameters: [parameter('v', 'number'), p],
    example: 'select tag.host, approx_percentile(usage, 0.99) p99 from cpu group by tag.host',
  },
  {
    ...aggregate(
      'approx_count_distinct',
      'any',
      'integer',
      'Number of distinct values with a standard error of 0.81 %, in little memory (HyperLogLog)',
      { mergeable: true },
    ),
    example: 'select approx_count_distinct(tag.host) from cpu',
  },
  aggregate('mode', 'any', 'first', 'Most frequent value; of equally frequent ones the smallest', { mergeable: true }),
  {
    ...aggregate('min_by', 'any', 'first', 'v where k is smallest; ties by time, then printed series', {
      mergeable: true,
      needsOrder: true,
    }),
    parameters: [parameter('v', 'any'), parameter('k', 'any')],
    example: 'select min_by(tag.host, usage) least_busy from cpu',
  },
  {
    ...aggregate('max_by', 'any', 'first', 'v where k is greatest; ties by time, then printed series', {
      mergeable: true,
      needsOrder: true,
    }),
    parameters: [parameter('v', 'any'), parameter('k', 'any')],
    example: 'select tag.dc, max_by(tag.host, usage) busiest, max(usage) from cpu group by tag.dc',
  },
  {
    ...aggregate(
      'histogram',
      'number',
      'integer',
      'Counts of v in n equal intervals of [low, high), a row for each; stands alone in a select list',
      { mergeable: true },
    ),
    kind: 'planner',
    gives: 'rows of bucket (its lower edge) and count',
    parameters: [
      parameter('v', 'number'),
      parameter('low', 'number', { constant: true }),
      parameter('high', 'number', { constant: true }),
      parameter('n', 'integer', { constant: true }),
    ],
    example: 'select histogram(usage, 0, 100, 10) from cpu',
  },
]

const ofSeries: readonly FunctionInfo[] = [
  seriesAggregate('rate', 'Increase of a counter per second; a fall is a reset to 0'),
  seriesAggregate('irate', 'Increase per second between the last two samples; a fall is a reset to 0'),
  seriesAggregate('increase', 'Increase of a counter; a fall is a reset to 0'),
  seriesAggregate('delta', 'Change of a value from sample to sample, up and down'),
  seriesAggregate('derivative', 'Change per second, up and down'),
  seriesAggregate('integral', 'Area under the line through the samples, in value × seconds'),
  seriesAggregate(
    'time_weighted_avg',
    'Mean of the line through the samples over time; over several series their mean',
  ),
]

export const aggregates: readonly FunctionInfo[] = [...plain, ...ofSeries]
