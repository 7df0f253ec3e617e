/**
 * The memory account: what the parts of a database hold of `mem_limit_bytes`, and who gives way when it becomes scarce.
 *
 *   firm      writers: ingest (rows in flight) + memtables (active and frozen)          at least `writersBytes`
 *             pinned (memtables that are flushed but still read)
 *             queries (sorts, groups, windows, joins)                  and a spare share while anything is pinned
 *             backlog (commits that live queries have not looked at)
 *   giving    live (what live queries keep), pool (slabs for the next memtable), cache (of segments),  what the others leave
 *             spare (arrays for the next query)
 *
 *   as firm grows       who gives way
 *   ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
 *   into what is given  spare arrays go, the cache shrinks, then the pool, then what live queries keep: they make it again
 *   isShort             the memtable is frozen before it is full; queries that can spill do so
 *   isOver              queries that cannot end with `memory_limit`; readers that keep flushed memtables are told
 *                       `snapshot_expired`, the oldest first; one memtable alone waits for its flush while another fills
 *
 * Invariants:
 * 1. After `settle`, firm and giving parts together hold at most the limit, or the giving parts hold nothing.
 * 2. What is kept for writers counts as firm though they do not use it: queries cannot starve them. Nor can pins starve new
 *    queries: readers are told to go before the spare share is gone.
 * 3. A flush asks for nothing here, so writers, who wait for flushes alone, always get on.
 * 4. Peaks are of the moments when it was settled: each commit, each growth of a query or of the cache.
 */
import { assert } from './assert.ts'
import { SydraError } from './errors.ts'
import { megabytes } from './text.ts'

/** What cannot be given back at will. */
export type FirmPart = 'ingest' | 'memtables' | 'pinned' | 'queries' | 'backlog'
/** What gives way. */
export type GivingPart = 'live' | 'pool' | 'cache' | 'spare'
/** A part of what a database holds of `mem_limit_bytes`. */
export type MemoryPart = FirmPart | GivingPart

/** The share of the limit from which memory is short. */
const shortShare = 7 / 8
/** What new queries find even where readers keep all the rest. */
const queriesSpareShare = 1 / 16

export interface Giving {
  readonly bytes: number
  /** Keeps so much of it at most. */
  shrinkTo(bytes: number): void
}

/** What one part holds. */
export interface PartStatistics {
  readonly bytes: number
  readonly peakBytes: number
  /** What it may hold at most, now that the others hold what they do; undefined where nothing of its own limits it. */
  readonly maxBytes: number | undefined
}

/** What all parts hold, as of the last commit. */
export interface MemoryStatistics {
  /** `mem_limit_bytes` */
  readonly limitBytes: number
  readonly bytes: number
  readonly peakBytes: number
  readonly parts: Readonly<Record<MemoryPart, PartStatistics>>
}

/** What one query holds of the account. */
export interface QueryMemory {
  /** Says how much more it holds; less when negative. */
  grow(bytes: number): void
  /** Queries hold so much that those that can spill should. */
  readonly isShort: boolean
  /** Queries hold more than there is for them. */
  readonly isOver: boolean
  /** The error for a query that cannot do without. */
  refusal(): SydraError
  /** Gives all of it back; more calls do nothing. */
  close(): void
}

export interface MemoryAccountOptions {
  readonly limitBytes: number
  /** What writers need to get on: a memtable that is worth a flush, and the rows in flight. */
  readonly writersBytes: number
}

const nothing = (): number => 0
/** The last gives way first. */
const givingParts: readonly GivingPart[] = ['live', 'pool', 'cache', 'spare']
const isGiving = (part: MemoryPart): part is GivingPart => (givingParts as readonly MemoryPart[]).includes(part)
const parts: readonly MemoryPart[] = ['ingest', 'memtables', 'pinned', 'queries', 'backlog', ...givingParts]

