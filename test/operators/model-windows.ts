/** Row functions of the model: each value from all rows of its partition, from scratch. */
import type { Scalar } from '../../src/columnar/value.ts'
import type { Sequence, WindowCall, WindowNode } from '../../src/sydraql/plan.ts'
import { interpret, type Row } from './interpreter.ts'

/** Equal for equal values: NaN equals itself, -0 is 0. */
export const nameOf = (value: Scalar): string =>
  typeof value === 'string' ? `"${value}"` : String(value === 0 ? 0 : value)

export const partitionOf = (row: Row, { partition }: Sequence): string =>
  partition.map(name => nameOf(row[name] ?? null)).join('|')

export function windows({ calls, sequence }: WindowNode, rows: readonly Row[]): Row[] {
  const partitions = Map.groupBy(rows, row => partitionOf(row, sequence))
  return rows.map(row => {
    const partition = partitions.get(partitionOf(row, sequence))!
    const at = partition.indexOf(row)
    return { ...row, ...Object.fromEntries(calls.map(call => [call.name, valueAt(call, partition, at, sequence)])) }
  })
}

function valueAt(call: WindowCall, rows: readonly Row[], at: number, { time }: Sequence): Scalar {
  const [value, ...rest] = call.args
  const of = (row: Row): Scalar => interpret(value!, row)
  const constants = rest.map(each => interpret(each, {}))
  const here = value === undefined ? null : of(rows[at]!)
  const timeOf = (row: Row) => row[time!] as number | null
  const known = (list: readonly Row[]) => list.map(of).filter(each => each !== null)
  switch (call.function) {
    case 'lag':
    case 'lead': {
      const offset = (constants[0] ?? 1) as number
      const row = rows[call.function === 'lag' ? at - offset : at + offset]
      return row === undefined ? null : of(row)
    }
    case 'difference': {
      const before = known(rows.slice(0, at)).at(-1)
      if (here === null || before === undefined) return null
      const change = (here as number) - (before as number)
      return value!.type === 'float' || Number.isSafeInteger(change) ? change : null
    }
    case 'cumulative_sum': {
      const values = known(rows.slice(0, at + 1)) as number[]
      return values.length === 0 ? null : values.reduce((sum, each) => sum + each, 0)
    }
    case 'row_number':
      return at + 1
    case 'fill_forward':
      return known(rows.slice(0, at + 1)).at(-1) ?? null
    case 'moving_avg': {
      const frame = constants[0] as number
      const end = timeOf(rows[at]!)
      if (rest[0]!.type === 'duration' && end === null) return null
      const inFrame =
        rest[0]!.type === 'duration'
          ? rows.filter(row => timeOf(row) !== null && timeOf(row)! > end! - frame && timeOf(row)! <= end!)
          : rows.slice(Math.max(0, at - frame + 1), at + 1)
      const values = known(inFrame) as number[]
      return values.length === 0 ? null : values.reduce((sum, each) => sum + each, 0) / values.length
    }
    case 'ema': {
      const [period, alpha] = constants as number[]
      const samples = rows.slice(0, at + 1).filter(row => of(row) !== null && timeOf(row) !== null)
      let average: number | null = null
      samples.forEach((row, i) => {
        const v = of(row) as number
        if (average === null) average = v
        else average += (1 - (1 - alpha!) ** ((timeOf(row)! - timeOf(samples[i - 1]!)!) / period!)) * (v - average)
      })
      return average
    }
    default:
      throw new Error(`the model lacks ${call.function}`)
  }
}
