/**
 * Three-valued logic and what chooses between values.
 *
 *   and   false if either is false, else null if either is null, else true        (or: likewise with true)
 */
import type { Batch, BooleanColumn, Column, ValueType } from '../../columnar/batch.ts'
import { InterningDictionary } from '../../columnar/batch.ts'
import { CodeTranslation, columnOf } from '../../columnar/builder.ts'
import { compareScalars, type Scalar } from '../../columnar/value.ts'
import type { Case } from '../../sydraql/expression.ts'
import {
  columnType,
  type Evaluator,
  forRows,
  isNumeric,
  reusableBytes,
  reusableCodes,
  reusableNumbers,
} from './evaluator.ts'
import type { Implementation, SpecialImplementation } from './implementation.ts'
import { clampNumbers, comparisons, greatestOf, leastOf } from './numeric.ts'
import { asNumbers, numericEvaluator } from './numeric-evaluator.ts'
import { scalarEvaluator } from './scalar-evaluator.ts'

const special = (compile: SpecialImplementation['compile']): SpecialImplementation => ({ kind: 'special', compile })

/** `decisive`: the value that settles the result whatever the other side is. */
function connective(decisive: 0 | 1): SpecialImplementation {
  return special((_call, args) => {
    const bytes = reusableBytes()
    const masks = reusableBytes()
    return {
      type: 'boolean',
      constant: undefined,
      evaluate(batch) {
        const a = booleans(args[0]!, batch)
        const b = booleans(args[1]!, batch)
        const { length } = batch
        const out = bytes(length)
        if (a.valid === undefined && b.valid === undefined) {
          if (decisive === 0) for (let i = 0; i < length; i++) out[i] = a.values[i]! & b.values[i]!
          else for (let i = 0; i < length; i++) out[i] = a.values[i]! | b.values[i]!
          return { type: 'boolean', values: out, valid: undefined }
        }
        const mask = masks(length)
        for (let i = 0; i < length; i++) {
          const validA = a.valid === undefined ? 1 : a.valid[i]!
          const validB = b.valid === undefined ? 1 : b.valid[i]!
          const settled = (validA === 1 && a.values[i] === decisive) || (validB === 1 && b.values[i] === decisive)
          out[i] = settled ? decisive : 1 - decisive
          mask[i] = settled ? 1 : validA & validB
        }
        return { type: 'boolean', values: out, valid: mask }
      },
    }
  })
}

/** The bare null is a float column: as a truth value it is null all over. */
function booleans(input: Evaluator, batch: Batch): BooleanColumn {
  const column = input.evaluate(batch)
  return column.type === 'boolean' ? column : { type: 'boolean', values: column.valid!, valid: column.valid }
}

const not = special((_call, [input]) => {
  const bytes = reusableBytes()
  return {
    type: 'boolean',
    constant: undefined,
    evaluate(batch) {
      const { values, valid } = booleans(input!, batch)
      const out = bytes(batch.length)
      for (let i = 0; i < batch.length; i++) out[i] = values[i]! ^ 1
      return { type: 'boolean', values: out, valid }
    },
  }
})

const isNull = special((_call, [input]) => {
  const bytes = reusableBytes()
  return {
    type: 'boolean',
    constant: undefined,
    evaluate(batch) {
      const { valid } = input!.evaluate(batch)
      const out = bytes(batch.length)
      if (valid === undefined) out.fill(0, 0, batch.length)
      else for (let i = 0; i < batch.length; i++) out[i] = valid[i]! ^ 1
      return { type: 'boolean', values: out, valid: undefined }
    },
  }
})

type ComparisonName = keyof typeof comparisons

function comparison(name: ComparisonName): SpecialImplementation {
  const holds = comparisons[name]
  return special((call, args) => {
    if (args.every(arg => arg.type !== 'string'))
      return numericEvaluator({ kind: 'numeric', apply: holds }, 'boolean', args.map(asNumbers))
    const text = { kind: 'scalar', strict: true, bind: () => byOrder(holds) } as const
    return scalarEvaluator(text, call, args)
  })
}

const byOrder =
  (holds: (a: number, b: number) => boolean) =>
  ([a, b]: readonly Scalar[]): boolean =>
    holds(compareScalars(a as string, b as string), 0)

const inList: Implementation = {
  kind: 'scalar',
  strict: false,
  bind(constants) {
    const list = constants.slice(1)
    if (list.includes(undefined)) return ([value, ...candidates]) => isIn(value!, candidates)
    const values = new Set(list.filter(value => value !== null))
    const otherwise = list.includes(null) ? null : false
    // A Set holds NaN equal to itself and -0 to 0, as the language does.
    return ([value]) => (value === null ? null : values.has(value!) ? true : otherwise)
  },
}

function isIn(value: Scalar, candidates: readonly Scalar[]): Scalar {
  if (value === null) return null
  if (candidates.some(candidate => candidate !== null && compareScalars(value, candidate as never) === 0)) return true
  return candidates.includes(null) ? null : false
}

