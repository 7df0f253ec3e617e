/**
 * The keeper of an aggregate's groups: what each step does to them.
 *
 *   rows at the end of their series   added to the states of their cell, which are made of the version before where they are not kept
 *   late rows                         added as well, unless they change rows that are there
 *   deletes, changed rows             their cells made again, of the version after
 *   the lower bound moves             rows leave their cell by its edge
 *   the upper bound moves             rows that are there already are added
 *
 * Invariants:
 * 1. What is kept is as of the moment after the last step: a step from another begins anew.
 * 2. A cell's part of a step is told in one way: by what was touched in it, or by its rows before and after.
 * 3. No state is corrected by taking away.
 */
import type { Batch } from '../../../columnar/batch.ts'
import { assert } from '../../../lib/assert.ts'
import { coarsestWidthUs } from '../../../storage/rollup/widths.ts'
import type { TimeRange } from '../../../sydraql/plan.ts'
import { everything, intersection, isEmptyRange } from '../../../sydraql/time-range.ts'
import type { Aggregator } from '../../aggregate/aggregator.ts'
import type { BatchStream } from '../../operator.ts'
import { rowKeyOf, sameRow, tooManyRows } from '../difference.ts'
import type { LiveParts } from '../parts.ts'
import { createReaders } from '../readers.ts'
import { rowsAt } from '../run-at.ts'
import { sameButRanges } from '../same-plan.ts'
import { disjoint, type Scope, scopesOfDeletes, scopesOfLate, seriesIdsMax } from '../scope.ts'
import type { LiveContext, LiveRow, Moment, Step } from '../types.ts'
import { cutByCell, onlyCellOf, type PartOfBatch } from './by-cell.ts'
import { type Aggregations, Cell, type GroupChanges, type LeaveReader } from './cell.ts'
import { Cells } from './cells.ts'
import { compileGroups } from './compile.ts'
import { type Grid, gridOf } from './grid.ts'
import { addRows, type GroupInput, lastTimeUs, restrictedTo, rowsOf, within } from './input.ts'
import { type LateSink, lookAtLate } from './late.ts'
import { type SeriesGroups, seriesGroups } from './series-groups.ts'
import { isQuiet, mayBeRolledUp, type Sight, sameSight, scopesOfExpiry, sightOf, type Work, workOf } from './work.ts'

export class GroupKeeper {
  readonly #context: LiveContext
  readonly #inputAt: (nowUs: number) => GroupInput
  readonly #aggregations: Aggregations
  readonly #grid: Grid
  readonly #cells: Cells
  readonly #readers: ReturnType<typeof createReaders>
  readonly #seriesGroups: SeriesGroups | undefined
  readonly #keyOf: (row: LiveRow) => unknown
  /** As of when the cells are; undefined: there are none. */
  #at: { readonly lsn: number; readonly nowUs: number; readonly seen: Sight } | undefined

  /** `inputAt` gives the very same input for the same plan. */
  constructor({ context }: LiveParts, input: GroupInput, inputAt: (nowUs: number) => GroupInput) {
    const { keys } = input.aggregate
    this.#context = context
    this.#inputAt = inputAt
    this.#aggregations = compileGroups(input, context)
    this.#grid = gridOf(keys.find(key => key.bucket !== undefined)?.bucket)
    this.#cells = new Cells(context.bytesMax, this.#grid.isWhole)
    this.#readers = createReaders(context)
    this.#seriesGroups = seriesGroups(input, context)
    this.#keyOf = rowKeyOf([...keys.keys()])
  }

  get byteLength(): number {
    const { plain, counted } = this.#aggregations
    return this.#cells.memory.bytes + this.#readers.byteLength + plain.heldBytes() + counted.heldBytes()
  }

  /** What the step changes, each group once. */
  step(step: Step): GroupChanges | Promise<GroupChanges> {
    try {
      const work = this.#begin(step)
      const pending = isQuiet(work) ? this.#append(work.bound.appended(work, []), work) : this.#carryOut(work)
      if (pending === undefined) return this.#end(work)
      return pending
        .then(() => this.#end(work))
        .catch((error: unknown) => {
          this.forget()
          throw error
        })
    } catch (error) {
      this.forget()
      throw error
    }
  }

  forget(): void {
    this.#cells.clear()
    this.#readers.forget()
    this.#at = undefined
  }

  /** Whether what is kept is as of this moment: a later version shows the query the same where no step led to it. */
  isAt(moment: Moment): boolean {
    return this.#isAt(moment, sightOf(this.#inputAt(moment.nowUs), moment, this.#context))
  }

  #isAt({ version, nowUs }: Moment, seen: Sight): boolean {
    const at = this.#at
    return at !== undefined && at.lsn <= version.lsn && at.nowUs === nowUs && sameSight(at.seen, seen)
  }

