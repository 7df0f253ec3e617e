/** Asks a database of the model on the engine's operators, with a rule switched off and other sizes where it says so. */
import { type Scalar, valueAt } from '../../src/columnar/value.ts'
import { nodePorts } from '../../src/lib/node/ports.ts'
import { execute } from '../../src/operators/execute.ts'
import type { ExecutionContext } from '../../src/operators/operator.ts'
import { newReadStatistics } from '../../src/storage/read-statistics.ts'
import { bind } from '../../src/sydraql/bind.ts'
import { prepare } from '../../src/sydraql/prepare.ts'
import type { ModelDatabase } from './database.ts'

export interface Way {
  readonly withoutRule?: string | undefined
  readonly disabledRule?: string | undefined
  readonly batchRows: number
  readonly windowRowsMax: number | undefined
}

/** As a query of the library runs. */
export const usualWay: Way = { batchRows: 8192, windowRowsMax: undefined }

const ports = nodePorts()

export async function ask(
  { storage }: ModelDatabase,
  { text, params }: { readonly text: string; readonly params: readonly Scalar[] },
  way: Way = usualWay,
): Promise<Scalar[][]> {
  const { catalog, versions, kernels, duplicates } = storage
  const prepared = prepare(text, catalog)
  const withoutRules = way.withoutRule === undefined ? undefined : { withoutRules: new Set([way.withoutRule]) }
  const { plan } = bind(prepared, params, 0, withoutRules)
  const version = versions.pin()
  const context: ExecutionContext = {
    version,
    catalog,
    kernels,
    clock: ports.clock,
    timers: ports.timers,
    signal: new AbortController().signal,
    batchRows: way.batchRows,
    windowRowsMax: way.windowRowsMax,
    memoryMaxBytes: 2 ** 28,
    duplicates,
    read: newReadStatistics(),
    operators: [],
  }
  const rows: Scalar[][] = []
  try {
    const disabledRules = new Set(way.disabledRule === undefined ? [] : [way.disabledRule])
    for await (const batch of execute(plan, context, { disabledRules }).stream) {
      const selected = batch.selection ?? Uint32Array.from({ length: batch.length }, (_, row) => row)
      for (const row of selected) rows.push(batch.columns.map(column => valueAt(column, row)))
    }
  } finally {
    version.release()
  }
  return rows
}
