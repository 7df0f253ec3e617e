/** From a text to a live query: what may be live at all, and what it is bound from. */
import { SydraError } from '../../lib/errors.ts'
import { planLive } from '../../operators/live/plan-live.ts'
import type { LiveContext, LiveQuery } from '../../operators/live/types.ts'
import { bind } from '../../sydraql/bind.ts'
import { mapQuery } from '../../sydraql/map-query.ts'
import type { Prepared } from '../../sydraql/prepare.ts'
import type { Query } from '../../sydraql/query.ts'
import { someNode } from '../../sydraql/rewrite.ts'
import type { QueryParameters } from '../../types.ts'

/** Throws `unsupported_feature`, and whatever is wrong with the parameters. */
export function prepareLive(
  prepared: Prepared,
  params: QueryParameters,
  context: LiveContext,
  nowUs: number,
): LiveQuery {
  if (prepared.statement !== 'select' || prepared.explain !== undefined) {
    const what = prepared.explain === undefined ? prepared.statement : 'explain'
    throw new SydraError('unsupported_feature', `${what} cannot be live`, {
      hint: 'a live query is a select; run anything else with query',
    })
  }
  const source = {
    dependsOnNow: readsNow(prepared.query),
    planAt: (at: number, withoutRules: ReadonlySet<string>) => bind(prepared, params, at, { withoutRules }).plan,
  }
  return planLive(source, context, nowUs)
}

function readsNow(query: Query): boolean {
  let found = false
  mapQuery(query, {
    expr(expr) {
      found ||= someNode(expr, ({ kind }) => kind === 'now')
      return expr
    },
    count: count => count,
    called: () => {},
  })
  return found
}
