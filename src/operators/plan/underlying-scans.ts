/**
 * The scans under an aggregation, with all that is between brought to them: each alone says what the aggregation reads of
 * its metric.
 *
 *   aggregate over union of (project of (scan a), project of (scan b))
 *     ->  [scan a, predicates, items]  [scan b, predicates, items]
 */
import type { Schema, ValueType } from '../../columnar/batch.ts'
import { assert } from '../../lib/assert.ts'
import type { ColumnRef, Expr } from '../../sydraql/expression.ts'
import { functionInfo } from '../../sydraql/functions.ts'
import type { AggregateNode, LogicalPlan, NamedExpr, ScanNode } from '../../sydraql/plan.ts'
import { throughItems } from '../../sydraql/rules/columns.ts'
import { isLimited, type ScanSource } from './plan-source.ts'

/** The scan under any filters. */
export function scanUnderFilters(plan: LogicalPlan): ScanSource | undefined {
  const predicates: Expr[] = []
  let node = plan
  for (; node.kind === 'filter'; node = node.input) predicates.push(node.predicate)
  return node.kind === 'scan' ? { scan: identified(node), predicates, projection: undefined } : undefined
}

/**
 * The scans of a union under any filters and projections. undefined: there is another operator between, or what the
 * aggregation goes by is not the time and the series of a scan, so that rows must come as the plan lets them.
 */
export function unionOfScans(node: AggregateNode): readonly ScanSource[] | undefined {
  const sources = projectedScans(node)
  return sources === undefined || sources.length < 2 ? undefined : sources
}

/** The scan, or the scans of a union, that an aggregation of raw rows reads; none of them counts rows. */
export function scansUnder(node: AggregateNode): readonly ScanSource[] | undefined {
  const source = scanUnderFilters(node.input)
  if (source === undefined) return projectedScans(node)
  return isLimited(source.scan) ? undefined : [source]
}

function projectedScans(node: AggregateNode): readonly ScanSource[] | undefined {
  const { schema } = node.input
  const found = underlying(node.input, { items: schema.map(({ name, type }) => ({ name, expr: column(name, type) })) })
  if (found === undefined || !goesByScans(node, found)) return undefined
  const identity = [column('time', 'timestamp'), column('series', 'string')].filter(
    ({ name }) => !schema.some(info => info.name === name),
  )
  const added = identity.map(({ name, type }) => ({ name, type: type as ValueType, nullable: false }))
  return found.map(
    ({ scan, predicates, items }): ScanSource => ({
      scan: identified(scan),
      predicates,
      projection: {
        items: [...items, ...identity.map(expr => ({ name: expr.name, expr }))],
        schema: [...schema, ...added],
      },
    }),
  )
}

interface Underlying {
  readonly scan: ScanNode
  readonly predicates: readonly Expr[]
  readonly items: readonly NamedExpr[]
}

/** What was found above the plan, over its columns. */
interface Above {
  readonly items: readonly NamedExpr[]
  readonly predicates?: readonly Expr[]
  /** A projection that computes was passed: to say one in the other could double with every one. */
  readonly computes?: boolean
}

function underlying(plan: LogicalPlan, above: Above): Underlying[] | undefined {
  const { items, predicates = [], computes = false } = above
  switch (plan.kind) {
    case 'scan':
      return isLimited(plan) ? undefined : [{ scan: plan, predicates, items }]
    case 'filter':
      return underlying(plan.input, { ...above, predicates: [...predicates, plan.predicate] })
    case 'project': {
      const computesToo = !plan.items.every(({ expr }) => isPlain(expr))
      if (computes && computesToo) return undefined
      const said = (expr: Expr) => throughItems(expr, plan.items)
      return underlying(plan.input, {
        items: items.map(({ name, expr }) => ({ name, expr: said(expr) })),
        predicates: predicates.map(said),
        computes: computes || computesToo,
      })
    }
    case 'union': {
      const found: Underlying[] = []
      for (const input of plan.inputs) {
        const below = underlying(input, above)
        if (below === undefined) return undefined
        found.push(...below)
      }
      return found
    }
    default:
      return undefined
  }
}

/** A column, widened or as it is, or a constant. */
const isPlain = (expr: Expr): boolean =>
  expr.kind !== 'call' ? expr.kind !== 'case' : expr.name === 'cast_float' && isPlain(expr.args[0]!)

function goesByScans({ sequence, keys, aggregates }: AggregateNode, sources: readonly Underlying[]): boolean {
  const is = (name: string | undefined, ofScan: string): boolean =>
    sources.every(({ items }) => {
      const expr = items.find(item => item.name === name)?.expr
      return expr?.kind === 'column' && expr.name === ofScan
    })
  // These two are added where they are missing; what else has such a name must be no other thing.
  const isFree = (name: string) =>
    is(name, name) || sources.every(({ items }) => items.every(item => item.name !== name))
  if (!isFree('time') || !isFree('series')) return false
  const needsOrder = aggregates.some(call => {
    const info = functionInfo(call.function)
    assert(info !== undefined, `the registry has ${call.function}`)
    return info.hints.needsOrder === true
  })
  if ((needsOrder || keys.some(key => key.bucket !== undefined)) && !is(sequence.time, 'time')) return false
  return !needsOrder || (sequence.partition.length === 1 && is(sequence.partition[0], 'series'))
}

/** Made to yield `time` and `series` too. */
const identified = (scan: ScanNode): ScanNode => ({
  ...scan,
  schema: withColumn(withColumn(scan.schema, 'time', 'timestamp'), 'series', 'string'),
})

function withColumn(schema: Schema, name: ColumnRef['name'], type: ValueType): Schema {
  return schema.some(info => info.name === name) ? schema : [...schema, { name, type, nullable: false }]
}

const column = (name: string, type: ColumnRef['type']): ColumnRef => ({
  kind: 'column',
  type,
  name,
  span: { start: 0, end: 0 },
})
