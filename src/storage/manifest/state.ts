/**
 * The manifest's state: what the database consists of, as immutable values that edits turn into the next.
 *
 *   state + edit -> state
 *
 * Invariants:
 * 1. Rows with an LSN up to `flushedLsn` are in `segments`; it never decreases.
 * 2. Segment ids are unique, and `segments` is in write order: by highest LSN, then by id.
 * 3. Tombstones have LSNs up to `flushedLsn`, each its own, in their order: later ones are in the log.
 * 4. `nextSegment` is above the number of every segment ever named, and `incarnation` never decreases.
 */
import { assert } from '../../lib/assert.ts'
import { toHex } from '../../lib/text.ts'
import type { TombstoneEntry } from '../tombstones/entry.ts'
import type { Lsn, SegmentMeta } from '../types.ts'

/** Which of two rows with one (series, time) wins a field. Fixed when the database is made. */
export type Duplicates = 'last' | 'first'

export interface ManifestState {
  /** 32 hexadecimal digits. */
  readonly databaseId: string
  /** Grows when LSNs begin to mean something else: after a cut log, a restore. */
  readonly incarnation: number
  readonly duplicates: Duplicates
  readonly flushedLsn: Lsn
  readonly nextSegment: number
  readonly segments: readonly SegmentMeta[]
  /** Deletes that concern rows in segments. */
  readonly tombstones: readonly TombstoneEntry[]
  /** What the catalog's own files hold at least; absent: not known. A log that ends earlier was cut. */
  readonly catalog?: CatalogExtent
}

export interface CatalogExtent {
  /** Which catalog: 32 hexadecimal digits. */
  readonly incarnation: string
  readonly records: number
}

/** What changes; absent parts stay. */
export interface ManifestEdit {
  readonly add?: readonly SegmentMeta[]
  /** Ids of segments. */
  readonly remove?: readonly string[]
  readonly addTombstones?: readonly TombstoneEntry[]
  /** LSNs of tombstones. */
  readonly removeTombstones?: readonly Lsn[]
  readonly flushedLsn?: Lsn
  readonly nextSegment?: number
  readonly incarnation?: number
  readonly catalog?: CatalogExtent
}

/** @param id 16 random bytes. */
export function newManifestState(id: Uint8Array, duplicates: Duplicates): ManifestState {
  return {
    databaseId: toHex(id),
    incarnation: 1,
    duplicates,
    flushedLsn: 0,
    nextSegment: 1,
    segments: [],
    tombstones: [],
  }
}

export function applyEdit(state: ManifestState, edit: ManifestEdit): ManifestState {
  const { add = [], remove = [], addTombstones = [], removeTombstones = [], ...rest } = edit
  const tombstones = withTombstones(state.tombstones, addTombstones, removeTombstones)
  const next = { ...state, ...rest, segments: state.segments, tombstones }
  assert(next.flushedLsn >= state.flushedLsn, 'flushedLsn never decreases')
  assert(next.nextSegment >= state.nextSegment, 'nextSegment never decreases')
  assert(next.incarnation >= state.incarnation, 'the incarnation never decreases')
  assert((tombstones.at(-1)?.lsn ?? 0) <= next.flushedLsn, 'later tombstones are in the log')
  if (add.length === 0 && remove.length === 0) return next
  const segments = new Map(state.segments.map(segment => [segment.id, segment]))
  for (const id of remove) assert(segments.delete(id), `segment ${id} is there to be removed`)
  for (const segment of add) {
    assert(!segments.has(segment.id), `segment ${segment.id} is new`)
    segments.set(segment.id, segment)
  }
  return { ...next, segments: inWriteOrder([...segments.values()]) }
}

function withTombstones(
  before: readonly TombstoneEntry[],
  add: readonly TombstoneEntry[],
  remove: readonly Lsn[],
): readonly TombstoneEntry[] {
  if (add.length === 0 && remove.length === 0) return before
  const byLsn = new Map(before.map(tombstone => [tombstone.lsn, tombstone]))
  for (const lsn of remove) assert(byLsn.delete(lsn), `tombstone ${lsn} is there to be removed`)
  for (const tombstone of add) {
    assert(!byLsn.has(tombstone.lsn), `tombstone ${tombstone.lsn} is new`)
    byLsn.set(tombstone.lsn, tombstone)
  }
  return [...byLsn.values()].sort((a, b) => a.lsn - b.lsn)
}

