/**
 * Values of a field's column, as they are given, to values as the engine holds them.
 *
 *   given      bare arrays, typed or not, { type, values, valid, dictionary }
 *   checked    type, values (numbers, 0 and 1, codes), valid, texts
 *
 * Invariants:
 * 1. What can be wrong with a value is found here, but for what the arrays' owner writes into them meanwhile.
 * 2. What stands under a null is not looked at.
 */
import type { Dictionary } from '../../columnar/batch.ts'
import type { SydraError } from '../../lib/errors.ts'
import type { FieldType } from '../types.ts'
import { fieldPlace, kindName, placed, wrong } from './column-error.ts'
import type { FieldColumn, IndexArray, NumberArray } from './column-types.ts'
import { plainValue, specialNumbers } from './row-rules.ts'

/** A column that holds what its type says. */
export interface CheckedColumn {
  readonly name: string
  readonly type: FieldType
  /** float, integer: numbers; boolean: 0 is false; string: codes into `texts`. */
  readonly values: Exclude<NumberArray, BigInt64Array>
  /** 0 where there is no value; undefined where there is one in each row. */
  readonly valid: Uint8Array | undefined
  /** By code, those that rows have; the others are empty. */
  readonly texts: readonly string[] | undefined
}

const integerMax = 2 ** 53

/** `rows` long. `known`: the type of the metric's field of this name. Throws what is wrong. */
export function checkColumn(
  name: string,
  column: FieldColumn,
  rows: number,
  known: FieldType | undefined,
): CheckedColumn {
  const place = fieldPlace(name)
  if (Array.isArray(column)) {
    checkLength(place, column.length, rows)
    return fromArray(name, place, column, known)
  }
  const { type, values, valid, dictionary } = typed(place, column as Exclude<FieldColumn, readonly unknown[]>)
  checkLength(`${place}.values`, values.length, rows)
  if (valid !== undefined) {
    if (!(valid instanceof Uint8Array))
      throw wrong('bad_request', `${place}.valid`, `is ${kindName(valid)}, not a Uint8Array`)
    checkLength(`${place}.valid`, valid.length, rows)
  }
  const common = { name, type, valid, texts: undefined }
  if (type === 'string') {
    if (!isIndexes(values))
      throw wrong('bad_request', `${place}.values`, `is ${kindName(values)}: codes are in an array of small integers`)
    return { ...common, values, texts: textsOf(name, place, values, valid, dictionary) }
  }
  if (type === 'boolean') {
    if (!(values instanceof Uint8Array))
      throw wrong('bad_request', `${place}.values`, `is ${kindName(values)}: booleans are in a Uint8Array`)
    return { ...common, values }
  }
  if (values instanceof BigInt64Array) return { ...common, values: fromBigInts(place, values, valid) }
  if (type === 'integer' && (values instanceof Float64Array || values instanceof Float32Array))
    checkIntegers(place, values, valid)
  return { ...common, values }
}

export function checkLength(place: string, length: number, rows: number): void {
  if (length !== rows)
    throw wrong('bad_request', place, `has ${length} elements, "ts" has ${rows}`, 'columns have one element a row')
}

interface Typed {
  readonly type: FieldType
  readonly values: NumberArray
  readonly valid: Uint8Array | undefined
  readonly dictionary: readonly string[] | Dictionary | undefined
}

/** Type and values of what is no array of JavaScript values. */
function typed(place: string, column: Exclude<FieldColumn, readonly unknown[]>): Typed {
  if (column instanceof Float64Array || column instanceof Float32Array)
    return { type: 'float', values: column, valid: undefined, dictionary: undefined }
  if (column instanceof BigInt64Array || (isIndexes(column) && !(column instanceof Uint8Array)))
    return { type: 'integer', values: column, valid: undefined, dictionary: undefined }
  if (typeof column !== 'object' || column === null || ArrayBuffer.isView(column))
    throw wrong(
      'bad_request',
      place,
      `${kindName(column)} is no column`,
      (column as unknown) instanceof Uint8Array
        ? 'say what it is: { type: "boolean" | "integer", values }'
        : 'give a Float64Array, a BigInt64Array, an array, or { type, values }',
    )
  const { type, values, valid, dictionary } = column as Typed
  if (type !== 'float' && type !== 'integer' && type !== 'boolean' && type !== 'string')
    throw wrong(
      'bad_request',
      `${place}.type`,
      `${JSON.stringify(type)} is no type`,
      'a field is float, integer, boolean or string',
    )
  if (!isNumbers(values))
    throw wrong('bad_request', `${place}.values`, `${kindName(values)} is no typed array of numbers`)
  return { type, values, valid, dictionary }
}

export const isIndexes = (values: unknown): values is IndexArray =>
  values instanceof Uint32Array ||
  values instanceof Int32Array ||
  values instanceof Uint8Array ||
  values instanceof Uint16Array ||
  values instanceof Int16Array ||
  values instanceof Int8Array

