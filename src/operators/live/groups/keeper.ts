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
import { intersection, isEmptyRange } from '../../../sydraql/time-range.ts'
import type { Aggregator } from '../../aggregate/aggregator.ts'
import type { BatchStream } from '../../operator.ts'
import { rowKeyOf, sameRow, tooManyRows } from '../difference.ts'
import type { LiveParts } from '../parts.ts'
import { type BoundReaders, createReaders } from '../readers.ts'
import { rowsAt } from '../run-at.ts'
import { sameButRanges } from '../same-plan.ts'
import { disjoint, type Scope, scopesOfDeletes, scopesOfLate, seriesIdsMax } from '../scope.ts'
import type { LiveContext, LiveRow, Moment, Step } from '../types.ts'
import { type Aggregations, Cell, GroupChanges, type LeaveReader } from './cell.ts'
import { compileGroups } from './compile.ts'
import { type Grid, gridOf } from './grid.ts'
import { addRows, type GroupInput, lastTimeUs, restrictedTo, rowsOf, within } from './input.ts'
import { type LateSink, lookAtLate } from './late.ts'
import { KeptMemory } from './memory.ts'
import { type SeriesGroups, seriesGroups } from './series-groups.ts'

/** Where groups have buckets, cells that are kept though no row comes for them. */
const cellsMax = 16

const everything: TimeRange = { fromUs: -Infinity, toUs: Infinity }

/** A step with what is read at its two moments. */
interface Work extends Step {
  readonly inputBefore: GroupInput
  readonly inputAfter: GroupInput
  /** By source. */
  readonly horizonsBeforeUs: readonly number[]
  readonly horizonsAfterUs: readonly number[]
  /** Below, no row is seen. */
  readonly lowBeforeUs: number
  readonly lowAfterUs: number
  readonly bound: BoundReaders
  readonly changes: GroupChanges
  /** What has been told by rows before and after. */
  readonly settled: TimeRange[]
  /** Rows that are not to be added as they come in commits. */
  readonly scopes: Scope[]
  /** By cell, series whose groups have to be made again. */
  readonly changed: Map<number, { readonly range: TimeRange; readonly series: Set<number> }>
}

export class GroupKeeper {
  readonly #context: LiveContext
  readonly #inputAt: (nowUs: number) => GroupInput
  readonly #aggregations: Aggregations
  readonly #grid: Grid
  readonly #memory: KeptMemory
  readonly #readers: ReturnType<typeof createReaders>
  readonly #keyOf: (row: LiveRow) => unknown
  readonly #seriesGroups: SeriesGroups | undefined
  /** By where they begin, the least lately used first. */
  readonly #cells = new Map<number, Cell>()
  #used: Cell[] = []
  #turn = 0
  /** As of when the cells are; undefined: there are none. */
  #at: { readonly lsn: number; readonly nowUs: number; readonly horizonsUs: readonly number[] } | undefined

  /** `inputAt` gives the very same input for the same plan. */
  constructor({ context }: LiveParts, input: GroupInput, inputAt: (nowUs: number) => GroupInput) {
    const { keys } = input.aggregate
    this.#context = context
    this.#inputAt = inputAt
    this.#aggregations = compileGroups(input, context)
    this.#grid = gridOf(keys.find(key => key.bucket !== undefined)?.bucket)
    this.#memory = new KeptMemory(context.bytesMax, () => this.#makeRoom())
    this.#readers = createReaders(context)
    this.#keyOf = rowKeyOf([...keys.keys()])
    this.#seriesGroups = seriesGroups(input, context)
  }

  get byteLength(): number {
    return this.#memory.bytes + this.#readers.byteLength
  }

