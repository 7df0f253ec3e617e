/**
 * Late rows: what those that may merge with others are to the groups that are kept.
 *
 *   nothing was at its series and time            it is added, as any other
 *   a row was there, and what is read is the same nothing
 *   a row was there, without some of the values   they are added to the states that had none of it: fields that come apart
 *   a row was there with other values             the groups of its time have to be made again
 *
 * Invariant: rows are compared as the version before the step and the one after it have them, merged, in order of series and
 * time; how they merge is nobody's business here.
 */
import { type Batch, type Column, columnIndex, type Schema } from '../../../columnar/batch.ts'
import { BatchBuilder } from '../../../columnar/builder.ts'
import { type Scalar, valueAt } from '../../../columnar/value.ts'
import { assert } from '../../../lib/assert.ts'
import type { FilterNode, ScanNode, TimeRange } from '../../../sydraql/plan.ts'
import { type Aggregation, compileAggregation } from '../../aggregate/aggregation.ts'
import type { BatchStream } from '../../operator.ts'
import type { Branch } from '../branches.ts'
import { openAt } from '../run-at.ts'
import { restricted, type Scope } from '../scope.ts'
import { compileSteps } from '../steps.ts'
import type { LiveContext, Moment, Step } from '../types.ts'
import { within } from './input.ts'

/** Rows that are looked at together. */
const pairsMax = 1024

export interface LateSink {
  /** Rows that are new to the groups; borrowed. */
  add(batch: Batch): Promise<void> | undefined
  /** Rows that are there: some slots have a value of them now. */
  complete(batch: Batch, rowsOfSlot: readonly (Uint32Array | undefined)[]): Promise<void> | undefined
  /** The groups of the row are others now. */
  change(timeUs: number, series: number): void
}

/** Tells the sink what the step did to the scope's rows in the range. */
export async function lookAtLate(
  scope: Scope,
  range: TimeRange,
  branch: Branch,
  aggregation: Aggregation,
  step: Step,
  context: LiveContext,
  sink: LateSink,
): Promise<void> {
  const scan = unfiltered(branch.scan)
  const plan = within(restricted(scan, scope, context.catalog), range)
  const open = (at: Moment): BatchStream => openAt(plan, at, context)
  const pairs = new Pairs(scan.schema, branch, aggregation, context, sink)
  const ranks = context.catalog.ranks(context.catalog.metric(scan.metric)!.id)
  const [time, series] = [columnIndex(scan.schema, 'time'), columnIndex(scan.schema, 'series')]
  assert(time >= 0 && series >= 0, 'the input has the time and the series of rows')
  const fields = [...scan.schema.keys()].filter(index => scan.schema[index]!.name.startsWith('field.'))
  const through = throughOf(branch, context)
  const before = new Cursor(open(step.before))
  const after = open(step.after)
  try {
    await before.fill()
    for await (const batch of after) {
      const fresh = new Uint32Array(batch.length)
      let count = 0
      const [times, ordinals] = [batch.columns[time]!.values, batch.columns[series]!.values]
      for (let row = 0; row < batch.length; row++) {
        const [timeUs, rank] = [times[row]!, ranks[ordinals[row]!]!]
        let isThere = false
        while (before.batch !== undefined && !isThere) {
          const { batch: old, row: at } = before
          const oldTimeUs = old.columns[time]!.values[at]!
          const oldRank = ranks[old.columns[series]!.values[at]!]!
          if (oldRank > rank || (oldRank === rank && oldTimeUs > timeUs)) break
          isThere = oldRank === rank && oldTimeUs === timeUs
          if (!isThere) sink.change(oldTimeUs, old.columns[series]!.values[at]!)
          else if (!fields.every(field => isSame(old.columns[field]!, at, batch.columns[field]!, row)))
            pairs.add(old, at, batch, row)
          if (before.pass()) await before.fill()
        }
        if (!isThere) fresh[count++] = row
        if (pairs.length >= pairsMax) await pairs.settle()
      }
      const passing = count === 0 ? undefined : through({ ...batch, selection: fresh.subarray(0, count) })
      if (passing !== undefined) await sink.add(passing)
    }
    for (; before.batch !== undefined; before.pass() && (await before.fill()))
      sink.change(before.batch.columns[time]!.values[before.row]!, before.batch.columns[series]!.values[before.row]!)
    await pairs.settle()
  } finally {
    await before.close()
  }
}

const unfiltered = (scan: ScanNode): ScanNode => ({ ...scan, rowPredicate: undefined, order: 'series,time' })

/** What the scan's row predicate and the steps after it make of rows of the scan. */
function throughOf({ scan, steps }: Branch, { kernels }: LiveContext): (batch: Batch) => Batch | undefined {
  const { rowPredicate: predicate, schema } = scan
  const filter: FilterNode[] = predicate === undefined ? [] : [{ kind: 'filter', input: scan, predicate, schema }]
  return compileSteps([...filter, ...steps], kernels)
}

/** Rows as they were and as they are. */
class Pairs {
  readonly #sink: LateSink
  readonly #timeColumn: number
  readonly #seriesColumn: number
  readonly #before: Side
  readonly #after: Side

