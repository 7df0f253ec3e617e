/** What a commit does to storage: room in the memtable, a frame of the log, its sync, and the rows or the delete made visible. */
import { concatMap, defer, EMPTY, first, ignoreElements, type Observable, of, throwError } from 'rxjs'
import type { SydraError } from '../../lib/errors.ts'
import { completes, type IngestPorts } from '../../pipeline/ingest.ts'
import { tooManyTombstones } from '../../storage/tombstones/tombstones.ts'
import { encodeDeletion } from '../../storage/wal/delete-frame.ts'
import { encodeRowBatches } from '../../storage/wal/row-frame.ts'
import { walFrameTypes } from '../../storage/wal/wal.ts'
import type { Storage } from '../recovery/open-storage.ts'
import { catalogAnnouncer } from './catalog-announcer.ts'

export interface CommitPortsOptions {
  readonly storage: Storage
  readonly syncsEach: boolean
  /** Why nothing may be written; undefined when it may. */
  refusal(): SydraError | undefined
  /** Whether commits have to wait for a flush. */
  isFull(): boolean
  /** After each flush and each failed try, and when there will be none any more. */
  readonly flushed: Observable<void>
  /** The memtable gets its first commit. */
  onFirst(): void
}

export function commitPorts({
  storage,
  syncsEach,
  refusal,
  isFull,
  flushed,
  onFirst,
}: CommitPortsOptions): IngestPorts {
  const { versions, wal, catalog, kernels } = storage
  const announcer = catalogAnnouncer(storage)
  const unlessRefused = (): Observable<never> => (refusal() === undefined ? EMPTY : throwError(refusal))
  return {
    room: () =>
      defer(() => {
        if (refusal() !== undefined || !isFull()) return unlessRefused()
        return flushed.pipe(
          first(() => refusal() !== undefined || !isFull()),
          concatMap(unlessRefused),
          ignoreElements(),
        )
      }),
    append: (batches, deletion) => {
      if (deletion === undefined)
        return of(wal.append(walFrameTypes.rows, encodeRowBatches(announcer.announce(), batches, kernels)))
      if (!versions.tombstones.hasRoomFor(deletion)) return throwError(tooManyTombstones)
      return of(wal.append(walFrameTypes.delete, encodeDeletion(announcer.announce(), deletion)))
    },
    sync: () => (syncsEach ? completes(() => wal.sync()) : EMPTY),
    apply: (lsn, batches, deletion) => {
      announcer.confirm()
      if (versions.active.isEmpty) onFirst()
      if (deletion === undefined) versions.apply(lsn, batches)
      else versions.delete(lsn, deletion, catalog.metricAt(deletion.metric))
    },
  }
}