  /** What the step changes, each group once. */
  step(step: Step): GroupChanges | Promise<GroupChanges> {
    try {
      const work = this.#begin(step)
      const pending = this.#isQuiet(work) ? this.#append(work.bound.appended(work, []), work) : this.#carryOut(work)
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
    for (const cell of this.#cells.values()) cell.release()
    this.#cells.clear()
    this.#used = []
    this.#readers.forget()
    this.#at = undefined
  }

  /** Whether what is kept is as of this moment: a later version shows the query the same where no step led to it. */
  isAt(moment: Moment): boolean {
    return this.#isAt(moment, this.#horizons(this.#inputAt(moment.nowUs), moment))
  }

  #isAt({ version, nowUs }: Moment, horizonsUs: readonly number[]): boolean {
    const at = this.#at
    return at !== undefined && at.lsn <= version.lsn && at.nowUs === nowUs && areEqual(horizonsUs, at.horizonsUs)
  }

  #begin(step: Step): Work {
    const { before, after } = step
    const inputBefore = this.#inputAt(before.nowUs)
    const inputAfter = this.#inputAt(after.nowUs)
    const horizonsBeforeUs = this.#horizons(inputBefore, before)
    const horizonsAfterUs = this.#horizons(inputAfter, after)
    if (!this.#isAt(before, horizonsBeforeUs)) this.forget()
    this.#turn++
    return {
      ...step,
      inputBefore,
      inputAfter,
      horizonsBeforeUs,
      horizonsAfterUs,
      lowBeforeUs: lowOf(inputBefore, horizonsBeforeUs, step),
      lowAfterUs: lowOf(inputAfter, horizonsAfterUs, step),
      bound: this.#readers.at(inputAfter.rows),
      changes: new GroupChanges(),
      settled: [],
      scopes: [],
      changed: new Map(),
    }
  }

  #horizons({ sources }: GroupInput, { version }: Moment): number[] {
    return sources.map(({ scan }) => {
      const metric = this.#context.catalog.metric(scan.metric)
      assert(metric !== undefined, `metric ${scan.metric} is known`)
      return version.horizonUs(metric)
    })
  }

