/**
 * Evaluators of functions that see one row at a time as scalars.
 *
 * Where a single text argument varies, the result is kept per dictionary code: a function runs once per distinct text,
 * not once per row.
 */
import type { Batch, Column, Dictionary, StringColumn, ValueType } from '../../columnar/batch.ts'
import { InterningDictionary } from '../../columnar/batch.ts'
import { columnOf } from '../../columnar/builder.ts'
import { type Scalar, valueAt } from '../../columnar/value.ts'
import type { Call } from '../../sydraql/expression.ts'
import { columnType, type Evaluator, forRows, reusableBytes, reusableCodes, reusableNumbers } from './evaluator.ts'
import type { ScalarImplementation } from './implementation.ts'

export function scalarEvaluator(
  implementation: ScalarImplementation,
  call: Call,
  args: readonly Evaluator[],
): Evaluator {
  const apply = implementation.bind(
    args.map(arg => arg.constant?.value),
    call,
  )
  const type = columnType(call.type)
  const varying = args.flatMap((arg, i) => (arg.constant === undefined ? [i] : []))
  const known = args.map(arg => arg.constant?.value ?? null)
  const strict = implementation.strict
  const nullConstant = strict && args.some(arg => arg.constant !== undefined && arg.constant.value === null)
  const compute = (row: Scalar[]): Scalar => (nullConstant || (strict && row.includes(null)) ? null : apply(row))

  if (varying.length === 1 && args[varying[0]!]!.type === 'string')
    return perDistinctText(type, args[varying[0]!]!, text => {
      const row = [...known]
      row[varying[0]!] = text
      return compute(row)
    })
  return perRow(type, args, varying, known, compute)
}

/** Where results go: an output column of any type that is written value by value. */
function resultWriter(type: ValueType) {
  const dictionary = new InterningDictionary()
  const numbers = reusableNumbers()
  const bytes = reusableBytes()
  const codes = reusableCodes()
  return {
    dictionary,
    arrays: (length: number) =>
      type === 'string' ? codes(length) : type === 'boolean' ? bytes(length) : numbers(length),
    encode: (value: Exclude<Scalar, null>): number =>
      typeof value === 'string' ? dictionary.code(value) : Number(value),
  }
}

const unknown = 0
const isNull = 1
const isValue = 2

interface TextMemo {
  readonly dictionary: Dictionary
  state: Uint8Array
  results: Float64Array
}

function perDistinctText(type: ValueType, input: Evaluator, compute: (text: string | null) => Scalar): Evaluator {
  const { dictionary, arrays, encode } = resultWriter(type)
  const memos = new WeakMap<Dictionary, TextMemo>()
  const masks = reusableBytes()
  const onNull = compute(null)
  let memo: TextMemo | undefined

  function memoOf(source: Dictionary): TextMemo {
    if (memo?.dictionary !== source) memo = memos.get(source)
    if (memo === undefined) {
      memo = { dictionary: source, state: new Uint8Array(0), results: new Float64Array(0) }
      memos.set(source, memo)
    }
    if (memo.state.length < source.size) {
      const size = Math.max(source.size, 2 * memo.state.length)
      const { state, results } = memo
      memo.state = new Uint8Array(size)
      memo.state.set(state)
      memo.results = new Float64Array(size)
      memo.results.set(results)
    }
    return memo
  }

  return {
    type,
    constant: undefined,
    evaluate(batch) {
      const column = input.evaluate(batch) as StringColumn
      const { values, valid } = column
      const { state, results } = memoOf(column.dictionary)
      const out = arrays(batch.length)
      const mask = masks(batch.length)
      let nulls = 0
      forRows(batch, row => {
        if (valid !== undefined && valid[row] === 0) {
          if (onNull === null) mask[row] = 0
          else {
            mask[row] = 1
            out[row] = encode(onNull)
          }
          nulls++
          return
        }
        const code = values[row]!
        if (state[code] === unknown) {
          const value = compute(column.dictionary.at(code))
          state[code] = value === null ? isNull : isValue
          if (value !== null) results[code] = encode(value)
        }
        if (state[code] === isNull) {
          mask[row] = 0
          nulls++
        } else {
          mask[row] = 1
          out[row] = results[code]!
        }
      })
      return columnOf(type, out, nulls === 0 ? undefined : mask, dictionary)
    },
  }
}

function perRow(
  type: ValueType,
  args: readonly Evaluator[],
  varying: readonly number[],
  known: readonly Scalar[],
  compute: (row: Scalar[]) => Scalar,
): Evaluator {
  const { dictionary, arrays, encode } = resultWriter(type)
  const masks = reusableBytes()
  return {
    type,
    constant: undefined,
    evaluate(batch: Batch): Column {
      const columns = varying.map(i => args[i]!.evaluate(batch))
      const out = arrays(batch.length)
      const mask = masks(batch.length)
      const values = [...known]
      let nulls = 0
      forRows(batch, row => {
        for (let v = 0; v < varying.length; v++) values[varying[v]!] = valueAt(columns[v]!, row)
        const value = compute(values)
        if (value === null) {
          mask[row] = 0
          nulls++
        } else {
          mask[row] = 1
          out[row] = encode(value)
        }
      })
      return columnOf(type, out, nulls === 0 ? undefined : mask, dictionary)
    },
  }
}
