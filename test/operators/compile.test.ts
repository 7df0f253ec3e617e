/** Compiled expressions against the interpreter: random typed expressions, columns with nulls, selections. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Batch, type Column, InterningDictionary, type Schema, type ValueType } from '../../src/columnar/batch.ts'
import { columnOf } from '../../src/columnar/builder.ts'
import { type Scalar, valueAt } from '../../src/columnar/value.ts'
import { referenceKernels } from '../../src/kernels/reference-kernels.ts'
import { implementedAggregates } from '../../src/operators/aggregate/functions.ts'
import { compile, implementedFunctions } from '../../src/operators/compile.ts'
import { loopOf, sharedLoop } from '../../src/operators/functions/loops.ts'
import { comparisons } from '../../src/operators/functions/numeric.ts'
import { compilePredicate } from '../../src/operators/predicate.ts'
import { implementedWindows } from '../../src/operators/window/functions.ts'
import type { Expr, ExprType } from '../../src/sydraql/expression.ts'
import { functions } from '../../src/sydraql/functions.ts'
import { interpret, type Row } from './interpreter.ts'
import { sameValue } from './support.ts'

const span = { start: 0, end: 0 }
const literal = (type: ExprType, value: Scalar): Expr => ({ kind: 'literal', type, value, span })
const call = (type: ExprType, name: string, ...args: Expr[]): Expr => ({ kind: 'call', type, name, args, span })

// biome-ignore lint/suspicious/noThenProperty: the language's own word
const branch = (when: Expr, result: Expr) => ({ when, then: result })

const schema: Schema = [
  { name: 'f', type: 'float', nullable: true },
  { name: 'g', type: 'float', nullable: false },
  { name: 'i', type: 'integer', nullable: true },
  { name: 'b', type: 'boolean', nullable: true },
  { name: 's', type: 'string', nullable: true },
  { name: 'u', type: 'string', nullable: true },
  { name: 't', type: 'timestamp', nullable: false },
  { name: 'w', type: 'timestamp', nullable: true },
  { name: 'd', type: 'duration', nullable: true },
]
const floats = fc.oneof(
  fc.constantFrom(0, -0, NaN, Infinity, -Infinity, 0.5, 1.5, 2.5, 1.005, -2.675, 1, -1, 2, 1e300),
  fc.integer({ min: -100, max: 100 }),
  fc.double({ min: -1e6, max: 1e6, noNaN: true }),
)
const texts = fc.oneof(
  fc.constantFrom(
    '',
    'a',
    'A',
    ' a b ',
    'web-12',
    'web-7',
    'ünï',
    '😀x',
    '\uffee',
    '1.5',
    'true',
    '5m',
    '2024-03-01',
    'a%b_c\\',
  ),
  fc.string({ maxLength: 6 }),
)
const times = fc.integer({ min: -2e15, max: 4e15 })
const valueFor: Record<ValueType, fc.Arbitrary<Scalar>> = {
  float: floats,
  integer: fc.integer({ min: -20, max: 20 }),
  boolean: fc.boolean(),
  string: texts,
  timestamp: times,
  duration: fc.integer({ min: -1e9, max: 1e9 }),
}

type Kind = 'number' | 'truth' | 'text' | 'time' | 'duration'
const { number, truth, text, time, duration } = fc.letrec<Record<Kind, Expr>>(tie => {
  const [number, truth, text, time] = [tie('number'), tie('truth'), tie('text'), tie('time')]
  const duration = tie('duration')
  const column = (name: string) =>
    fc.constant<Expr>({ kind: 'column', type: schema.find(c => c.name === name)!.type, name, span })
  const of = (type: ExprType, names: readonly string[], ...args: fc.Arbitrary<Expr>[]) =>
    fc.tuple(fc.constantFrom(...names), ...args).map(([name, ...args]) => call(type, name, ...(args as Expr[])))
  const constant = (type: ValueType, value: fc.Arbitrary<Scalar>) => value.map(value => literal(type, value))
  const conditional = (type: ExprType, value: fc.Arbitrary<Expr>) =>
    fc.tuple(truth, value, truth, value, fc.option(value, { nil: undefined })).map(
      ([a, x, b, y, otherwise]): Expr => ({
        kind: 'case',
        type,
        branches: [branch(a, x), branch(b, y)],
        otherwise,
        span,
      }),
    )
  const orNull = (value: fc.Arbitrary<Expr>) =>
    fc.oneof({ weight: 9, arbitrary: value }, fc.constant(literal('null', null)))
  return {
    number: fc.oneof(
      { maxDepth: 3, depthIdentifier: 'expression', withCrossShrink: true },
      fc.oneof(column('f'), column('g'), column('i'), constant('float', floats)),
      of('float', ['add', 'sub', 'mul', 'div', 'mod', 'pow', 'atan2'], number, orNull(number)),
      of(
        'float',
        'neg abs ceil floor trunc sign sqrt cbrt exp ln log10 log2 log sin cos tan asin acos atan radians degrees round'.split(
          ' ',
        ),
        number,
      ),
      of(
        'float',
        ['round'],
        number,
        fc.integer({ min: -3, max: 6 }).map(n => literal('integer', n)),
      ),
      of('float', ['least', 'greatest', 'coalesce'], number, orNull(number)),
      of('float', ['least', 'greatest', 'coalesce'], number, number, number),
      of('float', ['clamp'], number, number, number),
      of('float', ['nullif'], number, number),
      of('integer', ['cast_integer'], fc.oneof(number, text, truth)),
      of('float', ['cast_float'], fc.oneof(number, text, truth, time, duration)),
      of('float', ['div'], duration, orNull(duration)),
      of('integer', ['length'], text),
      of('float', ['pi']),
      of('integer', ['epoch_ms'], time),
      fc
        .tuple(
          fc.constantFrom(
            ...'year quarter month week day dow isodow doy hour minute second millisecond microsecond epoch'.split(' '),
          ),
          time,
        )
        .map(([part, t]) => call('float', 'extract', literal('string', part), t)),
      conditional('float', number),
    ),
    truth: fc.oneof(
      { maxDepth: 3, depthIdentifier: 'expression', withCrossShrink: true },
      fc.oneof(column('b'), constant('boolean', fc.boolean())),
      of('boolean', ['and', 'or'], orNull(truth), orNull(truth)),
      of('boolean', ['not'], orNull(truth)),
      of('boolean', ['is_null'], fc.oneof(number, truth, text, time, duration)),
      of('boolean', Object.keys(comparisons), number, orNull(number)),
      of('boolean', Object.keys(comparisons), text, text),
      of('boolean', Object.keys(comparisons), truth, truth),
      of('boolean', Object.keys(comparisons), time, orNull(time)),
      of('boolean', Object.keys(comparisons), duration, duration),
      of('boolean', ['in'], truth, truth, orNull(truth)),
      of('boolean', ['in'], time, constant('timestamp', times), time),
      of('boolean', ['in'], number, orNull(constant('float', floats)), orNull(number)),
      of('boolean', ['in'], text, constant('string', texts), orNull(constant('string', texts))),
      of(
        'boolean',
        ['like', 'ilike'],
        text,
        fc.oneof(
          constant('string', fc.constantFrom('%', 'web-%', '_', '%b%', 'a\\%b\\_c\\\\', 'W%7', '')),
          constant('string', texts),
        ),
      ),
      of('boolean', ['regex_match'], text, constant('string', fc.constantFrom('^web-\\d+$', 'a|b', '', '[^x]'))),
      of('boolean', ['starts_with'], text, text),
      of('boolean', ['cast_boolean'], fc.oneof(number, text)),
      of('boolean', ['coalesce', 'nullif', 'least', 'greatest'], truth, truth),
      of('boolean', ['clamp'], truth, truth, truth),
      conditional('boolean', truth),
    ),
    text: fc.oneof(
      { maxDepth: 3, depthIdentifier: 'expression', withCrossShrink: true },
      fc.oneof(column('s'), column('u'), constant('string', texts)),
      of('string', ['lower', 'upper', 'trim'], text),
      of('string', ['concat'], text, orNull(text), number),
      of('string', ['concat'], text, time),
      of('string', ['coalesce', 'least', 'greatest', 'nullif'], text, text),
      of('string', ['clamp'], text, text, text),
      of('string', ['replace'], text, text, text),
      fc
        .tuple(text, fc.integer({ min: -3, max: 5 }), fc.option(fc.integer({ min: -1, max: 4 }), { nil: undefined }))
        .map(([s, from, length]) =>
          call(
            'string',
            'substring',
            s,
            literal('integer', from),
            ...(length === undefined ? [] : [literal('integer', length)]),
          ),
        ),
      fc
        .tuple(text, fc.constantFrom('-', '', 'b'), fc.integer({ min: -2, max: 3 }))
        .map(([s, by, n]) => call('string', 'split_part', s, literal('string', by), literal('integer', n))),
      fc
        .tuple(text, fc.constantFrom('\\d+', '(\\w)-(\\d)?', 'x*'))
        .map(([s, pattern]) => call('string', 'regexp_extract', s, literal('string', pattern))),
      of('string', ['cast_string'], fc.oneof(number, truth, time, duration)),
      conditional('string', text),
    ),
    time: fc.oneof(
      { maxDepth: 3, depthIdentifier: 'expression', withCrossShrink: true },
      fc.oneof(column('t'), column('w'), constant('timestamp', times)),
      of('timestamp', ['add', 'sub'], time, duration),
      of('timestamp', ['coalesce', 'nullif', 'least', 'greatest'], time, orNull(time)),
      of('timestamp', ['clamp'], time, time, time),
      conditional('timestamp', time),
      of('timestamp', ['cast_timestamp'], fc.oneof(text, time, number)),
      of('timestamp', ['to_timestamp'], constant('float', fc.double({ min: -1e9, max: 1e9, noNaN: true }))),
      fc
        .tuple(time, fc.constantFrom<Scalar>(60e6, 7 * 86_400e6, 7e6, '1mo', '1q', '1y'))
        .map(([t, width]) =>
          call('timestamp', 'time_bucket', literal(typeof width === 'string' ? 'string' : 'duration', width), t),
        ),
    ),
    duration: fc.oneof(
      { maxDepth: 3, depthIdentifier: 'expression', withCrossShrink: true },
      fc.oneof(column('d'), constant('duration', valueFor.duration)),
      of('duration', ['sub'], time, time),
      of('duration', ['add', 'sub'], duration, duration),
      of('duration', ['mul', 'div'], duration, number),
      of('duration', ['neg', 'abs'], duration),
      of('duration', ['coalesce', 'nullif', 'least', 'greatest'], duration, orNull(duration)),
      of('duration', ['cast_duration'], fc.oneof(text, duration)),
      conditional('duration', duration),
    ),
  }
})

const rowOf = fc.tuple(
  ...schema.map(({ type, nullable }) =>
    nullable ? fc.option(valueFor[type], { nil: null, freq: 4 }) : valueFor[type],
  ),
)

/** Rows as a batch; what is null or not selected holds rubbish. */
function batchOf(rows: readonly (readonly Scalar[])[], selected: readonly boolean[] | undefined): Batch {
  const columns = schema.map(({ type }, c): Column => {
    const dictionary = type === 'string' ? new InterningDictionary() : undefined
    const values =
      type === 'string'
        ? new Uint32Array(rows.length)
        : type === 'boolean'
          ? new Uint8Array(rows.length)
          : new Float64Array(rows.length)
    rows.forEach((row, r) => {
      const value = row[c]!
      values[r] = value === null ? 77 : typeof value === 'string' ? dictionary!.code(value) : Number(value)
    })
    const isFull = rows.every(row => row[c] !== null)
    return columnOf(
      type,
      values,
      isFull ? undefined : Uint8Array.from(rows, row => (row[c] === null ? 0 : 1)),
      dictionary,
    )
  })
  const selection = selected && Uint32Array.from(rows.keys()).filter(row => selected[row])
  return { length: rows.length, columns, selection }
}