/** The first argument, or a later one that `better` prefers; nulls are passed over. */
function extreme(
  better: (order: number) => boolean,
  ofNumbers: (a: number, b: number) => number,
): SpecialImplementation {
  return special((call, args) => {
    const bound = args.find(arg => typeof arg.constant?.value === 'number')
    if (args.length === 2 && bound !== undefined && args.every(arg => isNumeric(arg.type))) {
      const both = numericEvaluator({ kind: 'numeric', apply: ofNumbers }, columnType(call.type), args)
      return firstValid(columnType(call.type), [both, bound])
    }
    const choose = (row: readonly Scalar[]): Scalar => {
      let best: Scalar = null
      for (const value of row)
        if (value !== null && (best === null || better(compareScalars(value, best as never)))) best = value
      return best
    }
    return scalarEvaluator({ kind: 'scalar', strict: false, bind: () => choose }, call, args)
  })
}

const clamp = special((call, args) => {
  if (args.every(arg => isNumeric(arg.type))) return numericEvaluator(clampNumbers, columnType(call.type), args)
  const choose = ([x, low, high]: readonly Scalar[]): Scalar => {
    const raised = compareScalars(x as string, low as string) < 0 ? low! : x!
    return compareScalars(raised as string, high as string) > 0 ? high! : raised
  }
  return scalarEvaluator({ kind: 'scalar', strict: true, bind: () => choose }, call, args)
})

const nullIf = special((call, [value, other]) => {
  const equal = comparison('eq').compile({ ...call, name: 'eq', type: 'boolean' }, [value!, other!])
  const masks = reusableBytes()
  return {
    type: call.type,
    constant: undefined,
    evaluate(batch) {
      const column = value!.evaluate(batch)
      const same = equal.evaluate(batch) as BooleanColumn
      const mask = masks(batch.length)
      for (let i = 0; i < batch.length; i++) {
        const isSame = same.values[i]! & (same.valid === undefined ? 1 : same.valid[i]!)
        mask[i] = (column.valid === undefined ? 1 : column.valid[i]!) & (isSame ^ 1)
      }
      return { ...column, valid: mask }
    },
  }
})

const coalesce = special((call, args) => firstValid(columnType(call.type), args))

/** Takes each row from the first of the inputs that is not null there. */
function firstValid(type: ValueType, inputs: readonly Evaluator[]): Evaluator {
  return chooser(type, inputs, columns => row => {
    for (let i = 0; i < columns.length; i++) {
      const { valid } = columns[i]!
      if (valid === undefined || valid[row] === 1) return i
    }
    return -1
  })
}

/** `case when … then … else … end`: the first branch whose condition is true. */
export function caseEvaluator(
  node: Case,
  branches: readonly { readonly when: Evaluator; readonly result: Evaluator }[],
  otherwise: Evaluator | undefined,
): Evaluator {
  const results = branches.map(branch => branch.result)
  if (otherwise !== undefined) results.push(otherwise)
  return chooser(columnType(node.type), results, (_columns, batch) => {
    const conditions = branches.map(branch => booleans(branch.when, batch))
    return row => {
      for (let i = 0; i < conditions.length; i++) {
        const { values, valid } = conditions[i]!
        if (values[row] === 1 && (valid === undefined || valid[row] === 1)) return i
      }
      return otherwise === undefined ? -1 : conditions.length
    }
  })
}

/** `choose` gives, per batch, the index of the input that each row is taken from, or -1 for null. */
function chooser(
  type: ValueType,
  inputs: readonly Evaluator[],
  choose: (columns: readonly Column[], batch: Batch) => (row: number) => number,
): Evaluator {
  const numbers = reusableNumbers()
  const bytes = reusableBytes()
  const codes = reusableCodes()
  const masks = reusableBytes()
  const dictionary = new InterningDictionary()
  const translations = inputs.map(() => new CodeTranslation(dictionary))
  return {
    type,
    constant: undefined,
    evaluate(batch) {
      const columns = inputs.map(input => input.evaluate(batch))
      const chosen = choose(columns, batch)
      const { length } = batch
      const out = type === 'string' ? codes(length) : type === 'boolean' ? bytes(length) : numbers(length)
      const mask = masks(length)
      for (let i = 0; i < columns.length; i++) {
        const column = columns[i]!
        if (column.type === 'string') translations[i]!.from(column.dictionary)
      }
      let nulls = 0
      forRows(batch, row => {
        const index = chosen(row)
        const column = index < 0 ? undefined : columns[index]!
        if (column === undefined || (column.valid !== undefined && column.valid[row] === 0)) {
          mask[row] = 0
          nulls++
          return
        }
        mask[row] = 1
        const value = column.values[row]!
        out[row] = type === 'string' ? translations[index]!.code(value) : value
      })
      return columnOf(type, out, nulls === 0 ? undefined : mask, dictionary)
    },
  }
}

export const logicFunctions = {
  and: connective(0),
  or: connective(1),
  not,
  is_null: isNull,
  eq: comparison('eq'),
  ne: comparison('ne'),
  lt: comparison('lt'),
  le: comparison('le'),
  gt: comparison('gt'),
  ge: comparison('ge'),
  in: inList,
  least: extreme(order => order < 0, leastOf),
  greatest: extreme(order => order > 0, greatestOf),
  clamp,
  coalesce,
  nullif: nullIf,
} satisfies Record<string, Implementation>
