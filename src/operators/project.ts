/** Project computes the columns of its items, row for row. */
import type { Batch, Column, Schema } from '../columnar/batch.ts'
import { rowCount } from '../columnar/batch.ts'
import type { ProjectNode } from '../sydraql/plan.ts'
import { compile } from './compile.ts'
import type { BatchStream } from './operator.ts'

export async function* project(
  node: Pick<ProjectNode, 'items' | 'schema'>,
  inputSchema: Schema,
  input: BatchStream,
): BatchStream {
  const projected = projection(node, inputSchema)
  for await (const batch of input) if (rowCount(batch) > 0) yield projected(batch)
}

/** The same for one batch; its columns are overwritten by the next call. */
export function projection(node: Pick<ProjectNode, 'items' | 'schema'>, inputSchema: Schema): (batch: Batch) => Batch {
  const items = node.items.map(item => compile(item.expr, inputSchema))
  return batch => {
    const columns = items.map((item, i): Column => {
      const column = item.evaluate(batch)
      const type = node.schema[i]!.type
      if (column.type === type) return column
      // An integer is a float as it is; the bare null takes any type.
      return column.type !== 'string' && column.type !== 'boolean' && type !== 'string' && type !== 'boolean'
        ? { ...column, type }
        : nullColumn(type, batch.length)
    })
    return { length: batch.length, columns, selection: batch.selection }
  }
}

function nullColumn(type: Schema[number]['type'], length: number): Column {
  const valid = new Uint8Array(length)
  if (type === 'string') return { type, values: new Uint32Array(length), valid, dictionary: { size: 0, at: () => '' } }
  if (type === 'boolean') return { type, values: new Uint8Array(length), valid }
  return { type, values: new Float64Array(length), valid }
}