const asRow = (values: readonly Scalar[]): Row => Object.fromEntries(schema.map(({ name }, c) => [name, values[c]!]))
const rowsAndSelection = fc.array(rowOf, { minLength: 1, maxLength: 12 }).chain(rows => {
  const length = { minLength: rows.length, maxLength: rows.length }
  // Where few rows count they are computed alone.
  const few = fc.integer({ min: 0, max: 7 }).map(n => n === 0)
  const selected = fc.oneof(fc.array(fc.boolean(), length), fc.array(few, length))
  return fc.tuple(fc.constant(rows), fc.option(selected, { nil: undefined }))
})

describe('compiled expressions', () => {
  test.each([
    ['numbers', number],
    ['truth values', truth],
    ['texts', text],
    ['times', time],
    ['durations', duration],
  ])('%s are what the interpreter says', (_, expression) => {
    fc.assert(
      fc.property(expression, fc.array(rowsAndSelection, { minLength: 1, maxLength: 3 }), (expr, batches) => {
        const evaluator = compile(expr, schema)
        for (const [rows, selected] of batches) {
          const batch = batchOf(rows, selected)
          const column = evaluator.evaluate(batch)
          for (const row of batch.selection ?? rows.keys()) {
            const [actual, expected] = [valueAt(column, row), interpret(expr, asRow(rows[row]!))]
            if (!sameValue(actual, expected))
              expect({ row: rows[row], value: actual }).toEqual({ row: rows[row], value: expected })
          }
        }
      }),
      { numRuns: 400 },
    )
  })

  test('a predicate selects the rows it is true for', () => {
    fc.assert(
      fc.property(truth, rowsAndSelection, (expr, [rows, selected]) => {
        const batch = batchOf(rows, selected)
        const selection = compilePredicate(expr, schema, referenceKernels)(batch) ?? Uint32Array.from(rows.keys())
        const candidates = [...(batch.selection ?? rows.keys())]
        expect([...selection]).toEqual(candidates.filter(row => interpret(expr, asRow(rows[row]!)) === true))
      }),
      { numRuns: 400 },
    )
  })

  test('loops without generated code agree with those with', () => {
    const [a, b, out, shared] = [
      Float64Array.of(1, NaN, -0, 3),
      Float64Array.of(1, NaN, 0, 2),
      new Uint8Array(4),
      new Uint8Array(4),
    ]
    for (const holds of Object.values(comparisons)) {
      loopOf(holds, 2)(a, b, a, out, undefined, 4)
      sharedLoop(holds)(a, b, a, shared, undefined, 4)
      expect(out).toEqual(shared)
    }
  })
})

