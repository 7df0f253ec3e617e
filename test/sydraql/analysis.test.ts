/** What golden files cannot say: schemas of any size, limits, required ranges, errors as data. */
import { describe, expect, test } from 'vitest'
import { SydraError } from '../../src/lib/errors.ts'
import type { FieldType, MetricInfo } from '../../src/storage/types.ts'
import { bind } from '../../src/sydraql/bind.ts'
import type { LogicalPlan } from '../../src/sydraql/plan.ts'
import { type Prepared, prepare } from '../../src/sydraql/prepare.ts'
import { errorsMax } from '../../src/sydraql/problem.ts'
import type { QuerySchema } from '../../src/sydraql/schema.ts'
import { demoSchema } from './demo-schema.ts'

const nowUs = Date.UTC(2024, 2, 1, 12) * 1000

function schemaOf(metrics: Readonly<Record<string, Readonly<Record<string, FieldType>>>>): QuerySchema {
  const infos = Object.entries(metrics).map(
    ([name, fields], id): MetricInfo => ({
      id,
      name,
      fields: Object.entries(fields).map(([field, type], ordinal) => ({ id: ordinal, name: field, type })),
    }),
  )
  const byName = new Map(infos.map(info => [info.name, info]))
  return {
    version: 1,
    metric: name => byName.get(name),
    metrics: () => infos,
    tagKeys: () => [],
    seriesById: () => undefined,
    metricOf: () => infos[0]!,
  }
}

function errorOf(run: () => unknown): SydraError {
  try {
    run()
  } catch (error) {
    if (error instanceof SydraError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

const columnsOf = ({ schema }: Prepared): string[] => schema.map(({ name, type }) => `${name} ${type}`)

describe('a pattern over metrics', () => {
  const schema = schemaOf({
    'a.x': { n: 'integer', only: 'boolean', mixed: 'string' },
    'a.y': { n: 'float', mixed: 'boolean' },
    'a.z': { n: 'integer' },
    b: { n: 'integer' },
  })

  test('integers widen where another metric has floats', () => {
    expect(columnsOf(prepare('select n, only from /^a/', schema))).toEqual(['n float', 'only boolean'])
    expect(columnsOf(prepare('select n from /^(a.z|b)$/', schema))).toEqual(['n integer'])
    const { plan } = bind(prepare('select n from /^a/', schema), [], nowUs, { withoutRules: new Set() })
    expect(JSON.stringify(plan)).toContain('cast_float')
  })

  test('types that do not go together are an error where the field is read', () => {
    const message = 'the field mixed is a string in a.x and a boolean in a.y'
    expect(errorOf(() => prepare('select mixed from /^a/', schema))).toMatchObject({ code: 'type_mismatch', message })
    expect(errorOf(() => prepare('select * from /^a/', schema))).toMatchObject({ code: 'type_mismatch', message })
    expect(columnsOf(prepare('select mixed from /^a.x/', schema))).toEqual(['mixed string'])
  })

  test('is as large as what is read of it', () => {
    const wide = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`f${i}`, 'float' as const]))
    const many = schemaOf(Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`m${i}`, wide])))
    const { plan } = bind(prepare('select f7 from /./', many), [], nowUs)
    const scans: LogicalPlan[] = []
    const collect = (node: LogicalPlan): void => {
      if (node.kind === 'scan') scans.push(node)
      if ('input' in node) collect(node.input)
      if (node.kind === 'union') node.inputs.forEach(collect)
    }
    collect(plan)
    expect(scans).toHaveLength(3000)
    expect(errorOf(() => prepare('select * from /./', many))).toMatchObject({ code: 'query_too_complex' })
  })

  test('has a limit of metrics', () => {
    const many = schemaOf(Object.fromEntries(Array.from({ length: 10_001 }, (_, i) => [`m${i}`, { v: 'float' }])))
    expect(errorOf(() => prepare('select v from /./', many))).toMatchObject({ code: 'query_too_complex' })
  })
})

