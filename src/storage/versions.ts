/**
 * Versions: which memtables and segments there are, what was deleted of them, and who still reads the old ones.
 *
 *   state   frozen memtables (oldest first) + segments (by LSN) + tombstones, immutable, replaced by freeze, flush, delete
 *   pin     state + the active memtable's row counts, as of the last applied LSN
 *
 * Invariants:
 * 1. A pin sees every row with LSN <= its own that no delete up to there concerns, and none after, whatever is frozen,
 *    flushed, deleted or removed meanwhile.
 * 2. A state is retained by being current and by each pin of it; a segment or frozen memtable by each retained state that
 *    has it, a memtable also by being active and by each pin of that time. The last release closes the segment and gives
 *    the memtable's memory to the next.
 *    The file of a replaced segment goes with its last reader.
 *    A pin is known with the moment it began until it is released.
 *    One whose owner has said how may be told to go, for the memory that it keeps.
 * 3. In `pieces`, segments come first by max LSN, then frozen memtables, then the active one: write order.
 * 4. Without tombstones of the metric in the range, pieces are as segments and memtables give them.
 * 5. What is expired when it is pinned, a pin does not see, though the rows are there; and all else for as long as it is held.
 */
import type { Clock } from '../lib/ports.ts'
import type { CatalogReader } from './catalog/types.ts'
import type { FrozenLayers, LayeredMemtable, LayeredView } from './memtable/layers.ts'
import type { RetentionRules } from './retention/rules.ts'
import { rollupView } from './rollup/view.ts'
import type { SegmentContents } from './segment/segment.ts'
import { SeriesEnds } from './series-ends.ts'
import { maskedPieces } from './tombstones/mask.ts'
import type { Deletion, MetricTombstones, SourceTombstones, Tombstones } from './tombstones/tombstones.ts'
import type { Lsn, MetricInfo, Piece, ReadRequest, RowBatch, SegmentMeta, Version } from './types.ts'

/** An open segment, as a version reads it. */
export interface SegmentSource {
  readonly meta: SegmentMeta
  /** The `source` of its pieces. */
  readonly source: object
  /** Whether it has the request's metric. */
  holds(request: ReadRequest): boolean
  /** What it has of each metric. */
  contents(): SegmentContents[]
  pieces(request: ReadRequest): Piece[]
  /** Tells the last, or first, values of the request's one field. */
  ends(request: ReadRequest, into: SeriesEnds, tombstones: SourceTombstones | undefined): void
  close(): void
}

/** Which segments take the places of others: rows and rollups alike. */
export interface SegmentChange {
  readonly remove: ReadonlySet<SegmentSource>
  readonly add: readonly SegmentSource[]
  /** LSNs of tombstones that concern no row any more. */
  readonly removeTombstones: ReadonlySet<Lsn>
  /** Instead of all that there are. */
  readonly tombstones?: Tombstones
}

/** Up to which LSN deletes have been applied to the segment's rows. */
export const deletesLsnOf = ({ deletesLsn, maxLsn }: SegmentMeta): Lsn => deletesLsn ?? maxLsn

/** What `stats()` tells of readers. */
export interface HeldVersions {
  readonly pins: number
  /** Age of the oldest; 0 without any. */
  readonly oldestPinMs: number
  /** Replaced segments that a pin still reads. */
  readonly filesWaiting: number
  readonly bytesWaiting: number
}

interface Pin {
  readonly startedMs: number
  /** Those that were in memory when it began. */
  readonly memtables: readonly FrozenLayers[]
  /** Ends its reader; undefined where that is not possible. */
  readonly expire: (() => void) | undefined
  isTold: boolean
}

interface Frozen {
  readonly memtable: FrozenLayers
  readonly view: LayeredView
}
interface Contents {
  readonly frozen: readonly Frozen[]
  readonly segments: readonly SegmentSource[]
  readonly tombstones: Tombstones
}
interface State extends Contents {
  readonly rollupWidthsUs: readonly number[]
  retains: number
}