  #begin(step: Step): Work {
    const inputBefore = this.#inputAt(step.before.nowUs)
    const inputAfter = this.#inputAt(step.after.nowUs)
    const seenBefore = sightOf(inputBefore, step.before, this.#context)
    const seenAfter = sightOf(inputAfter, step.after, this.#context)
    if (!this.#isAt(step.before, seenBefore)) this.forget()
    this.#cells.beginStep()
    return workOf(step, { inputBefore, inputAfter, seenBefore, seenAfter, bound: this.#readers.at(inputAfter.rows) })
  }

  async #carryOut(work: Work): Promise<void> {
    const { inputBefore: a, inputAfter: b, seenBefore, seenAfter, bound } = work
    const goesBack = seenAfter.lowUs < seenBefore.lowUs || b.range.toUs < a.range.toUs
    const isOther = seenBefore.countsHorizons !== seenAfter.countsHorizons || !sameButRanges(a.aggregate, b.aggregate)
    if (goesBack || isOther) return this.#settle(everything, work)
    for (const range of united(this.#rangesToSettle(work))) await this.#settle(range, work)
    if (seenAfter.lowUs > seenBefore.lowUs) await this.#leave(work)
    if (b.range.toUs > a.range.toUs) await this.#enter(work)
    const late = disjoint(scopesOfLate(work.rows, bound.isRead))
    work.scopes.push(...late)
    for (const scope of late) await this.#addLate(scope, work)
    for (const { range, series } of work.changed.values())
      if (!isWithin(range, work.settled)) await this.#remakeSome(await this.#cell(range, work), series, work)
    await this.#append(bound.appended(work, work.scopes), work)
  }

  /** Rows before the lower bound go, of the cell that it is in. */
  async #leave(work: Work): Promise<void> {
    const { before, inputBefore, inputAfter, seenBefore, seenAfter } = work
    const range = this.#grid.cellOf(seenAfter.lowUs)
    if (isWithin(range, work.settled)) return
    const gone = { fromUs: Math.max(seenBefore.lowUs, range.fromUs), toUs: seenAfter.lowUs }
    const reader = this.#leaveReader(work)
    const isSure = inputBefore.range.fromUs !== inputAfter.range.fromUs
    if (!isSure && !this.#cells.has(range) && !(await hasRows(reader.rows(gone)))) return
    const cell = await this.#cell(range, work)
    await cell.leave(gone, before.nowUs, isSure, reader)
  }

  /** Rows after the upper bound of before come. */
  async #enter(work: Work): Promise<void> {
    const { before, inputBefore, inputAfter, seenAfter } = work
    const range = { fromUs: Math.max(inputBefore.range.toUs, seenAfter.lowUs), toUs: inputAfter.range.toUs }
    if (isEmptyRange(range)) return
    for await (const batch of rowsOf(inputAfter, range, before, this.#context)) await this.#add(batch, work)
  }

  /** Cells that the lower bound has passed, that rows were deleted of, and where buckets of rollups stand for what expired. */
  #rangesToSettle(work: Work): TimeRange[] {
    const { deletes, inputAfter, bound, seenBefore, seenAfter } = work
    const ranges: TimeRange[] = []
    if (seenAfter.lowUs > seenBefore.lowUs) ranges.push(...this.#rangesPassed(seenBefore, seenAfter))
    const visible = { fromUs: seenAfter.lowUs, toUs: inputAfter.range.toUs }
    const scopes = scopesOfDeletes(deletes, bound.isRead)
    if (!seenAfter.countsHorizons) scopes.push(...scopesOfExpiry(work, this.#context))
    const seen = disjoint(scopes.map(scope => ({ ...scope, ...intersection(scope, visible) })))
    if (this.#grid.isWhole && ranges.length === 0 && seen.every(({ series }) => series !== undefined)) {
      for (const { series } of seen) for (const ordinal of series!) this.#change(everything, ordinal, work)
      return []
    }
    return [...ranges, ...seen.map(scope => this.#grid.around(scope))]
  }

  #rangesPassed(before: Sight, { lowUs, ...after }: Sight): TimeRange[] {
    // Buckets of rollups leave as a whole, and finer ones may stand for what is left of one.
    if (mayBeRolledUp({ lowUs, ...after }, before.lowUs)) {
      const around = { fromUs: before.lowUs - coarsestWidthUs, toUs: lowUs + coarsestWidthUs }
      return [this.#grid.around(around)]
    }
    const { fromUs } = this.#grid.cellOf(lowUs)
    return before.lowUs < fromUs ? [{ fromUs: -Infinity, toUs: fromUs }] : []
  }

  /** Tells what the step changes in whole cells by their rows before and after. */
  async #settle(range: TimeRange, work: Work): Promise<void> {
    const kept = this.#cells.within(range)
    if (this.#grid.isWhole && kept.length > 0) return this.#remake(kept[0]!, work)
    for (const cell of kept) this.#cells.drop(cell)
    const { before, after, inputBefore, inputAfter } = work
    const rowsBefore = await rowsAt(within(inputBefore.aggregate, range), before, this.#context)
    const seen = intersection(range, { fromUs: work.seenAfter.lowUs, toUs: Infinity })
    const isSeen = !isEmptyRange(intersection(seen, inputAfter.range)) || inputAfter.aggregate.keys.length === 0
    const rowsAfter = isSeen ? await rowsAt(within(inputAfter.aggregate, range), after, this.#context) : []
    this.#compare(rowsBefore, rowsAfter, work)
    work.settled.push(range)
  }

  /** The same for a cell that is kept, and goes on being. */
  async #remake(cell: Cell, work: Work): Promise<void> {
    const { after, inputAfter } = work
    const { range } = cell
    const rowsBefore = cell.takeRowsBefore()
    this.#cells.drop(cell)
    const made = await Cell.of(range, this.#aggregations, this.#cells.memory, to =>
      addRows(to, inputAfter, range, after, this.#context),
    )
    this.#cells.add(made)
    this.#compare(rowsBefore, made.readAll(), work)
    work.settled.push(range)
  }

  /** Makes the groups of some series again, of the version after; where they are not told by their series, the cell. */
  async #remakeSome(cell: Cell, series: Iterable<number>, work: Work): Promise<void> {
    const shared = cell.canRemakeSome ? this.#seriesGroups?.sharing(new Set(series)) : undefined
    if (shared === undefined || shared.series.length > seriesIdsMax) return this.#remake(cell, work)
    const { metric, keyOf } = this.#seriesGroups!
    const { fromUs, toUs } = cell.range
    const scope: Scope = { metric, fromUs, toUs, series: shared.series }
    const input = restrictedTo(work.inputAfter, scope, this.#context)
    await cell.remakeSome(
      keys => shared.keys.has(keyOf(keys)),
      to => addRows(to, input, cell.range, work.after, this.#context),
    )
    work.scopes.push(scope)
  }

  #compare(rowsBefore: readonly LiveRow[], rowsAfter: readonly LiveRow[], { changes }: Work): void {
    const left = new Map(rowsBefore.map(row => [this.#keyOf(row), row]))
    for (const after of rowsAfter) {
      const key = this.#keyOf(after)
      const before = left.get(key)
      left.delete(key)
      if (before === undefined || !sameRow(before, after)) changes.push(before, after)
    }
    for (const before of left.values()) changes.push(before, undefined)
  }

  async #addLate(scope: Scope, work: Work): Promise<void> {
    const branch = work.bound.branches.get(scope.metric)
    assert(branch !== undefined, 'a commit of a metric that the query reads')
    const sink: LateSink = {
      add: batch => this.#add(batch, work),
      complete: (batch, rowsOfSlot) => this.#complete(batch, rowsOfSlot, work),
      change: (timeUs, series) => this.#change(this.#grid.cellOf(timeUs), series, work),
    }
    const range = { fromUs: work.seenAfter.lowUs, toUs: work.inputAfter.range.toUs }
    await lookAtLate(scope, range, branch, this.#aggregations.plain, work, this.#context, sink)
  }

  #change(range: TimeRange, series: number, { changed }: Work): void {
    const known = changed.get(range.fromUs)
    if (known === undefined) changed.set(range.fromUs, { range, series: new Set([series]) })
    else known.series.add(series)
  }

  async #complete(batch: Batch, rowsOfSlot: readonly (Uint32Array | undefined)[], work: Work): Promise<void> {
    const times = this.#timesOf(batch)
    const series = batch.columns[this.#aggregations.plain.seriesColumn]!.values
    for (const part of cutByCell(batch, times, this.#grid)) {
      if (isWithin(part.range, work.settled)) continue
      const cell = await this.#cell(part.range, work)
      const own = new Set(part.batch.selection)
      const inFront = (row: number): boolean => own.has(row) && cell.isInFront(times[row]!)
      for (const row of own) if (!cell.isInFront(times[row]!)) this.#change(part.range, series[row]!, work)
      const selection = Uint32Array.from(own).filter(inFront)
      if (selection.length === 0) continue
      const rows = rowsOfSlot.map(some => some?.filter(inFront))
      cell.addTo({ ...batch, selection }, rows)
    }
  }

  #append(batches: Generator<Batch>, work: Work): Promise<void> | undefined {
    for (let next = batches.next(); next.done !== true; next = batches.next()) {
      const pending = this.#add(next.value, work)
      if (pending !== undefined) return pending.then(() => this.#append(batches, work))
    }
    return undefined
  }

  /** Adds rows to their cells. */
  #add(batch: Batch, work: Work): Promise<void> | undefined {
    const times = this.#timesOf(batch)
    const range = onlyCellOf(batch, times, this.#grid)
    if (range === undefined) return this.#addParts(cutByCell(batch, times, this.#grid), work)
    if (work.settled.length > 0 && isWithin(range, work.settled)) return undefined
    const cell = this.#cells.get(range)
    if (cell === undefined) return this.#cell(range, work).then(made => made.add(batch))
    cell.add(batch)
    return undefined
  }

  async #addParts(parts: readonly PartOfBatch[], work: Work): Promise<void> {
    for (const { range, batch } of parts) if (!isWithin(range, work.settled)) (await this.#cell(range, work)).add(batch)
  }

  #timesOf({ columns }: Batch): Float64Array {
    return columns[this.#aggregations.plain.timeColumn]!.values as Float64Array
  }

  /** The cell; where it is not kept, of the version before. */
  async #cell(range: TimeRange, { before, inputBefore }: Work): Promise<Cell> {
    const kept = this.#cells.get(range)
    if (kept !== undefined) return kept
    const made = await Cell.of(range, this.#aggregations, this.#cells.memory, to =>
      addRows(to, inputBefore, range, before, this.#context),
    )
    this.#cells.add(made)
    return made
  }

  #leaveReader({ before, inputBefore }: Work): LeaveReader {
    return {
      lastTimeUs: range => lastTimeUs(inputBefore, range, before, this.#context),
      rows: range => rowsOf(inputBefore, range, before, this.#context),
      addRows: (aggregator: Aggregator, range) => addRows(aggregator, inputBefore, range, before, this.#context),
    }
  }

  #end({ changes, after, seenAfter }: Work): GroupChanges {
    this.#cells.endStep(changes)
    const { rowsMax } = this.#context
    if (changes.length > rowsMax) throw tooManyRows(rowsMax)
    this.#at = { lsn: after.version.lsn, nowUs: after.nowUs, seen: seenAfter }
    return changes
  }
}

async function hasRows(stream: BatchStream): Promise<boolean> {
  for await (const _ of stream) return true
  return false
}

/** Those that overlap as one. */
function united(ranges: readonly TimeRange[]): TimeRange[] {
  const out: TimeRange[] = []
  for (const { fromUs, toUs } of ranges.toSorted((a, b) => a.fromUs - b.fromUs)) {
    const last = out.at(-1)
    if (last !== undefined && fromUs < last.toUs)
      out[out.length - 1] = { fromUs: last.fromUs, toUs: Math.max(last.toUs, toUs) }
    else out.push({ fromUs, toUs })
  }
  return out
}

const isWithin = (range: TimeRange, ranges: readonly TimeRange[]): boolean =>
  ranges.some(({ fromUs, toUs }) => range.fromUs >= fromUs && range.toUs <= toUs)