describe('limits', () => {
  test('of columns', () => {
    const wide = schemaOf({ m: Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`f${i}`, 'float'])) })
    const stars = (count: number) => `select ${Array(count).fill('*').join(', ')} from m`
    expect(prepare(stars(9), wide).schema).toHaveLength(9009)
    expect(errorOf(() => prepare(stars(10), wide)).code).toBe('query_too_complex')
    const joins = Array.from({ length: 12 }, (_, i) => ` join m as m${i} on time`).join('')
    expect(errorOf(() => prepare(`select * from m${joins}`, wide)).code).toBe('query_too_complex')
  })

  test('of group keys', () => {
    const keys = Array.from({ length: 1001 }, (_, i) => `usage + ${i}`).join(', ')
    expect(errorOf(() => prepare(`select count(*) from cpu group by ${keys}`, demoSchema)).code).toBe(
      'query_too_complex',
    )
  })

  test('many calls and names take a time that grows with their number', () => {
    const calls = Array.from({ length: 10_000 }, (_, i) => `sum(usage + ${i})`)
    expect(prepare(`select ${calls.slice(0, 5000).join(', ')} from cpu`, demoSchema).schema).toHaveLength(5000)
    const lags = calls.map(call => call.replace('sum', 'lag'))
    expect(prepare(`select ${lags.slice(0, 5000).join(', ')} from cpu`, demoSchema).schema).toHaveLength(5000)
    expect(prepare(`select ${Array(9000).fill('usage').join(', ')} from cpu`, demoSchema).schema[8999]!.name).toBe(
      'usage_9000',
    )
  })
})

describe('errors', () => {
  test('come in the order of their places, the first with the others', () => {
    const error = errorOf(() => prepare('select aaa, bbb from cpu where ccc = 1', demoSchema))
    expect([error, ...error.others].map(each => each.position!.column)).toEqual([8, 13, 32])
    expect(error.toJSON().others).toHaveLength(2)
    expect(error.others.every(other => other.others.length === 0)).toBe(true)
    expect(errorOf(() => prepare('select aaa from cpu', demoSchema)).toJSON()).not.toHaveProperty('others')
  })

  test('are so many and no more', () => {
    const names = Array.from({ length: 50_000 }, (_, i) => `x${i}`).join(', ')
    expect(errorOf(() => prepare(`select ${names} from cpu`, demoSchema)).others).toHaveLength(errorsMax - 1)
  })
})

describe('a required time range', () => {
  const check = (text: string): void => {
    bind(prepare(text, demoSchema), [], nowUs, { requireTimeRange: true })
  }
  const bounded = 'time >= now() - 1h'

  test.each([
    `select usage from cpu where ${bounded}`,
    'select 1',
    `select u from (select usage u from cpu where ${bounded}) s`,
    `select u from (select time, usage u from cpu) s where ${bounded}`,
    `select t from (select time_bucket(1h, time) t, avg(usage) a from cpu group by t) s where t > now() - 1d`,
    `select a.usage from cpu a join mem b on time where ${bounded}`,
    `select a.usage from cpu a join mem b on time where b.${bounded}`,
    `select c.usage from cpu c join (select time, used from mem) m on time within 1h where c.${bounded}`,
    `select value from /^(cpu|weather)/ where ${bounded}`,
  ])('is given by %s', check)

  test.each([
    'select usage from cpu',
    'select usage from cpu where time < now()',
    `select usage from cpu where ${bounded} or usage > 1`,
    'select u from (select usage u from cpu) s',
    `select u from (select time, usage u from cpu limit 3) s where ${bounded}`,
    `select u from (select time, lag(usage) u from cpu) s where ${bounded}`,
    'select a.usage from cpu a join mem b on time',
    'select value from /^(cpu|weather)/',
  ])('is not given by %s', text => {
    expect(errorOf(() => check(text)).code).toBe('time_range_required')
  })
})

test('parameters and the clock are bound at any depth', () => {
  const text =
    'select a.v + ? as x from (select time, value as v from cpu where usage > ? and time > now() - 1h limit ?) a ' +
    'join (select time, used from mem where used < ?) b on time where b.used > ?'
  const prepared = prepare(text, demoSchema)
  expect(prepared).toMatchObject({ parameterCount: 5 })
  const json = JSON.stringify(bind(prepared, [1, 2, 3, 4, 5], nowUs).plan)
  expect(json).not.toContain('"parameter"')
  expect(json).not.toContain('"now"')
  expect(bind(prepared, [1, 2, 3, 4, 5], nowUs).plan).toEqual(bind(prepared, [1, 2, 3, 4, 5], nowUs).plan)
})
