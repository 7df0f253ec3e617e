/**
 * What the catalog has new goes with the frame whose rows need it: a frame can be read with what came before it.
 *
 * Invariants:
 * 1. A record is in the log before, or with, the first row that refers to it.
 * 2. `confirm` is called when the frame counts as written: what a failed one carried is announced again.
 */

import { encodeRowBatches } from '../../storage/wal/row-frame.ts'
import { walFrameTypes } from '../../storage/wal/wal.ts'
import type { Storage } from '../recovery/open-storage.ts'

/** Catalog records in one WAL frame, in bytes: series may be announced faster than they are written. */
const frameCatalogBytesMax = 16 * 2 ** 20

export interface CatalogAnnouncer {
  /** The records for the next frame. More than a frame has room for goes ahead in frames without rows. */
  announce(): Uint8Array
  confirm(): void
}

export function catalogAnnouncer({
  wal,
  catalog,
  kernels,
}: Pick<Storage, 'wal' | 'catalog' | 'kernels'>): CatalogAnnouncer {
  let announced = 0
  return {
    announce() {
      let from = catalog.confirmed
      let upTo = catalog.pendingWithin(from, frameCatalogBytesMax)
      while (upTo < catalog.sequence) {
        wal.append(walFrameTypes.rows, encodeRowBatches(catalog.pendingSince(from, upTo), [], kernels))
        from = upTo
        upTo = catalog.pendingWithin(from, frameCatalogBytesMax)
      }
      announced = upTo
      return catalog.pendingSince(from, upTo)
    },
    confirm: () => catalog.confirm(announced),
  }
}
