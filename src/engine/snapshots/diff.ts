/**
 * Compares two snapshots: per series, how many rows were added, removed and changed.
 *
 *   before, after -> what both have as one object is left out where nothing else reaches its time
 *                 -> per metric both sides by (series, time), in step
 *
 * Invariants:
 * 1. Memory is a window of rows on each side, whatever the snapshots hold.
 * 2. A piece of a segment that both have is left out on both sides or on none. It is left out where no other segment and no
 *    delete that only one side has touches its time: then its rows are the same.
 * 3. Rows are compared as queries give them: merged, and without what was deleted. Numbers are equal if they are the same bits.
 */

import type { Batch, Column, Schema } from '../../columnar/batch.ts'
import { refuseCancelled } from '../../lib/cancel.ts'
import type { Ports } from '../../lib/ports.ts'
import { compareUtf8 } from '../../lib/text.ts'
import { execute } from '../../operators/execute.ts'
import type { BatchStream } from '../../operators/operator.ts'
import { newReadStatistics } from '../../storage/read-statistics.ts'
import { maskedPieces } from '../../storage/tombstones/mask.ts'
import type { Lsn, MetricInfo, Piece, ReadRequest, Version } from '../../storage/types.ts'
import { deletesLsnOf, type SegmentSource } from '../../storage/versions.ts'
import type { ScanNode } from '../../sydraql/plan.ts'
import type { Storage } from '../recovery/open-storage.ts'
import type { OpenSnapshot } from './past-versions.ts'
import type { SeriesDifference } from './types.ts'

const batchRows = 8192
/** For the two scans; each holds a window of rows. */
const memoryMaxBytes = 256 * 2 ** 20

/** Series in printed order, metric by metric in the order of names; those that are equal do not appear. */
export async function* compareSnapshots(
  before: OpenSnapshot,
  after: OpenSnapshot,
  storage: Storage,
  ports: Ports,
  signal: AbortSignal,
): AsyncGenerator<SeriesDifference> {
  const pins = [before.versions.pin(), after.versions.pin()]
  try {
    if (before.id === after.id) return
    const metrics = storage.catalog.metrics().toSorted((a, b) => compareUtf8(a.name, b.name))
    const sides = [sideOf(before, after), sideOf(after, before)] as const
    for (const metric of metrics) {
      await new Promise<void>(resolve => ports.timers.soon(resolve))
      refuseCancelled(signal)
      const changed = united(sides.flatMap(side => side.ownRanges(metric)))
      if (changed.length === 0) continue
      const [old, present] = sides.map(side => ({ all: side.version(), touched: side.version(changed) }))
      yield* compareMetric(metric, old!, present!, storage, ports, signal)
    }
  } finally {
    for (const pin of pins) pin.release()
  }
}

// ---- what to read ---------------------------------------------------------------------------------------------------

/** Inclusive. */
interface Range {
  readonly fromUs: number
  readonly toUs: number
}

interface Side {
  /** Times of the metric at which this side has segments or deletes that the other has not. */
  ownRanges(metric: MetricInfo): Range[]
  /** All of it, or what touches the ranges and all that the other side has not. */
  version(ranges?: readonly Range[]): Version
}

function sideOf(one: OpenSnapshot, other: OpenSnapshot): Side {
  const { versions } = one
  const segments = versions.segments.filter(({ meta }) => meta.rollup === undefined)
  const otherPaths = new Set(other.versions.segments.map(({ meta }) => meta.path))
  // A segment's path is its object.
  const isShared = ({ meta }: SegmentSource): boolean => otherPaths.has(meta.path)
  const otherDeletes = new Set<Lsn>(other.manifest.tombstones.map(({ lsn }) => lsn))
  const { tombstones } = versions
  return {
    ownRanges(metric) {
      const request = { metric, fields: [], ...everyTime, series: undefined, statistics: newReadStatistics() }
      const ranges = segments
        .filter(segment => !isShared(segment))
        .flatMap(segment => segment.pieces(request))
        .map(({ minTimeUs, maxTimeUs }): Range => ({ fromUs: minTimeUs, toUs: maxTimeUs }))
      for (const { lsn, metric: id, fromUs, toUs } of tombstones.list)
        if (id === metric.id && !otherDeletes.has(lsn)) ranges.push({ fromUs, toUs })
      return ranges
    },
    version: ranges => ({
      lsn: versions.lsn,
      horizonUs: () => Number.NEGATIVE_INFINITY,
      pieces(request: ReadRequest): Piece[] {
        const deletes = tombstones.touching(request)
        return segments.flatMap(segment => {
          const pieces = maskedPieces(segment.pieces(request), deletes, deletesLsnOf(segment.meta))
          return ranges === undefined || !isShared(segment) ? pieces : pieces.filter(piece => touches(ranges, piece))
        })
      },
      release() {},
    }),
  }
}

const everyTime = { fromUs: Number.NEGATIVE_INFINITY, toUs: Number.POSITIVE_INFINITY }

/** Ascending, apart from each other. */
function united(ranges: readonly Range[]): Range[] {
  const found: { fromUs: number; toUs: number }[] = []
  for (const { fromUs, toUs } of ranges.toSorted((a, b) => a.fromUs - b.fromUs)) {
    const last = found.at(-1)
    if (last !== undefined && fromUs <= last.toUs) last.toUs = Math.max(last.toUs, toUs)
    else found.push({ fromUs, toUs })
  }
  return found
}

