/** The aggregation of a live query, compiled once for all cells. */
import type { AggregateCall, AggregateNode } from '../../../sydraql/plan.ts'
import { compileAggregation, type InputOrder } from '../../aggregate/aggregation.ts'
import { seriesRanks } from '../../aggregate/series-ranks.ts'
import type { LiveContext } from '../types.ts'
import type { Aggregations } from './cell.ts'
import type { GroupInput } from './input.ts'

export function compileGroups(input: GroupInput, context: LiveContext): Aggregations {
  const { aggregate, rows, sources } = input
  const metrics = sources.map(({ scan }) => scan.metric)
  const order: InputOrder = { time: 'time', series: 'series', ranks: ranksOf(metrics, context) }
  const compile = (node: AggregateNode) => compileAggregation(node, rows.schema, order, context.kernels)
  return { plain: compile(aggregate), counted: compile(withCount(aggregate)) }
}

function withCount(node: AggregateNode): AggregateNode {
  // No name of a column has a space at its end.
  const name = 'rows '
  const count: AggregateCall = { name, function: 'count', args: [], distinct: false }
  return {
    ...node,
    aggregates: [...node.aggregates, count],
    schema: [...node.schema, { name, type: 'integer', nullable: false }],
  }
}

/** As of all series there are: of several metrics, worked out again when one is added. */
function ranksOf(metrics: readonly string[], { catalog }: LiveContext): () => Uint32Array {
  const [only] = metrics
  if (metrics.length === 1) return () => catalog.ranks(catalog.metric(only!)!.id)
  let ranks = new Uint32Array(0)
  let series = -1
  return () => {
    if (series === catalog.seriesCount) return ranks
    series = catalog.seriesCount
    ranks = Uint32Array.from(seriesRanks(metrics, catalog))
    return ranks
  }
}