  constructor(
    schema: Schema,
    branch: Branch,
    { node, input, order }: Aggregation,
    context: LiveContext,
    sink: LateSink,
  ) {
    const side = (): Side => ({
      rows: new BatchBuilder(schema),
      through: throughOf(branch, context),
      aggregation: compileAggregation(node, input, order, context.kernels),
    })
    this.#sink = sink
    this.#timeColumn = columnIndex(schema, 'time')
    this.#seriesColumn = columnIndex(schema, 'series')
    this.#before = side()
    this.#after = side()
  }

  get length(): number {
    return this.#after.rows.length
  }

  add(before: Batch, beforeRow: number, after: Batch, afterRow: number): void {
    this.#before.rows.gather(before, Uint32Array.of(beforeRow))
    this.#after.rows.gather(after, Uint32Array.of(afterRow))
  }

  async settle(): Promise<void> {
    if (this.length === 0) return
    const [before, after] = [passing(this.#before), passing(this.#after)]
    const came: number[] = []
    const stayed: number[] = []
    for (let row = 0; row < this.length; row++) {
      if (after.passes[row] === 1) (before.passes[row] === 1 ? stayed : came).push(row)
      else if (before.passes[row] === 1) this.#change(row)
    }
    if (came.length > 0) await this.#sink.add({ ...after.batch!, selection: Uint32Array.from(came) })
    if (stayed.length > 0) await this.#complete(before.batch!, after.batch!, stayed)
    this.#before.rows.clear()
    this.#after.rows.clear()
  }

  #change(row: number): void {
    const { columns } = this.#after.rows.batch()
    this.#sink.change(columns[this.#timeColumn]!.values[row]!, columns[this.#seriesColumn]!.values[row]!)
  }

  async #complete(before: Batch, after: Batch, rows: readonly number[]): Promise<void> {
    const selection = Uint32Array.from(rows)
    const keys = valuesOf(this.#before, this.#after, { ...before, selection }, { ...after, selection })
    const isChanged = new Uint8Array(after.length)
    const rowsOfSlot = keys.slots.map(({ old, now }) =>
      rows.filter(row => {
        if (old.every((column, i) => isSame(column, row, now[i]!, row))) return false
        // States skip rows without the last argument: the value, or what it is chosen by.
        if (valueAt(old.at(-1)!, row) !== null) isChanged[row] = 1
        return true
      }),
    )
    for (const { old, now } of keys.keys) for (const row of rows) if (!isSame(old, row, now, row)) isChanged[row] = 1
    for (const row of rows) if (isChanged[row] === 1) this.#change(row)
    const completed = rowsOfSlot.map(some => some.filter(row => isChanged[row] === 0))
    const any = new Set(completed.flat())
    if (any.size === 0) return
    const lists = completed.map(some => (some.length === 0 ? undefined : Uint32Array.from(some)))
    await this.#sink.complete({ ...after, selection: Uint32Array.from(any).sort() }, lists)
  }
}

interface Side {
  readonly rows: BatchBuilder
  readonly through: (batch: Batch) => Batch | undefined
  readonly aggregation: Aggregation
}

function passing({ rows, through }: Side): { batch: Batch | undefined; passes: Uint8Array } {
  const batch = through(rows.batch())
  const passes = new Uint8Array(rows.length)
  if (batch === undefined) return { batch, passes }
  if (batch.selection === undefined) passes.fill(1)
  else for (const row of batch.selection) passes[row] = 1
  return { batch, passes }
}

/** Keys, and arguments by slot, of the same rows before and after. */
function valuesOf(a: Side, b: Side, before: Batch, after: Batch) {
  return {
    keys: a.aggregation.keys.map((key, i) => ({
      old: key.evaluate(before),
      now: b.aggregation.keys[i]!.evaluate(after),
    })),
    slots: a.aggregation.slots.map((slot, i) => ({
      old: argumentsOf(slot, before),
      now: argumentsOf(b.aggregation.slots[i]!, after),
    })),
  }
}

const argumentsOf = ({ evaluator, secondEvaluator }: Aggregation['slots'][number], batch: Batch): readonly Column[] =>
  [evaluator, secondEvaluator].filter(each => each !== undefined).map(each => each.evaluate(batch))

function isSame(a: Column, aRow: number, b: Column, bRow: number): boolean {
  const [one, other]: [Scalar, Scalar] = [valueAt(a, aRow), valueAt(b, bRow)]
  return one === other || Object.is(one, other)
}

/** A stream row by row; its batches have no selection. */
class Cursor {
  batch: Batch | undefined
  row = 0
  readonly #stream: BatchStream

  constructor(stream: BatchStream) {
    this.#stream = stream
  }

  /** True when the stream has to be asked for more. */
  pass(): boolean {
    return ++this.row === this.batch!.length
  }

  async fill(): Promise<void> {
    this.row = 0
    do {
      const { done, value } = await this.#stream.next()
      this.batch = done === true ? undefined : value
    } while (this.batch?.length === 0)
  }

  async close(): Promise<void> {
    await this.#stream.return()
  }
}