  /** Rows came at the ends of their series, and nothing else has happened. */
  #isQuiet(work: Work): boolean {
    const { inputBefore: a, inputAfter: b, horizonsBeforeUs, horizonsAfterUs } = work
    for (const { late } of work.rows) if (late !== undefined) return false
    if (work.deletes.length > 0 || !areEqual(horizonsBeforeUs, horizonsAfterUs)) return false
    if (a === b) return true
    return (
      work.lowBeforeUs === work.lowAfterUs && a.range.toUs === b.range.toUs && sameButRanges(a.aggregate, b.aggregate)
    )
  }

  async #carryOut(work: Work): Promise<void> {
    const { inputBefore: a, inputAfter: b, lowBeforeUs, lowAfterUs, bound } = work
    const goesBack = lowAfterUs < lowBeforeUs || b.range.toUs < a.range.toUs
    if (goesBack || (a !== b && !sameButRanges(a.aggregate, b.aggregate))) return this.#settle(everything, work)
    if (lowAfterUs > lowBeforeUs) await this.#leave(work)
    if (b.range.toUs > a.range.toUs) await this.#enter(work)
    await this.#settleScopes(this.#scopesToSettle(work), work)
    const scopes = disjoint(scopesOfLate(work.rows, bound.isRead))
    work.scopes.push(...scopes)
    if (scopes.length > 0) await this.#addLate(scopes, work)
    for (const { range, series } of work.changed.values())
      if (!isWithin(range, work.settled)) await this.#remakeSome(await this.#cell(range, work), series, work)
    await this.#append(bound.appended(work, work.scopes), work)
  }

  /** Rows before the lower bound go: of whole cells, and of the one that the bound is in. */
  async #leave(work: Work): Promise<void> {
    const { before, inputBefore, lowBeforeUs, lowAfterUs } = work
    const cellFromUs = this.#grid.cellOf(lowAfterUs).fromUs
    if (lowBeforeUs < cellFromUs) await this.#settle({ fromUs: -Infinity, toUs: cellFromUs }, work)
    const gone = { fromUs: Math.max(lowBeforeUs, cellFromUs), toUs: lowAfterUs }
    const reader = this.#leaveReader(work)
    const isSure = inputBefore.range.fromUs !== work.inputAfter.range.fromUs
    if (!isSure && !this.#cells.has(cellFromUs) && !(await hasRows(reader.rows(gone)))) return
    const cell = await this.#cell(this.#grid.cellOf(lowAfterUs), work)
    await cell.leave(gone, before.nowUs, isSure, reader)
  }

  /** Rows after the upper bound of before come. */
  async #enter(work: Work): Promise<void> {
    const { before, inputBefore, inputAfter, lowAfterUs } = work
    const range = { fromUs: Math.max(inputBefore.range.toUs, lowAfterUs), toUs: inputAfter.range.toUs }
    if (isEmptyRange(range)) return
    for await (const batch of rowsOf(inputAfter, range, before, this.#context)) await this.#add(batch, work)
  }

  /** Deletes; and what expired, where it is not the lower bound that says so. */
  #scopesToSettle(work: Work): Scope[] {
    const { deletes, inputAfter, lowAfterUs, bound, horizonsBeforeUs, horizonsAfterUs } = work
    const visible = { fromUs: lowAfterUs, toUs: inputAfter.range.toUs }
    const scopes = scopesOfDeletes(deletes, bound.isRead)
    if (!boundsByHorizon(inputAfter, work)) {
      horizonsBeforeUs.forEach((horizonUs, i) => {
        // Buckets of rollups stand for what is expired, the one that the horizon cuts as well.
        if (horizonUs === horizonsAfterUs[i]) return
        const fromUs = Math.max(horizonUs, inputAfter.range.fromUs) - coarsestWidthUs
        const { metric } = inputAfter.sources[i]!.scan
        scopes.push({ metric, fromUs, toUs: horizonsAfterUs[i]! + coarsestWidthUs, series: undefined })
      })
    }
    return disjoint(scopes.map(scope => ({ ...scope, ...intersection(scope, visible) })))
  }

  async #settleScopes(scopes: readonly Scope[], work: Work): Promise<void> {
    if (this.#grid.isWhole && scopes.every(scope => scope.series !== undefined)) {
      for (const { series } of scopes) for (const ordinal of series!) this.#change(everything, ordinal, work)
      return
    }
    for (const range of united(scopes.map(scope => this.#grid.around(scope)))) await this.#settle(range, work)
  }

  /** Tells what the step changes in whole cells by their rows before and after. */
  async #settle(range: TimeRange, work: Work): Promise<void> {
    const kept = [...this.#cells.values()].filter(cell => overlap(cell.range, range))
    if (this.#grid.isWhole && kept.length > 0) return this.#remake(kept[0]!, work)
    for (const cell of kept) this.#drop(cell)
    const { before, after, inputBefore, inputAfter } = work
    const rowsBefore = await rowsAt(within(inputBefore.aggregate, range), before, this.#context)
    const seen = intersection(range, { fromUs: work.lowAfterUs, toUs: Infinity })
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
    this.#drop(cell)
    const made = await Cell.of(range, this.#aggregations, this.#memory, to =>
      addRows(to, inputAfter, range, after, this.#context),
    )
    this.#keep(made)
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
    this.#use(cell)
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

  async #addLate(scopes: readonly Scope[], work: Work): Promise<void> {
    const sink: LateSink = {
      add: batch => this.#add(batch, work),
      complete: (batch, rowsOfSlot) => this.#complete(batch, rowsOfSlot, work),
      change: (timeUs, series) => this.#change(this.#grid.cellOf(timeUs), series, work),
    }
    const range = { fromUs: work.lowAfterUs, toUs: work.inputAfter.range.toUs }
    for (const scope of scopes) {
      const branch = work.bound.branches.get(scope.metric)
      assert(branch !== undefined, 'a commit of a metric that the query reads')
      await lookAtLate(scope, range, branch, this.#aggregations.plain, work, this.#context, sink)
    }
  }

  #change(range: TimeRange, series: number, { changed }: Work): void {
    const known = changed.get(range.fromUs)
    if (known === undefined) changed.set(range.fromUs, { range, series: new Set([series]) })
    else known.series.add(series)
  }

  async #complete(batch: Batch, rowsOfSlot: readonly (Uint32Array | undefined)[], work: Work): Promise<void> {
    const times = this.#timesOf(batch)
    const series = batch.columns[this.#aggregations.plain.seriesColumn]!.values
    for (const part of this.#cut(batch)) {
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
    const range = this.#onlyCell(batch)
    if (range === undefined) return this.#addParts(this.#cut(batch), work)
    if (work.settled.length > 0 && isWithin(range, work.settled)) return undefined
    const cell = this.#cells.get(range.fromUs)
    if (cell === undefined) return this.#cell(range, work).then(made => made.add(batch))
    this.#use(cell)
    cell.add(batch)
    return undefined
  }

  async #addParts(parts: readonly { range: TimeRange; batch: Batch }[], work: Work): Promise<void> {
    for (const { range, batch } of parts) if (!isWithin(range, work.settled)) (await this.#cell(range, work)).add(batch)
  }

  /** The cell of all rows; undefined: they are of several. */
  #onlyCell(batch: Batch): TimeRange | undefined {
    const { selection, length } = batch
    const times = this.#timesOf(batch)
    const count = selection?.length ?? length
    const range = this.#grid.cellOf(times[selection === undefined ? 0 : selection[0]!]!)
    if (this.#grid.isWhole) return range
    for (let k = 1; k < count; k++) {
      const timeUs = times[selection === undefined ? k : selection[k]!]!
      if (timeUs < range.fromUs || timeUs >= range.toUs) return undefined
    }
    return range
  }

  #cut(batch: Batch): { range: TimeRange; batch: Batch }[] {
    const { selection, length } = batch
    const times = this.#timesOf(batch)
    const count = selection?.length ?? length
    const parts = new Map<number, { range: TimeRange; rows: number[] }>()
    let part: { range: TimeRange; rows: number[] } | undefined
    for (let k = 0; k < count; k++) {
      const row = selection === undefined ? k : selection[k]!
      const timeUs = times[row]!
      if (part === undefined || timeUs < part.range.fromUs || timeUs >= part.range.toUs) {
        const range = this.#grid.cellOf(timeUs)
        part = parts.get(range.fromUs)
        if (part === undefined) parts.set(range.fromUs, (part = { range, rows: [] }))
      }
      part.rows.push(row)
    }
    return Array.from(parts.values(), ({ range, rows }) => ({
      range,
      batch: { ...batch, selection: Uint32Array.from(rows) },
    }))
  }

  #timesOf({ columns }: Batch): Float64Array {
    return columns[this.#aggregations.plain.timeColumn]!.values as Float64Array
  }

  /** The cell; where it is not kept, of the version before. */
  async #cell(range: TimeRange, { before, inputBefore }: Work): Promise<Cell> {
    const kept = this.#cells.get(range.fromUs)
    if (kept !== undefined) {
      this.#use(kept)
      return kept
    }
    const made = await Cell.of(range, this.#aggregations, this.#memory, to =>
      addRows(to, inputBefore, range, before, this.#context),
    )
    this.#keep(made)
    return made
  }

  #leaveReader({ before, inputBefore }: Work): LeaveReader {
    return {
      lastTimeUs: range => lastTimeUs(inputBefore, range, before, this.#context),
      rows: range => rowsOf(inputBefore, range, before, this.#context),
      addRows: (aggregator: Aggregator, range) => addRows(aggregator, inputBefore, range, before, this.#context),
    }
  }

  #keep(cell: Cell): void {
    this.#cells.set(cell.range.fromUs, cell)
    this.#use(cell)
  }

  #use(cell: Cell): void {
    if (cell.usedIn === this.#turn) return
    cell.begin(this.#turn)
    this.#used.push(cell)
    this.#cells.delete(cell.range.fromUs)
    this.#cells.set(cell.range.fromUs, cell)
  }

  #drop(cell: Cell): void {
    cell.release()
    this.#cells.delete(cell.range.fromUs)
    const index = this.#used.indexOf(cell)
    if (index >= 0) this.#used.splice(index, 1)
  }

  #end(work: Work): GroupChanges {
    const { changes, after, horizonsAfterUs } = work
    for (const cell of this.#used) cell.takeChanges(changes)
    const { rowsMax } = this.#context
    if (changes.length > rowsMax) throw tooManyRows(rowsMax)
    const used = this.#used
    this.#used = []
    for (const cell of used) if (cell.isStale) this.#drop(cell)
    if (!this.#grid.isWhole) this.#dropOldest(cellsMax)
    this.#at = { lsn: after.version.lsn, nowUs: after.nowUs, horizonsUs: horizonsAfterUs }
    return changes
  }

  #dropOldest(most: number): void {
    for (const cell of this.#cells.values()) {
      if (this.#cells.size <= most || cell.usedIn === this.#turn) return
      this.#drop(cell)
    }
  }

  /** Cells that the step has not used can be made again. */
  #makeRoom(): void {
    this.#dropOldest(0)
  }
}

/**
 * Where the range of rows that are seen begins: with the range that is asked for, or what is not expired. Rollups may stand
 * for what is, and metrics have horizons of their own.
 */
function lowOf(input: GroupInput, horizonsUs: readonly number[], step: Step): number {
  const { fromUs } = input.range
  return boundsByHorizon(input, step) ? Math.max(fromUs, horizonsUs[0]!) : fromUs
}

const boundsByHorizon = ({ sources }: GroupInput, { before, after }: Step): boolean =>
  sources.length === 1 && [before, after].every(({ version }) => (version.rollupWidthsUs ?? []).length === 0)

async function hasRows(stream: BatchStream): Promise<boolean> {
  for await (const _ of stream) return true
  return false
}

const areEqual = (a: readonly number[], b: readonly number[]): boolean => a.every((value, i) => value === b[i])

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

const overlap = (a: TimeRange, b: TimeRange): boolean => a.fromUs < b.toUs && b.fromUs < a.toUs

const isWithin = (range: TimeRange, ranges: readonly TimeRange[]): boolean =>
  ranges.some(({ fromUs, toUs }) => range.fromUs >= fromUs && range.toUs <= toUs)