function touches(ranges: readonly Range[], { minTimeUs, maxTimeUs }: Piece): boolean {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ranges[middle]!.toUs < minTimeUs) low = middle + 1
    else high = middle
  }
  return low < ranges.length && ranges[low]!.fromUs <= maxTimeUs
}

// ---- comparing ------------------------------------------------------------------------------------------------------

interface Sides {
  readonly all: Version
  readonly touched: Version
}

async function* compareMetric(
  metric: MetricInfo,
  old: Sides,
  present: Sides,
  storage: Storage,
  ports: Ports,
  signal: AbortSignal,
): AsyncGenerator<SeriesDifference> {
  const { catalog } = storage
  const ranks = catalog.ranks(metric.id)
  const rows = (version: Version, limits: Partial<ScanNode> = {}) =>
    new Rows(scan({ ...scanNode(metric), ...limits }, version, storage, ports, signal))
  const left = rows(old.touched)
  const right = rows(present.touched)
  let counts = newCounts(-1)
  const told = async (): Promise<SeriesDifference | undefined> => {
    const { series, added, removed, changed } = counts
    if (series < 0 || added + removed + changed === 0) return undefined
    let only: SeriesDifference['only']
    if (removed + changed === 0 || added + changed === 0) {
      const other = added > 0 ? old.all : present.all
      const some = rows(other, { seriesIds: [catalog.ids.at(series)], limit: 1 })
      try {
        if (!(await some.next())) only = added > 0 ? 'after' : 'before'
      } finally {
        await some.close()
      }
    }
    return { metric: metric.name, series: catalog.printed.at(series), only, added, removed, changed }
  }
  try {
    let hasLeft = await left.next()
    let hasRight = await right.next()
    while (hasLeft || hasRight) {
      const order = !hasLeft ? 1 : !hasRight ? -1 : compareKeys(left, right, ranks)
      const series = order <= 0 ? left.series : right.series
      if (series !== counts.series) {
        const difference = await told()
        if (difference !== undefined) yield difference
        counts = newCounts(series)
      }
      if (order < 0) counts.removed++
      else if (order > 0) counts.added++
      else if (!sameRow(left, right)) counts.changed++
      if (order <= 0 && !left.step()) hasLeft = await left.next()
      if (order >= 0 && !right.step()) hasRight = await right.next()
    }
    const difference = await told()
    if (difference !== undefined) yield difference
  } finally {
    await left.close()
    await right.close()
  }
}

const newCounts = (series: number) => ({ series, added: 0, removed: 0, changed: 0 })

const scanNode = (metric: MetricInfo): ScanNode => ({
  kind: 'scan',
  metric: metric.name,
  seriesIds: undefined,
  range: everyTime,
  seriesPredicate: undefined,
  rowPredicate: undefined,
  order: 'series,time',
  limit: undefined,
  seriesLimit: undefined,
  schema: scanSchema(metric),
})

const scanSchema = ({ fields }: MetricInfo): Schema => [
  { name: 'series', type: 'string', nullable: false },
  { name: 'time', type: 'timestamp', nullable: false },
  ...fields.map(({ name, type }) => ({ name: `field.${name}`, type, nullable: true })),
]

function scan(node: ScanNode, version: Version, storage: Storage, ports: Ports, signal: AbortSignal): BatchStream {
  const { catalog, kernels, duplicates } = storage
  const { clock, timers } = ports
  const shared = { catalog, kernels, duplicates, clock, timers, signal, batchRows, memoryMaxBytes }
  return execute(node, { ...shared, version, read: newReadStatistics(), operators: [] }).stream
}

/** A row at a time of a stream by (series, time). */
class Rows {
  readonly #stream: BatchStream
  #batch: Batch | undefined
  #at = 0
  /** Physical row in the batch. */
  row = 0

  constructor(stream: BatchStream) {
    this.#stream = stream
  }

  get columns(): readonly Column[] {
    return this.#batch!.columns
  }
  /** Ordinal: the codes of the printed series. */
  get series(): number {
    return this.columns[0]!.values[this.row]!
  }
  get timeUs(): number {
    return this.columns[1]!.values[this.row]!
  }

  /** The next row of the batch; false at its end. */
  step(): boolean {
    const { selection, length } = this.#batch!
    this.#at++
    if (this.#at >= (selection?.length ?? length)) return false
    this.row = selection?.[this.#at] ?? this.#at
    return true
  }

  /** The first row of the next batch; false at the end. */
  async next(): Promise<boolean> {
    for (;;) {
      const { done, value } = await this.#stream.next()
      if (done === true) return false
      this.#batch = value
      this.#at = -1
      if (this.step()) return true
    }
  }

  async close(): Promise<void> {
    await this.#stream.return()
  }
}

const compareKeys = (a: Rows, b: Rows, ranks: Uint32Array): number =>
  ranks[a.series]! - ranks[b.series]! || a.timeUs - b.timeUs

function sameRow(a: Rows, b: Rows): boolean {
  for (let column = 2; column < a.columns.length; column++) {
    const [x, y] = [a.columns[column]!, b.columns[column]!]
    const present = x.valid === undefined || x.valid[a.row] === 1
    if (present !== (y.valid === undefined || y.valid[b.row] === 1)) return false
    if (present && !Object.is(cellOf(x, a.row), cellOf(y, b.row))) return false
  }
  return true
}

const cellOf = (column: Column, row: number): number | string =>
  column.type === 'string' ? column.dictionary.at(column.values[row]!) : column.values[row]!