describe('what has no answer', () => {
  const value = (expr: Expr) => valueAt(compile(expr, []).evaluate({ length: 1, columns: [], selection: undefined }), 0)
  const n = (x: number) => literal('float', x)
  test.each([
    ['1 / 0', call('float', 'div', n(1), n(0))],
    ['ln(-1)', call('float', 'ln', n(-1))],
    ['sqrt(-1)', call('float', 'sqrt', n(-1))],
    ['pow(0, -1)', call('float', 'pow', n(0), n(-1))],
  ])('%s is null', (_, expr) => expect(value(expr)).toBeNull())
  test('NaN stays NaN', () => expect(value(call('float', 'sqrt', n(NaN)))).toBeNaN())
  test('rounding is half away from zero, of the decimal that is printed', () => {
    const round = (x: number, digits: number) => value(call('float', 'round', n(x), literal('integer', digits)))
    expect([round(1.005, 2), round(-2.5, 0), round(2.5, 0), round(1234, -2), round(0.1 + 0.2, 1)]).toEqual([
      1.01, -3, 3, 1200, 0.3,
    ])
  })
  test('a pattern that cannot run in linear time is refused', () => {
    expect(() =>
      compile(call('boolean', 'regex_match', literal('string', 'a'), literal('string', '(?=a)')), []),
    ).toThrow(expect.objectContaining({ code: 'invalid_regex' }))
  })
})

test('every function of the registry has an implementation', () => {
  const needed = functions.filter(info => info.kind === 'operator' || info.kind === 'scalar').map(info => info.name)
  expect(needed.filter(name => !implementedFunctions.includes(name))).toEqual([])
  const aggregates = functions.filter(info => info.kind === 'aggregate').map(info => info.name)
  expect(aggregates.filter(name => !implementedAggregates.includes(name))).toEqual([])
  const windows = functions.filter(info => info.kind === 'window').map(info => info.name)
  expect(windows.toSorted()).toEqual(implementedWindows.toSorted())
  const known = new Set(functions.map(info => info.name))
  expect([...implementedFunctions, ...implementedAggregates].filter(name => !known.has(name))).toEqual([])
})
