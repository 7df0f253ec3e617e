/** Evaluators of numeric functions: loops over columns of numbers, validity apart. */
import type { Batch, Column, ValueType } from '../../columnar/batch.ts'
import { constantEvaluator, type Evaluator, intersectMasks, reusableBytes, reusableNumbers } from './evaluator.ts'
import type { NumericImplementation } from './implementation.ts'
import { denseEnough, loopOf, type NumberFunction, sharedLoop } from './loops.ts'

/** Booleans as 1 and 0, so that number loops take them. */
export function asNumbers(input: Evaluator): Evaluator {
  if (input.type !== 'boolean') return input
  if (input.constant !== undefined) {
    const { value } = input.constant
    return constantEvaluator('float', value === null ? null : Number(value))
  }
  const numbers = reusableNumbers()
  return {
    type: 'float',
    constant: undefined,
    evaluate(batch) {
      const { values, valid } = input.evaluate(batch)
      const out = numbers(batch.length)
      for (let i = 0; i < batch.length; i++) out[i] = values[i]!
      return { type: 'float', values: out, valid }
    },
  }
}

/** `shared`: the function is a closure of this query, not worth a loop of its own. */
export function numericEvaluator(
  { apply, defined }: NumericImplementation,
  type: ValueType,
  args: readonly Evaluator[],
  shared = false,
): Evaluator {
  const loop = shared ? sharedLoop(apply) : loopOf(apply, args.length)
  const outside = defined === undefined ? undefined : outsideDomain(defined, args, shared)
  const numbers = reusableNumbers()
  const bytes = reusableBytes()
  const masks = [reusableBytes(), reusableBytes(), reusableBytes()] as const
  const inDomain = reusableBytes()
  const none = new Float64Array(0)
  return {
    type,
    constant: undefined,
    evaluate(batch) {
      const columns = args.map(arg => arg.evaluate(batch))
      const a = numbersOf(columns[0]) ?? none
      const b = numbersOf(columns[1]) ?? a
      const c = numbersOf(columns[2]) ?? a
      const out = type === 'boolean' ? bytes(batch.length) : numbers(batch.length)
      const { selection, count } = rowsToCompute(batch)
      loop(a, b, c, out, selection, count)
      let valid: Uint8Array | undefined
      for (let i = 0; i < columns.length; i++) valid = intersectMasks(valid, columns[i]!.valid, batch.length, masks[i]!)
      if (outside !== undefined) {
        const domain = inDomain(batch.length)
        outside(a, b, c, domain, selection, count)
        if (someZero(domain, selection, count)) valid = intersectMasks(valid, domain, batch.length, masks[2])
      }
      if (type === 'boolean') return { type, values: out as Uint8Array, valid }
      return { type: type as 'float', values: out as Float64Array, valid }
    },
  }
}

const numbersOf = (column: Column | undefined): Float64Array | undefined =>
  column === undefined ? undefined : (column.values as Float64Array)

/** The loop that marks rows inside the domain; none when a constant divisor (or base) settles it for every row. */
function outsideDomain(
  defined: NonNullable<NumericImplementation['defined']>,
  args: readonly Evaluator[],
  shared: boolean,
) {
  const divisor = args[1]?.constant?.value
  if (args.length === 2 && typeof divisor === 'number' && defined.length <= 2 && alwaysDefined(defined, divisor))
    return undefined
  return shared ? sharedLoop(defined as NumberFunction) : loopOf(defined as NumberFunction, args.length)
}

/** A domain that depends on its second argument alone accepts this one for whatever first argument. */
function alwaysDefined(defined: NonNullable<NumericImplementation['defined']>, second: number): boolean {
  return [0, -0, 1, -1, 0.5, -0.5, NaN, Infinity, -Infinity].every(first => defined(first, second, 0))
}

/** Every row, unless few of them count. */
export function rowsToCompute(batch: Batch): { selection: Uint32Array | undefined; count: number } {
  const { selection, length } = batch
  if (selection === undefined || denseEnough(selection.length, length)) return { selection: undefined, count: length }
  return { selection, count: selection.length }
}

function someZero(mask: Uint8Array, selection: Uint32Array | undefined, count: number): boolean {
  if (selection === undefined) {
    const at = mask.indexOf(0)
    return at >= 0 && at < count
  }
  for (let k = 0; k < count; k++) if (mask[selection[k]!] === 0) return true
  return false
}
