/** Plans a scan: its order, and whether block statistics may skip. */
import type { Batch } from '../../columnar/batch.ts'
import type { End } from '../../storage/series-ends.ts'
import type { Expr } from '../../sydraql/expression.ts'
import { formatExpr } from '../../sydraql/format.ts'
import type { ScanNode } from '../../sydraql/plan.ts'
import type { Execution } from '../execution.ts'
import { instrument } from '../instrument.ts'
import { type IsSmall, openScan, type PhysicalOrder, type RollupChooser } from '../scan/scan.ts'
import type { PhysicalPlan, PlannerOptions } from './types.ts'

export interface PlannedScan {
  readonly plan: PhysicalPlan
  /** Finds the pieces; `stream` then reads them. */
  open(execution: Execution, choices?: { readonly rollups: RollupChooser | undefined }): ReturnType<typeof openScan>
}

export interface ScanChoices {
  /** Each series is read up to its first row for which this is true, which comes too; nothing of it after. */
  readonly until?: Expr | undefined
  /** See `ScanOptions`. */
  readonly end?: End | undefined
  readonly isSmall?: IsSmall | undefined
  /** Widths of rollups that may answer, for `explain`. */
  readonly rollups?: string | undefined
}

export function planScan(
  node: ScanNode,
  order: PhysicalOrder,
  options: PlannerOptions,
  { until, end, isSmall, rollups: widths }: ScanChoices = {},
): PlannedScan {
  const blockBounds = node.rowPredicate !== undefined && !options.disabledRules.has('block-bounds')
  const open: PlannedScan['open'] = (execution, { rollups } = { rollups: undefined }) =>
    openScan(node, { order, blockBounds, until, end, isSmall, rollups }, execution)
  const plan: PhysicalPlan = {
    name: 'scan',
    schema: node.schema,
    details: {
      metric: node.metric,
      ...(node.asOf === undefined ? {} : { as_of: node.asOf.ref }),
      order,
      ...(node.limit === undefined ? {} : { limit: node.limit }),
      ...(node.seriesLimit === undefined ? {} : { series_limit: node.seriesLimit }),
      ...(widths === undefined ? {} : { rollups: widths }),
      ...(until === undefined ? {} : { until: formatExpr(until) }),
    },
    rules: blockBounds ? ['block-bounds'] : [],
    inputs: [],
    open(execution) {
      return instrument(
        this,
        whenPulled(() => open(execution).batches()),
        execution,
      )
    },
  }
  return { plan, open }
}

/** Nothing is opened before the first pull. */
function* whenPulled(open: () => Generator<Batch>): Generator<Batch> {
  yield* open()
}
