/**
 * Fill makes a row for every bucket of every group.
 *
 *   in   an aggregate's rows               10:00 a 1   10:02 a 3   10:01 b 5
 *   out  buckets × groups, same order      10:00 a 1   10:00 b ·   10:01 a ·   10:01 b 5   10:02 a 3   10:02 b ·
 *
 * Invariants:
 * 1. Buckets run from the range's first to its last; on an unbounded side from the data's first or to its last.
 * 2. Only value columns are filled, where a row is missing or its value is null; groups are those of the data.
 * 3. More than `pointsMax` rows throw `too_many_points`, before any is made.
 * 4. Rows before the range's first bucket are not yielded; `previous` with a look-back carries from them.
 * 5. A row that `kept` drops is neither carried from nor put out, and its bucket stays empty; a group without a row that is
 *    kept has none at all.
 */
import { columnIndex, type Schema } from '../columnar/batch.ts'
import { BatchBuilder } from '../columnar/builder.ts'
import { compareScalars, type Scalar, valueAt } from '../columnar/value.ts'
import { SydraError } from '../lib/errors.ts'
import type { FillMode, FillNode } from '../sydraql/plan.ts'
import { type BucketFunction, bucketFunction } from './buckets.ts'
import type { Execution } from './execution.ts'
import type { BatchStream } from './operator.ts'
import { compilePredicate } from './predicate.ts'

/** Rows a fill may make. */
export const pointsMax = 2_000_000

/** One combination of keys with its rows' values by bucket. */
interface Group {
  readonly keys: readonly Scalar[]
  /** Bucket starts, ascending, and the values of each value column there. */
  readonly starts: number[]
  readonly values: (readonly Scalar[])[]
  /** Buckets whose row was not kept. */
  readonly dropped: Set<number>
  /** How many of them lie before the bucket that is being made. */
  passed: number
  /** Per value column the last of those with a value, or -1; and where to look for the next one with a value. */
  readonly before: number[]
  readonly after: number[]
}

export async function* fill(node: FillNode, schema: Schema, input: BatchStream, execution: Execution): BatchStream {
  const groups: Group[] = []
  try {
    await collect(groups, node, schema, input, execution)
    const functions = bucketFunction(node.bucket)
    const { first, last } = extentOf(node, functions, groups)
    // What looks back may have brought groups that have no data in the range itself.
    const within = groups.filter(group => group.starts.some(start => start >= first && start <= last))
    if (within.length === 0) return
    const buckets = bucketStarts(functions, first, last, within.length)
    const bucketIndex = columnIndex(node.schema, node.bucketColumn)
    const keyIndexes = node.keyColumns.map(name => columnIndex(node.schema, name))
    const valueIndexes = node.valueColumns.map(name => columnIndex(node.schema, name))
    const out = new BatchBuilder(node.schema, Math.min(execution.batchRows, buckets.length * within.length))
    const row: Scalar[] = new Array(node.schema.length).fill(null)
    for (const startUs of buckets) {
      for (const group of within) {
        if (group.dropped.has(startUs)) continue
        row[bucketIndex] = startUs
        for (let k = 0; k < keyIndexes.length; k++) row[keyIndexes[k]!] = group.keys[k]!
        advance(group, startUs)
        for (let v = 0; v < valueIndexes.length; v++) row[valueIndexes[v]!] = valueFor(node.mode, group, v, startUs)
        out.push(row)
        if (out.length < execution.batchRows) continue
        yield out.batch()
        out.clear()
        await execution.pace()
      }
    }
    if (out.length > 0) yield out.batch()
  } finally {
    execution.memory.release(groups)
    await input.return()
  }
}

