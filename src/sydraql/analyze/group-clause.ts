/** `group by` and `fill`: the keys, and the aggregates that items and clauses ask for. */
import type { FillSyntax, SelectStatement } from '../ast.ts'
import type { Expr } from '../expression.ts'
import { groupKeysMax } from '../limits.ts'
import type { FillMode } from '../plan.ts'
import { attempt, keep, type Report } from '../problem.ts'
import { checkNoWindow } from './expressions.ts'
import { GroupingBuilder, hasAggregate } from './grouping.ts'
import type { Item } from './items.ts'
import { analyzeReference } from './ordering.ts'
import { isFailed, type Surroundings } from './surroundings.ts'

/** A grouping with its keys; aggregates come as expressions are regrouped. */
export function analyzeKeys(
  { groupBy, fill }: SelectStatement,
  items: readonly Item[],
  aliases: ReadonlyMap<string, Expr>,
  plain: Surroundings,
): GroupingBuilder {
  const { report } = plain
  const builder = new GroupingBuilder(report, plain.sequence, fill && fillMode(fill))
  // An alias may name a key unless it holds an aggregate: `select max(value) value … group by value` means the field.
  const keyAliases = new Map([...aliases].filter(([, expr]) => !hasAggregate(expr)))
  const around = { ...plain, aliases: keyAliases, noAggregates: 'group by', noWindows: 'group by' }
  for (const [index, node] of groupBy.entries()) {
    if (index === groupKeysMax) {
      keep(report, report('query_too_complex', `group by has more than ${groupKeysMax} expressions`, node.span))
      break
    }
    const isAdded = attempt(
      report,
      () => {
        const expr = analyzeReference(node, items, 'group by', around)
        if (hasAggregate(expr)) throw report('not_grouped', 'an aggregate may not stand in group by', node.span)
        checkNoWindow(expr, 'group by', node.span, report)
        if (!isFailed(expr)) builder.addKey(expr, node.span)
        return !isFailed(expr)
      },
      false,
    )
    if (!isAdded) builder.addFailedKey()
  }
  return builder
}

export function fillMode(fill: FillSyntax): FillMode | undefined {
  switch (fill.mode) {
    case 'none':
      return undefined
    case 'previous':
      return { kind: 'previous', lookbackUs: fill.lookbackUs }
    case 'constant':
      return { kind: 'constant', value: fill.value! }
    default:
      return { kind: fill.mode }
  }
}

/** Throws `unsupported_fill`. */
export function checkFill(syntax: FillSyntax, fill: FillMode, builder: GroupingBuilder, report: Report): void {
  if (builder.hasFailedKey) return
  if (builder.bucketKey === undefined) {
    throw report('unsupported_fill', 'fill needs group by time_bucket(…) over time', syntax.span)
  }
  if (fill.kind === 'null' || fill.kind === 'previous') return
  const other = builder.values(undefined).find(({ type }) => type !== 'float' && type !== 'integer')
  if (other === undefined) return
  const message = `fill(${syntax.mode}) needs numbers; ${other.name} is a ${other.type}`
  throw report('unsupported_fill', message, syntax.span, 'use fill(null) or fill(previous)')
}
