/**
 * Row functions: one value a row, from the rows of the same series around it in time; over a grouped query from its
 * buckets. `difference(avg(v))` needs no sub-select.
 */
import { type FunctionInfo, type ParameterInfo, parameter, type ReturnRule } from './types.ts'

const define = (
  name: string,
  parameters: readonly ParameterInfo[],
  returns: ReturnRule,
  description: string,
  example: string,
  window: 'forward' | 'lookahead' = 'forward',
): FunctionInfo => ({
  name,
  kind: 'window',
  group: 'row function',
  parameters,
  returns,
  description,
  example,
  hints: { needsOrder: true, window },
  syntax: undefined,
})

const any = parameter('v', 'any')
const number = parameter('v', 'number')
const rows = parameter('n', 'integer', { optional: true, constant: true })

export const windows: readonly FunctionInfo[] = [
  define(
    'lag',
    [any, rows],
    'first',
    'v of the row n before (default 1); null before the first',
    'select time, usage, lag(usage) before from cpu',
  ),
  define(
    'lead',
    [any, rows],
    'first',
    'v of the row n after (default 1); null after the last',
    'select time, lead(time) - time gap from cpu',
    'lookahead',
  ),
  define(
    'difference',
    [parameter('v', 'measure')],
    'difference',
    'v minus the latest earlier v that is not null',
    'select time_bucket(1h, time) t, difference(avg(usage)) from cpu group by t',
  ),
  define(
    'moving_avg',
    [number, parameter('frame', 'frame', { constant: true })],
    'float',
    'Mean of v in the time (t - frame, t], or of the last so many rows, this one among them',
    'select time, moving_avg(usage, 5m) smooth from cpu',
  ),
  define(
    'ema',
    [number, parameter('period', 'duration', { constant: true }), parameter('alpha', 'number', { constant: true })],
    'float',
    'Exponential moving average: after one period a value weighs alpha, 0 < alpha <= 1, whatever the sampling',
    'select time, ema(usage, 1m, 0.2) smooth from cpu',
  ),
  define(
    'cumulative_sum',
    [number],
    'float',
    'Sum of v so far; null before the first value',
    'select time, cumulative_sum(usage) from cpu',
  ),
  define(
    'row_number',
    [],
    'integer',
    'Number of the row in its series, from 1',
    'select time, row_number() n from cpu',
  ),
  define(
    'fill_forward',
    [any],
    'first',
    'v, or the latest earlier v that is not null',
    'select time, fill_forward(note) note from cpu',
  ),
]