export interface VersionsOptions {
  readonly catalog: CatalogReader
  readonly newMemtable: () => LayeredMemtable
  readonly segments: readonly SegmentSource[]
  /** LSN of the newest row that the segments and the first memtable hold. */
  readonly lsn: Lsn
  /** The active memtable to start with: what recovery replayed. */
  readonly memtable: LayeredMemtable
  /** What was deleted of the segments and the first memtable. */
  readonly tombstones: Tombstones
  readonly clock: Clock
  readonly rules: RetentionRules
  /** Told of a replaced segment, closed, when its last reader is gone: its file may go. */
  readonly discard: (meta: SegmentMeta) => void
}

export class Versions {
  /** Without what it began with: the first memtable is not to be kept for ever. */
  readonly #options: Omit<VersionsOptions, 'memtable' | 'segments' | 'tombstones' | 'lsn'>
  readonly #segmentRetains = new Retains<SegmentSource>(segment => {
    segment.close()
    if (this.#replaced.delete(segment)) this.#options.discard(segment.meta)
  })
  /** Those that a pin still reads. */
  readonly #replaced = new Set<SegmentSource>()
  readonly #memtableRetains = new Retains<FrozenLayers>(memtable => {
    this.#flushedMemtables.delete(memtable)
    memtable.release()
  })
  /** Those that a pin still reads. */
  readonly #flushedMemtables = new Set<FrozenLayers>()
  #active: LayeredMemtable
  #state: State
  #lsn: Lsn
  #replacements = 0
  /** When those that are held began, oldest first. */
  readonly #pins = new Set<Pin>()

  constructor({ memtable, segments, tombstones, lsn, ...options }: VersionsOptions) {
    this.#options = options
    this.#active = memtable
    this.#lsn = lsn
    this.#memtableRetains.add(this.#active)
    this.#state = this.#retainState({ frozen: [], segments: bySequence(segments), tombstones })
  }

  /** The newest LSN that readers see. */
  get lsn(): Lsn {
    return this.#lsn
  }
  /** How often all that was there gave way to something else: what was known of before says nothing of now. */
  get replacements(): number {
    return this.#replacements
  }
  get active(): LayeredMemtable {
    return this.#active
  }
  get frozen(): readonly FrozenLayers[] {
    return this.#state.frozen.map(({ memtable }) => memtable)
  }
  get segments(): readonly SegmentSource[] {
    return this.#state.segments
  }
  /** All that may concern a row. */
  get tombstones(): Tombstones {
    return this.#state.tombstones
  }
  /** What the active memtable and the frozen ones keep from others. */
  get memtableBytes(): number {
    return this.#state.frozen.reduce((sum, { memtable }) => sum + memtable.heldBytes, this.#active.heldBytes)
  }
  /** The same of memtables that are flushed but still read. */
  get pinnedBytes(): number {
    return heldBytes(this.#flushedMemtables)
  }
  /** Readers and what they keep. */
  get held(): HeldVersions {
    const [oldest] = this.#pins
    let bytes = 0
    for (const { meta } of this.#replaced) bytes += meta.bytes
    return {
      pins: this.#pins.size,
      oldestPinMs: oldest === undefined ? 0 : this.#options.clock.monotonicMs() - oldest.startedMs,
      filesWaiting: this.#replaced.size,
      bytesWaiting: bytes,
    }
  }

  /** Makes a commit visible. */
  apply(lsn: Lsn, batches: readonly RowBatch[]): void {
    for (const batch of batches) this.#active.append(batch, lsn)
    this.#lsn = lsn
  }

  /** Makes a delete visible, to those who pin from now on. */
  delete(lsn: Lsn, deletion: Deletion, metric: MetricInfo): void {
    const tombstone = { ...deletion, lsn }
    this.#active.delete(tombstone, metric)
    this.#replace({ ...this.#state, tombstones: this.#state.tombstones.with(tombstone) })
    this.#lsn = lsn
  }

  /** Starts a new active memtable; undefined when the present one is empty. */
  freeze(): FrozenLayers | undefined {
    if (this.#active.isEmpty) return undefined
    const view = this.#active.view()
    const memtable = this.#active.freeze()
    this.#active = this.#options.newMemtable()
    this.#memtableRetains.add(this.#active)
    this.#replace({ ...this.#state, frozen: [...this.#state.frozen, { memtable, view }] })
    this.#memtableRetains.drop(memtable)
    return memtable
  }

  /** The frozen memtable's rows are in these segments now; of its tombstones and older ones, those of `live` still count. */
  flushed(memtable: FrozenLayers, segments: readonly SegmentSource[], live: ReadonlySet<Lsn>): void {
    const state = this.#state
    this.#flushedMemtables.add(memtable)
    this.#replace({
      frozen: state.frozen.filter(each => each.memtable !== memtable),
      segments: bySequence([...state.segments, ...segments]),
      tombstones: state.tombstones.filter(({ lsn }) => lsn > memtable.maxLsn || live.has(lsn)),
    })
  }

  /** Other segments hold what these did; readers of before keep them. */
  replaced({ remove, add, removeTombstones, tombstones }: SegmentChange): void {
    const state = this.#state
    if (tombstones !== undefined) this.#replacements++
    for (const segment of remove) this.#replaced.add(segment)
    this.#replace({
      frozen: state.frozen,
      segments: bySequence([...state.segments.filter(segment => !remove.has(segment)), ...add]),
      tombstones:
        tombstones ??
        (removeTombstones.size === 0
          ? state.tombstones
          : state.tombstones.filter(({ lsn }) => !removeTombstones.has(lsn))),
    })
  }

  /**
   * Ends readers, the oldest first, until so many bytes of flushed memtables have none but such as were told to end: those
   * of before count. Returns how many it told.
   */
  expire(bytes: number): number {
    const target = this.pinnedBytes - bytes
    let told = 0
    for (const pin of this.#pins) {
      if (this.#stayingBytes() <= target) break
      const { expire, isTold, memtables } = pin
      if (expire === undefined || isTold || !memtables.some(memtable => this.#flushedMemtables.has(memtable))) continue
      pin.isTold = true
      told++
      expire()
    }
    return told
  }

  /** Of flushed memtables that some pin keeps that was not told to end. */
  #stayingBytes(): number {
    const staying = new Set<FrozenLayers>()
    for (const { isTold, memtables } of this.#pins)
      if (!isTold) for (const memtable of memtables) if (this.#flushedMemtables.has(memtable)) staying.add(memtable)
    return heldBytes(staying)
  }

  /** `expire` ends the reader when it is called; without it the pin is held for as long as its owner wants. */
  pin(expire?: () => void): Version {
    const state = this.#state
    const active = this.#active.view()
    // of an empty one it reads nothing, whatever is committed to it later
    const actives = this.#active.isEmpty ? [] : [this.#active]
    const { catalog, clock, rules } = this.#options
    state.retains++
    for (const memtable of actives) this.#memtableRetains.add(memtable)
    const memtables = [...state.frozen.map(({ memtable }) => memtable), ...actives]
    const pin: Pin = { startedMs: clock.monotonicMs(), memtables, expire, isTold: false }
    this.#pins.add(pin)
    const nowUs = clock.nowUs()
    const horizonUs = ({ name }: MetricInfo): number => rules.horizonUs(name, nowUs)
    return {
      lsn: this.#lsn,
      horizonUs,
      pieces: asked => {
        const pieces: Piece[] = []
        const request = { ...asked, fromUs: Math.max(asked.fromUs, horizonUs(asked.metric)) }
        const tombstones = state.tombstones.touching(request)
        for (const segment of state.segments)
          if (segment.meta.rollup === undefined)
            pieces.push(...maskedPieces(segment.pieces(request), tombstones, deletesLsnOf(segment.meta)))
        for (const { view } of state.frozen) pieces.push(...view.pieces(request, catalog, tombstones))
        pieces.push(...active.pieces(request, catalog, tombstones))
        return pieces
      },
      ends(asked, ordinals, end) {
        const request = { ...asked, fromUs: Math.max(asked.fromUs, horizonUs(asked.metric)) }
        const found = new SeriesEnds({ end, fromUs: request.fromUs, toUs: request.toUs, ordinals })
        const tombstones = state.tombstones.touching(request)
        active.ends(request, found, tombstones)
        for (const { view } of state.frozen) view.ends(request, found, tombstones)
        segmentEnds(state.segments, request, found, tombstones)
        return found
      },
      sources: () => [
        ...state.segments.flatMap(({ meta: { rows, minTimeUs, maxTimeUs, rollup }, source }) =>
          rollup === undefined ? { rows, minTimeUs, maxTimeUs, segment: source } : [],
        ),
        ...memtables.map(({ rowCount: rows, minTimeUs, maxTimeUs }) => ({
          rows,
          minTimeUs,
          maxTimeUs,
          segment: undefined,
        })),
      ],
      rollupWidthsUs: state.rollupWidthsUs,
      rollups: request =>
        rollupView(state.segments, request, state.tombstones.touching(request), deletesLsnOf, {
          rowsFromUs: horizonUs(request.metric),
          rollupsFromUs: widthUs => rules.rollupHorizonUs(widthUs, nowUs),
        }),
      release: () => {
        if (!this.#pins.delete(pin)) return
        this.#releaseState(state)
        for (const memtable of actives) this.#memtableRetains.drop(memtable)
      },
    }
  }

  /** Keeps the files that are there now until the returned function is called: for who reads them by name. */
  hold(): () => void {
    const state = this.#state
    state.retains++
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      this.#releaseState(state)
    }
  }

  /** Lets the current state go; segments close with the last pin. */
  close(): void {
    this.#releaseState(this.#state)
  }

  #replace(contents: Contents): void {
    const before = this.#state
    this.#state = this.#retainState(contents)
    this.#releaseState(before)
  }

  #retainState({ frozen, segments, tombstones }: Contents): State {
    for (const segment of segments) this.#segmentRetains.add(segment)
    for (const { memtable } of frozen) this.#memtableRetains.add(memtable)
    return { frozen, segments, tombstones, rollupWidthsUs: widthsOf(segments), retains: 1 }
  }

  #releaseState(state: State): void {
    if (--state.retains > 0) return
    for (const segment of state.segments) this.#segmentRetains.drop(segment)
    for (const { memtable } of state.frozen) this.#memtableRetains.drop(memtable)
  }
}

