/**
 * SavedTombstones: the manifest's tombstones, and what a flush changes of them.
 *
 * Invariants:
 * 1. A tombstone that came with a flush is saved if a segment may hold rows it concerns. Later segments hold later rows
 *    only, so one that concerns none never will.
 * 2. A saved one goes when a saved one covers it.
 */
import type { Catalog } from '../catalog/catalog.ts'
import type { ManifestEdit, ManifestState } from '../manifest/state.ts'
import { newReadStatistics } from '../read-statistics.ts'
import type { Lsn, SegmentMeta } from '../types.ts'
import { deletesLsnOf, type SegmentSource } from '../versions.ts'
import { entryOf, tombstoneOf } from './entry.ts'
import { holdsSeries, type Tombstone, Tombstones } from './tombstones.ts'

export class SavedTombstones {
  readonly #manifest: { readonly state: ManifestState }
  readonly #catalog: Catalog
  /** Those of the manifest as of `#entries`. */
  #tombstones = Tombstones.none
  #entries: ManifestState['tombstones'] = []

  constructor(manifest: { readonly state: ManifestState }, catalog: Catalog) {
    this.#manifest = manifest
    this.#catalog = catalog
  }

  tombstones(): Tombstones {
    const { tombstones } = this.#manifest.state
    if (tombstones !== this.#entries) {
      const known = new Map(this.#tombstones.list.map(tombstone => [tombstone.lsn, tombstone]))
      const all = tombstones.map(entry => known.get(entry.lsn) ?? tombstoneOf(entry, this.#catalog))
      this.#tombstones = Tombstones.of(all.filter(tombstone => tombstone !== undefined))
      this.#entries = tombstones
    }
    return this.#tombstones
  }

  /** The edit of a flush that these tombstones came with. `segments` are those before it that can be read. */
  changesFor(
    flushed: Tombstones,
    segments: readonly SegmentSource[],
  ): Pick<ManifestEdit, 'addTombstones' | 'removeTombstones'> {
    const { state } = this.#manifest
    const readable = new Map(segments.map(segment => [segment.meta.id, segment]))
    const isNeeded = (tombstone: Tombstone): boolean =>
      state.segments.some(meta => mayConcern(tombstone, meta) && this.#concerns(tombstone, readable.get(meta.id)))
    const needed = flushed.filter(isNeeded)
    const saved = new Set(state.tombstones.map(({ lsn }) => lsn))
    const after = this.tombstones().withAll(needed).list
    const kept = new Set(after.map(({ lsn }) => lsn))
    return {
      addTombstones: after.filter(({ lsn }) => !saved.has(lsn)).map(tombstone => entryOf(tombstone, this.#catalog)),
      removeTombstones: [...saved].filter(lsn => !kept.has(lsn)),
    }
  }

  /** LSNs of those that concern no row of these segments, which are all there are to be. */
  unneededFor(metas: readonly SegmentMeta[], segments: readonly SegmentSource[]): Lsn[] {
    const readable = new Map(segments.map(segment => [segment.meta.id, segment]))
    const isNeeded = (tombstone: Tombstone): boolean =>
      metas.some(meta => mayConcern(tombstone, meta) && this.#concerns(tombstone, readable.get(meta.id)))
    const known = this.tombstones().list
    const needed = new Set(known.filter(isNeeded).map(({ lsn }) => lsn))
    return this.#manifest.state.tombstones.map(({ lsn }) => lsn).filter(lsn => !needed.has(lsn))
  }

  /** Whether the segment has row groups in the tombstone's range; it may, where that cannot be read. */
  #concerns({ metric, fromUs, toUs, series }: Tombstone, segment: SegmentSource | undefined): boolean {
    if (segment === undefined) return true
    const wanted = series && { ordinals: series, has: (ordinal: number) => holdsSeries(series, ordinal) }
    const range = { fromUs: reachUs(fromUs, segment.meta), toUs, series: wanted, statistics: newReadStatistics() }
    try {
      return segment.pieces({ metric: this.#catalog.metricAt(metric), fields: [], ...range }).length > 0
    } catch {
      return true
    }
  }
}

const mayConcern = ({ lsn, fromUs, toUs }: Tombstone, meta: SegmentMeta): boolean =>
  deletesLsnOf(meta) < lsn && meta.maxTimeUs >= reachUs(fromUs, meta) && meta.minTimeUs < toUs

/** The earliest time at which the segment's rows may be of this one: those of a rollup begin buckets. */
const reachUs = (fromUs: number, { rollup }: SegmentMeta): number => fromUs - (rollup?.widthUs ?? 1) + 1