const isNumbers = (values: unknown): values is NumberArray =>
  values instanceof Float64Array ||
  values instanceof Float32Array ||
  values instanceof BigInt64Array ||
  isIndexes(values)

// ---- integers -----------------------------------------------------------------------------------------------------

const isExact = (value: bigint): boolean => value <= 2n ** 53n && value >= -(2n ** 53n)

const outOfRange = (place: string, value: number | bigint): SydraError =>
  wrong('integer_out_of_range', place, `${value} is beyond ±2^53`)

function checkIntegers(place: string, values: Float64Array | Float32Array, valid: Uint8Array | undefined): void {
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if ((Math.trunc(value) === value && Math.abs(value) <= integerMax) || valid?.[i] === 0) continue
    if (Math.abs(value) > integerMax) throw outOfRange(`${place}[${i}]`, value)
    throw wrong('invalid_row', `${place}[${i}]`, `${value} is not an integer`)
  }
}

function fromBigInts(place: string, values: BigInt64Array, valid: Uint8Array | undefined): Float64Array {
  const numbers = new Float64Array(values.length)
  const words = new Int32Array(values.buffer, values.byteOffset, 2 * values.length)
  for (let i = 0; i < numbers.length; i++) {
    const value = words[2 * i + 1]! * 2 ** 32 + (words[2 * i]! >>> 0)
    numbers[i] = value
    // what rounds to 2^53 may be more
    if (Math.abs(value) >= integerMax && valid?.[i] !== 0 && !isExact(values[i]!))
      throw outOfRange(`${place}[${i}]`, values[i]!)
  }
  return numbers
}

// ---- texts --------------------------------------------------------------------------------------------------------

/** The texts that rows have, checked. */
function textsOf(
  name: string,
  place: string,
  codes: IndexArray,
  valid: Uint8Array | undefined,
  dictionary: readonly string[] | Dictionary | undefined,
): string[] {
  if (typeof dictionary !== 'object' || dictionary === null)
    throw wrong('bad_request', `${place}.dictionary`, 'is missing: texts by code')
  const size = 'at' in dictionary && 'size' in dictionary ? dictionary.size : dictionary.length
  const texts: string[] = []
  const isUsed = new Uint8Array(size)
  for (let i = 0; i < codes.length; i++) {
    if (valid?.[i] === 0) continue
    const code = codes[i]!
    if (!(code >= 0 && code < size))
      throw wrong('invalid_row', `${place}[${i}]`, `code ${code}, but the dictionary has ${size} texts`)
    isUsed[code] = 1
  }
  for (let code = 0; code < size; code++) {
    if (isUsed[code] === 0) {
      texts.push('')
      continue
    }
    const text = dictionary.at(code)
    if (typeof text !== 'string')
      throw wrong('invalid_row', `${place}.dictionary[${code}]`, `${kindName(text)} is no text`)
    texts.push(checked(`${place}.dictionary[${code}]`, name, text) as string)
  }
  return texts
}

function checked(place: string, name: string, value: unknown): number | boolean | string {
  try {
    return plainValue(name, value)
  } catch (error) {
    throw placed(place, error)
  }
}

// ---- arrays of JavaScript values ----------------------------------------------------------------------------------

function fromArray(
  name: string,
  place: string,
  given: readonly unknown[],
  known: FieldType | undefined,
): CheckedColumn {
  let type = known
  let nulls = 0
  const valid = new Uint8Array(given.length)
  const numbers = new Float64Array(given.length)
  const codes = new Map<string, number>()
  for (let i = 0; i < given.length; i++) {
    const one = given[i]
    if (one === undefined || one === null) {
      nulls++
      continue
    }
    const value = checked(`${place}[${i}]`, name, one)
    type ??= typeName(value)
    valid[i] = 1
    if (typeName(value) !== type) {
      const special = type === 'float' && typeof value === 'string' ? specialNumbers.get(value) : undefined
      if (special === undefined)
        throw wrong(
          'type_mismatch',
          `${place}[${i}]`,
          `the field is of type ${type}, the value is of type ${typeName(value)}`,
        )
      numbers[i] = special
    } else if (typeof value === 'string') {
      let code = codes.get(value)
      if (code === undefined) codes.set(value, (code = codes.size))
      numbers[i] = code
    } else numbers[i] = Number(value)
  }
  const values = type === 'boolean' ? Uint8Array.from(numbers) : type === 'string' ? Uint32Array.from(numbers) : numbers
  // nothing but nulls says nothing of the type
  return {
    name,
    type: type ?? 'float',
    values,
    valid: nulls === 0 ? undefined : valid,
    texts: type === 'string' ? [...codes.keys()] : undefined,
  }
}

const typeName = (value: number | boolean | string): FieldType =>
  typeof value === 'number' ? 'float' : typeof value === 'boolean' ? 'boolean' : 'string'
