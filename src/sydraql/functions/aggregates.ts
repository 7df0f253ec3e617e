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

export const aggregates: readonly FunctionInfo[] = [
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
    parameters: [parameter('v', 'number'), parameter('p', 'number', { constant: true })],
    example: 'select percentile(usage, 0.99) p99 from cpu',
  },
]
