/** The row functions by their names in the registry: calls to states, with the constants checked. */
import { columnIndex, type Schema, type ValueType } from '../../columnar/batch.ts'
import { assert } from '../../lib/assert.ts'
import { SydraError } from '../../lib/errors.ts'
import type { Expr } from '../../sydraql/expression.ts'
import type { Sequence, WindowCall } from '../../sydraql/plan.ts'
import { compile, constantValue } from '../compile.ts'
import { constantEvaluator, type Evaluator } from '../functions/evaluator.ts'
import { MovingAverage } from './moving-average.ts'
import { Lag, Lead, SameRow } from './offsets.ts'
import { CumulativeSum, Difference, ExponentialAverage, FillForward, RowNumber } from './running.ts'
import type { WindowState } from './state.ts'

/** Rows that `lag` and `lead` may look away. */
export const offsetMax = 1_000_000

export interface WindowFunction {
  readonly state: WindowState
  /** Rows after a row that it needs to see. */
  readonly lookahead: number
  /** Whether it needs to see all rows of the row's time. */
  readonly needsPeers: boolean
}

const forward = (state: WindowState): WindowFunction => ({ state, lookahead: 0, needsPeers: false })

/** Throws `wrong_argument` for constants that cannot be used. `type` is that of the result. */
export function windowFunction(call: WindowCall, type: ValueType, schema: Schema, sequence: Sequence): WindowFunction {
  const [argument, ...constants] = call.args
  const value = argument === undefined ? constantEvaluator('null', null) : argumentOf(argument, type, schema)
  switch (call.function) {
    case 'lag': {
      const offset = offsetOf(call, constants[0])
      return forward(offset === 0 ? new SameRow(value) : new Lag(value, type, offset))
    }
    case 'lead': {
      const offset = offsetOf(call, constants[0])
      const state = offset === 0 ? new SameRow(value) : new Lead(value, type, offset)
      return { state, lookahead: offset, needsPeers: false }
    }
    case 'difference':
      return forward(new Difference(value, type))
    case 'cumulative_sum':
      return forward(new CumulativeSum(value))
    case 'fill_forward':
      return forward(new FillForward(value, type))
    case 'row_number':
      return forward(new RowNumber())
    case 'moving_avg': {
      const [frame] = constants
      const width = constantValue(frame!)
      if (frame!.type !== 'duration') {
        if (!Number.isSafeInteger(width) || (width as number) < 1)
          throw refused(call, 'a frame of rows is a whole number from 1')
        return forward(new MovingAverage(value, -1, width as number))
      }
      if (typeof width !== 'number' || !(width > 0)) throw refused(call, 'a frame of time is longer than 0')
      return { state: new MovingAverage(value, timeOf(call, schema, sequence), width), lookahead: 0, needsPeers: true }
    }
    case 'ema': {
      const [periodUs, alpha] = constants.map(constantValue)
      if (typeof periodUs !== 'number' || !(periodUs > 0)) throw refused(call, 'the period is longer than 0')
      if (typeof alpha !== 'number' || !(alpha > 0 && alpha <= 1))
        throw refused(call, 'alpha is above 0 and not above 1')
      return forward(new ExponentialAverage(value, timeOf(call, schema, sequence), periodUs, alpha))
    }
    default:
      assert(false, `row function ${call.function} has no implementation`)
  }
}

/** Every row function that `windowFunction` knows, by its name in the registry. */
export const implementedWindows: readonly string[] =
  'lag lead difference cumulative_sum fill_forward row_number moving_avg ema'.split(' ')

/** The bare null takes the type that analysis gave the result. */
function argumentOf(argument: Expr, type: ValueType, schema: Schema): Evaluator {
  const value = compile(argument, schema)
  return value.type === 'null' ? constantEvaluator(type, null) : value
}

function offsetOf(call: WindowCall, constant: Expr | undefined): number {
  if (constant === undefined) return 1
  const offset = constantValue(constant)
  if (!Number.isSafeInteger(offset) || (offset as number) < 0 || (offset as number) > offsetMax)
    throw refused(call, `the number of rows is a whole number from 0 to ${offsetMax}`)
  return offset as number
}

function timeOf(call: WindowCall, schema: Schema, { time }: Sequence): number {
  assert(time !== undefined, `${call.function} needs rows that have a time`)
  const index = columnIndex(schema, time)
  assert(index >= 0, `no column ${time} for ${call.function} to go by`)
  return index
}

const refused = (call: WindowCall, message: string): SydraError =>
  new SydraError('wrong_argument', `${call.function}: ${message}`)