export class MemoryAccount {
  readonly limitBytes: number
  readonly #writersBytes: number
  readonly #measures: Record<Exclude<FirmPart, 'queries'>, () => number> = {
    ingest: nothing,
    memtables: nothing,
    pinned: nothing,
    backlog: nothing,
  }
  #queriesBytes = 0
  readonly #queries: Queries = {
    grow: bytes => {
      this.#queriesBytes += bytes
      if (bytes > 0) this.settle()
    },
    bytes: () => this.#queriesBytes,
    bytesMax: () => this.#queriesMax(),
  }
  readonly #giving = new Map<GivingPart, Giving>()
  readonly #limits = new Map<MemoryPart, number>()
  readonly #peaks = new Map<MemoryPart, number>()
  #peakBytes = 0
  #onShort = (): void => {}

  constructor({ limitBytes, writersBytes }: MemoryAccountOptions) {
    this.limitBytes = limitBytes
    this.#writersBytes = writersBytes
  }

  /** `bytes` is asked whenever the account is; `maxBytes` is the part's own limit. */
  measure(part: Exclude<FirmPart, 'queries'>, bytes: () => number, maxBytes?: number): void {
    this.#measures[part] = bytes
    if (maxBytes !== undefined) this.#limits.set(part, maxBytes)
  }

  /** A part that gives way. */
  gives(part: GivingPart, giving: Giving, maxBytes: number): void {
    this.#giving.set(part, giving)
    this.#limits.set(part, maxBytes)
  }

  /** `listener` is told whenever memory is found short. It does its work in another turn: whoever settles is in the middle of his. */
  whenShort(listener: () => void): void {
    this.#onShort = listener
  }

  /** Makes the giving parts as small as they must be, and notes the peaks. To be called when something has grown. */
  settle(): void {
    let left = Math.max(0, this.limitBytes - this.#inUse())
    for (const part of givingParts) {
      const giving = this.#giving.get(part)
      if (giving === undefined) continue
      if (giving.bytes > left) giving.shrinkTo(left)
      left = Math.max(0, left - giving.bytes)
    }
    let bytes = 0
    for (const part of parts) {
      const now = this.#bytesOf(part)
      bytes += now
      if (now > (this.#peaks.get(part) ?? 0)) this.#peaks.set(part, now)
    }
    if (bytes > this.#peakBytes) this.#peakBytes = bytes
    if (this.isShort) this.#onShort()
  }

  get isShort(): boolean {
    return this.#firm() > this.limitBytes * shortShare
  }
  /** By how much the firm parts exceed the limit; 0 when they do not. */
  get overBytes(): number {
    return Math.max(0, this.#firm() - this.limitBytes)
  }

  /** For one query; to be closed when it ends. */
  openQuery(): QueryMemory {
    return new HeldByQuery(this.#queries)
  }

  stats(): MemoryStatistics {
    this.settle()
    const statistics = (part: MemoryPart): PartStatistics => ({
      bytes: this.#bytesOf(part),
      peakBytes: this.#peaks.get(part) ?? 0,
      maxBytes: part === 'queries' ? this.#queriesMax() : this.#limits.get(part),
    })
    return {
      limitBytes: this.limitBytes,
      bytes: parts.reduce((sum, part) => sum + this.#bytesOf(part), 0),
      peakBytes: this.#peakBytes,
      parts: {
        ingest: statistics('ingest'),
        memtables: statistics('memtables'),
        pinned: statistics('pinned'),
        queries: statistics('queries'),
        backlog: statistics('backlog'),
        live: statistics('live'),
        pool: statistics('pool'),
        cache: statistics('cache'),
        spare: statistics('spare'),
      },
    }
  }

  #bytesOf(part: MemoryPart): number {
    if (part === 'queries') return this.#queriesBytes
    return isGiving(part) ? (this.#giving.get(part)?.bytes ?? 0) : this.#measures[part]()
  }

  #inUse(): number {
    const { ingest, memtables, pinned, backlog } = this.#measures
    return ingest() + memtables() + pinned() + backlog() + this.#queriesBytes
  }

  /** What writers hold, or what is kept for them. */
  #writers(): number {
    return Math.max(this.#measures.ingest() + this.#measures.memtables(), this.#writersBytes)
  }

  #firm(): number {
    const pinned = this.#measures.pinned()
    const spare = pinned > 0 ? this.limitBytes * queriesSpareShare : 0
    return this.#writers() + pinned + this.#measures.backlog() + this.#queriesBytes + spare
  }

  #queriesMax(): number {
    return Math.max(0, this.limitBytes - this.#writers() - this.#measures.pinned() - this.#measures.backlog())
  }
}

/** All of them together. */
interface Queries {
  grow(bytes: number): void
  bytes(): number
  bytesMax(): number
}

class HeldByQuery implements QueryMemory {
  readonly #queries: Queries
  #held = 0
  #isOpen = true

  constructor(queries: Queries) {
    this.#queries = queries
  }

  grow(bytes: number): void {
    if (!this.#isOpen) return
    this.#held += bytes
    assert(this.#held >= 0, 'a query gives back what it held')
    this.#queries.grow(bytes)
  }

  get isShort(): boolean {
    return this.#queries.bytes() > this.#queries.bytesMax() * shortShare
  }
  get isOver(): boolean {
    return this.#queries.bytes() > this.#queries.bytesMax()
  }

  refusal(): SydraError {
    const bytesMax = megabytes(this.#queries.bytesMax())
    return new SydraError(
      'memory_limit',
      `queries need more memory than mem_limit_bytes leaves them (${bytesMax} now)`,
      {
        hint: 'try again when less runs, narrow the query, or raise mem_limit_bytes',
      },
    )
  }

  close(): void {
    this.#isOpen = false
    this.#queries.grow(-this.#held)
    this.#held = 0
  }
}