const inWriteOrder = (segments: SegmentMeta[]): SegmentMeta[] =>
  segments.sort((a, b) => a.maxLsn - b.maxLsn || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))

/** A segment as its own header tells it. */
export interface FoundSegment extends SegmentMeta {
  /** Ids of the segments that were merged into it. */
  readonly replaces?: readonly string[]
  /** How many segments that merge made. */
  readonly parts?: number
}

export interface RebuildSources {
  /** 32 hexadecimal digits. */
  readonly databaseId: string
  readonly duplicates: Duplicates
  /** The incarnation to begin, above any that was ever published. */
  readonly incarnation: number
  readonly nextSegment: number
  /** Where the log begins; what is before it was flushed. */
  readonly walFirstLsn: Lsn
  /** Up to which LSN the damaged manifest says that rows are in segments. */
  readonly flushedLsn?: Lsn
  /** What the damaged manifest still told. */
  readonly tombstones?: readonly TombstoneEntry[]
}

/**
 * The state from the segments that are there, when the manifest is lost.
 *
 * - A segment is left out when all that its merge made is there, or one of it that covers its times and LSNs. A merge that
 *   was not finished, so that only part of what replaces it is there, keeps both: reading merges them to the same rows.
 * - Rollups of what is left out are left out.
 * - The newest flush may be incomplete: its edit was perhaps never written. Its LSNs count as not flushed, so that the log
 *   is replayed over it, which merges to the same rows as well. Earlier flushes were complete, for they go one at a time.
 * - Tombstones that count as not flushed are replayed too.
 */
export function rebuildManifest(found: readonly FoundSegment[], sources: RebuildSources): ManifestState {
  const byId = new Map(found.map(segment => [segment.id, segment]))
  const replaced = new Set<string>()
  for (const made of Map.groupBy(found, ({ replaces = [] }) => replaces.join(' ')).values()) {
    const { replaces = [], parts } = made[0]!
    for (const id of replaces) {
      const input = byId.get(id)
      if (input !== undefined && (made.length === parts || made.some(each => covers(each, input)))) replaced.add(id)
    }
  }
  const isLeft = ({ id, rollup }: SegmentMeta): boolean => !replaced.has(rollup?.of ?? id)
  const segments = inWriteOrder(found.filter(isLeft).map(({ replaces: _, parts: __, ...meta }) => meta))
  const flushedLsn = Math.max(sources.walFirstLsn - 1, sources.flushedLsn ?? 0, flushedFor(found))
  const { databaseId, duplicates, incarnation, nextSegment, tombstones = [] } = sources
  return {
    databaseId,
    duplicates,
    incarnation,
    flushedLsn,
    nextSegment,
    segments,
    tombstones: tombstones.filter(({ lsn }) => lsn <= flushedLsn).sort((a, b) => a.lsn - b.lsn),
  }
}

const covers = (outer: SegmentMeta, inner: SegmentMeta): boolean =>
  outer !== inner &&
  outer.minLsn <= inner.minLsn &&
  outer.maxLsn >= inner.maxLsn &&
  outer.minTimeUs <= inner.minTimeUs &&
  outer.maxTimeUs >= inner.maxTimeUs

/** The LSN below the newest flush; segments that replace others were made from complete ones. */
function flushedFor(found: readonly FoundSegment[]): Lsn {
  const merged = found.filter(segment => (segment.replaces?.length ?? 0) > 0)
  const complete = merged.reduce((max, segment) => Math.max(max, segment.maxLsn), 0)
  const flushes = found.filter(segment => segment.maxLsn > complete && !merged.includes(segment))
  let newestFrom = Math.max(0, ...flushes.map(segment => segment.maxLsn))
  for (const segment of flushes.toSorted((a, b) => b.maxLsn - a.maxLsn)) {
    if (segment.maxLsn >= newestFrom) newestFrom = Math.min(newestFrom, segment.minLsn)
  }
  return Math.max(complete, newestFrom - 1)
}