/** Reads all rows into groups, which end up in the order of their keys, nulls last. */
async function collect(
  groups: Group[],
  node: FillNode,
  schema: Schema,
  input: BatchStream,
  execution: Execution,
): Promise<void> {
  const bucketIndex = columnIndex(schema, node.bucketColumn)
  const keyIndexes = node.keyColumns.map(name => columnIndex(schema, name))
  const valueIndexes = node.valueColumns.map(name => columnIndex(schema, name))
  const keep = node.kept && compilePredicate(node.kept, schema, execution.kernels)
  const byKeys = new Map<string, Group>()
  let rows = 0
  for await (const batch of input) {
    const count = batch.selection?.length ?? batch.length
    // An ascending part of the batch's rows; undefined: all of them.
    const kept = keep?.(batch)
    let nextKept = 0
    for (let k = 0; k < count; k++) {
      const row = batch.selection === undefined ? k : batch.selection[k]!
      const keys = keyIndexes.map(index => valueAt(batch.columns[index]!, row))
      const name = keys.map(keyName).join('\u0000')
      let group = byKeys.get(name)
      if (group === undefined) {
        const before = valueIndexes.map(() => -1)
        const after = valueIndexes.map(() => 0)
        group = { keys, starts: [], values: [], dropped: new Set(), passed: 0, before, after }
        byKeys.set(name, group)
        groups.push(group)
      }
      const isKept = kept === undefined || kept[nextKept] === row
      if (isKept) nextKept++
      const start = valueAt(batch.columns[bucketIndex]!, row)
      if (start === null) continue
      if (!isKept) {
        group.dropped.add(start as number)
        continue
      }
      group.starts.push(start as number)
      group.values.push(valueIndexes.map(index => valueAt(batch.columns[index]!, row)))
    }
    rows += count
    execution.memory.hold(groups, rows * (40 + 16 * valueIndexes.length))
  }
  groups.sort(byKeyOrder)
}

const keyName = (key: Scalar): string => (typeof key === 'string' ? JSON.stringify(key) : String(key === 0 ? 0 : key))

function byKeyOrder(a: Group, b: Group): number {
  for (let k = 0; k < a.keys.length; k++) {
    const left = a.keys[k]!
    const right = b.keys[k]!
    if (left === null || right === null) {
      if (left !== right) return left === null ? 1 : -1
      continue
    }
    const order = compareScalars(left, right)
    if (order !== 0) return order
  }
  return 0
}

/** The first and last bucket to fill; nothing where there is no data. */
function extentOf({ range }: FillNode, functions: BucketFunction, groups: readonly Group[]) {
  let first = Infinity
  let last = -Infinity
  for (const { starts } of groups) {
    if (starts.length === 0) continue
    first = Math.min(first, starts[0]!)
    last = Math.max(last, starts.at(-1)!)
  }
  if (first === Infinity) return { first, last }
  return {
    first: Number.isFinite(range.fromUs) ? functions.floor(range.fromUs) : first,
    last: Number.isFinite(range.toUs) ? functions.floor(range.toUs - 1) : last,
  }
}

function bucketStarts(functions: BucketFunction, first: number, last: number, groups: number): number[] {
  const starts: number[] = []
  for (let startUs = first; startUs <= last; startUs = functions.next(startUs)) {
    starts.push(startUs)
    if (starts.length * groups > pointsMax)
      throw new SydraError('too_many_points', `fill would make more than ${pointsMax} rows`, {
        hint: 'widen the buckets or narrow the time range',
      })
  }
  return starts
}

/** Passes the rows before the bucket at `startUs`. Buckets ascend, so that each row is passed once. */
function advance(group: Group, startUs: number): void {
  const { starts, values, before } = group
  for (; group.passed < starts.length && starts[group.passed]! < startUs; group.passed++)
    for (let column = 0; column < before.length; column++)
      if (values[group.passed]![column] !== null) before[column] = group.passed
}

/** The value of a column in the bucket at `startUs`; `group.passed` rows lie before it. */
function valueFor(mode: FillMode, group: Group, column: number, startUs: number): Scalar {
  const { starts, values, passed } = group
  const known = starts[passed] === startUs ? values[passed]![column]! : null
  if (known !== null || mode.kind === 'null') return known
  if (mode.kind === 'constant') return mode.value
  const before = group.before[column]!
  if (before < 0) return null
  if (mode.kind === 'previous')
    return mode.lookbackUs !== undefined && startUs - starts[before]! > mode.lookbackUs
      ? null
      : values[before]![column]!
  let after = Math.max(group.after[column]!, passed)
  while (after < starts.length && values[after]![column] === null) after++
  group.after[column] = after
  if (after === starts.length) return null
  return between(
    values[before]![column]!,
    values[after]![column]!,
    (startUs - starts[before]!) / (starts[after]! - starts[before]!),
  )
}

function between(low: Scalar, high: Scalar, share: number): Scalar {
  if (typeof low !== 'number' || typeof high !== 'number') return null
  return low === high ? low : low + (high - low) * share
}