/** From the segment that reaches furthest on, until no other can tell anything new. */
function segmentEnds(
  segments: readonly SegmentSource[],
  request: ReadRequest,
  into: SeriesEnds,
  tombstones: MetricTombstones | undefined,
): void {
  const { statistics, fromUs, toUs } = request
  const isLast = into.end === 'last'
  const nearestUs = ({ meta }: SegmentSource): number => (isLast ? meta.maxTimeUs : meta.minTimeUs)
  const within = segments.filter(
    ({ meta }) => meta.rollup === undefined && meta.maxTimeUs >= fromUs && meta.minTimeUs < toUs,
  )
  if (within.length > 1) within.sort((a, b) => (isLast ? nearestUs(b) - nearestUs(a) : nearestUs(a) - nearestUs(b)))
  for (const segment of within) {
    if (into.isSettled(nearestUs(segment))) break
    segment.ends(request, into, tombstones?.above(deletesLsnOf(segment.meta)))
    statistics.segmentsScanned++
  }
}

/** How often each thing is retained; `last` is told of the ones that no longer are. */
class Retains<T> {
  readonly #counts = new Map<T, number>()
  readonly #last: (thing: T) => void

  constructor(last: (thing: T) => void) {
    this.#last = last
  }

  add(thing: T): void {
    this.#counts.set(thing, (this.#counts.get(thing) ?? 0) + 1)
  }

  drop(thing: T): void {
    const left = this.#counts.get(thing)! - 1
    if (left > 0) this.#counts.set(thing, left)
    else {
      this.#counts.delete(thing)
      this.#last(thing)
    }
  }
}

const widthsOf = (segments: readonly SegmentSource[]): number[] => [
  ...new Set(segments.flatMap(({ meta }) => meta.rollup?.widthUs ?? [])),
]
function heldBytes(memtables: Iterable<FrozenLayers>): number {
  let bytes = 0
  for (const memtable of memtables) bytes += memtable.heldBytes
  return bytes
}

const bySequence = (segments: readonly SegmentSource[]): readonly SegmentSource[] =>
  segments.toSorted((a, b) => a.meta.maxLsn - b.meta.maxLsn)
