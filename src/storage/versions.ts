/**
 * Versions: which memtables and segments there are, and who still reads the old ones.
 *
 *   state   frozen memtables (oldest first) + segments (by LSN), immutable, replaced by freeze and flush
 *   pin     state + the active memtable's row counts, as of the last applied LSN
 *
 * Invariants:
 * 1. A pin sees every row with LSN <= its own and none after, whatever is frozen, flushed or removed meanwhile.
 * 2. A state is retained by being current and by each pin of it; a segment by each retained state that has it. The last
 *    release closes the segment.
 * 3. In `pieces`, segments come first by max LSN, then frozen memtables, then the active one: write order.
 */
import type { CatalogReader } from './catalog/types.ts'
import type { FrozenMemtable, Memtable, MemtableView } from './memtable/memtable.ts'
import type { Lsn, Piece, ReadRequest, RowBatch, SegmentMeta, Version } from './types.ts'

/** An open segment, as a version reads it. */
export interface SegmentSource {
  readonly meta: SegmentMeta
  pieces(request: ReadRequest): Piece[]
  close(): void
}

interface Frozen {
  readonly memtable: FrozenMemtable
  readonly view: MemtableView
}
interface State {
  readonly frozen: readonly Frozen[]
  readonly segments: readonly SegmentSource[]
  retains: number
}

export interface VersionsOptions {
  readonly catalog: CatalogReader
  readonly newMemtable: () => Memtable
  readonly segments: readonly SegmentSource[]
  /** LSN of the newest row that the segments and the first memtable hold. */
  readonly lsn: Lsn
  /** The active memtable to start with: what recovery replayed. */
  readonly memtable: Memtable
}

export class Versions {
  readonly #options: VersionsOptions
  readonly #segmentRetains = new Map<SegmentSource, number>()
  #active: Memtable
  #state: State
  #lsn: Lsn
  #pins = 0

  constructor(options: VersionsOptions) {
    this.#options = options
    this.#active = options.memtable
    this.#lsn = options.lsn
    this.#state = this.#retainState([], bySequence(options.segments))
  }

  /** The newest LSN that readers see. */
  get lsn(): Lsn {
    return this.#lsn
  }
  get active(): Memtable {
    return this.#active
  }
  get frozen(): readonly FrozenMemtable[] {
    return this.#state.frozen.map(({ memtable }) => memtable)
  }
  get segments(): readonly SegmentSource[] {
    return this.#state.segments
  }
  get pins(): number {
    return this.#pins
  }

  /** Makes a commit visible. */
  apply(lsn: Lsn, batches: readonly RowBatch[]): void {
    for (const batch of batches) this.#active.append(batch, lsn)
    this.#lsn = lsn
  }

  /** Starts a new active memtable; undefined when the present one is empty. */
  freeze(): FrozenMemtable | undefined {
    if (this.#active.rowCount === 0) return undefined
    const view = this.#active.view()
    const memtable = this.#active.freeze()
    this.#active = this.#options.newMemtable()
    this.#replace([...this.#state.frozen, { memtable, view }], this.#state.segments)
    return memtable
  }

  /** The frozen memtable's rows are in these segments now. */
  flushed(memtable: FrozenMemtable, segments: readonly SegmentSource[]): void {
    const frozen = this.#state.frozen.filter(each => each.memtable !== memtable)
    this.#replace(frozen, bySequence([...this.#state.segments, ...segments]))
  }

  pin(): Version {
    const state = this.#state
    const active = this.#active.view()
    const { catalog } = this.#options
    state.retains++
    this.#pins++
    let held = true
    return {
      lsn: this.#lsn,
      pieces: request => {
        const pieces: Piece[] = []
        for (const segment of state.segments) pieces.push(...segment.pieces(request))
        for (const { view } of state.frozen) pieces.push(...view.pieces(request, catalog))
        pieces.push(...active.pieces(request, catalog))
        return pieces
      },
      release: () => {
        if (!held) return
        held = false
        this.#pins--
        this.#releaseState(state)
      },
    }
  }

  /** Lets the current state go; segments close with the last pin. */
  close(): void {
    this.#releaseState(this.#state)
  }

  #replace(frozen: readonly Frozen[], segments: readonly SegmentSource[]): void {
    const before = this.#state
    this.#state = this.#retainState(frozen, segments)
    this.#releaseState(before)
  }

  #retainState(frozen: readonly Frozen[], segments: readonly SegmentSource[]): State {
    for (const segment of segments) this.#segmentRetains.set(segment, (this.#segmentRetains.get(segment) ?? 0) + 1)
    return { frozen, segments, retains: 1 }
  }

  #releaseState(state: State): void {
    if (--state.retains > 0) return
    for (const segment of state.segments) {
      const left = this.#segmentRetains.get(segment)! - 1
      if (left > 0) this.#segmentRetains.set(segment, left)
      else {
        this.#segmentRetains.delete(segment)
        segment.close()
      }
    }
  }
}

const bySequence = (segments: readonly SegmentSource[]): readonly SegmentSource[] =>
  segments.toSorted((a, b) => a.meta.maxLsn - b.meta.maxLsn)
