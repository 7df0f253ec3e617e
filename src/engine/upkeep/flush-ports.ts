/** What a flush does to storage. */
import { defer, EMPTY } from 'rxjs'
import type { Clock } from '../../lib/ports.ts'
import type { FlushPorts } from '../../pipeline/flush.ts'
import { completes } from '../../pipeline/ingest.ts'
import type { FrozenLayers } from '../../storage/memtable/layers.ts'
import type { Storage } from '../recovery/open-storage.ts'

export interface FlushPortsOptions {
  readonly storage: Storage
  readonly clock: Clock
  /** Released WAL that is kept, in bytes. */
  readonly walKeepBytes: number
  /** Whether the flush is tried again after such a failure. */
  readonly isTransient: (error: unknown) => boolean
}

export function flushPorts({
  storage: { writeSegments, commitFlush, wal, versions, openSegments },
  clock,
  walKeepBytes,
  isTransient,
}: FlushPortsOptions): FlushPorts<FrozenLayers> {
  return {
    publish: frozen => defer(() => writeSegments(frozen)),
    commit: (frozen, segments) =>
      completes(async () => {
        const live = await commitFlush(frozen, segments)
        versions.flushed(frozen, openSegments(segments), live)
      }),
    releaseWal: lsn =>
      defer(() => {
        wal.releaseUpTo(lsn, { bytesMax: walKeepBytes, msMax: Number.POSITIVE_INFINITY })
        return EMPTY
      }),
    isTransient,
    nowMs: () => clock.monotonicMs(),
  }
}
