/**
 * Flush turns frozen memtables into durable segments, oldest first, and lets their WAL go.
 *
 *   frozen -> encode -> publish segments -> commit (catalog log, manifest edit) -> release WAL -> Flushed
 *
 * Invariants:
 * 1. One flush at a time, in freeze order: the manifest's flushed LSN never goes back.
 * 2. The WAL is released only after the manifest edit naming its rows is durable; a crash between any two steps
 *    loses nothing (the WAL still has it) and doubles nothing (replay starts after the flushed LSN).
 * 3. Publishing and committing are retried while the failure is transient (a full disk): a segment's name is settled
 *    before, so both are idempotent. Any other failure, and the last retry's, errors the graph: the engine turns read-only.
 * 4. concatMap queues without limit, so freezing takes a place and gets it back on `Flushed`: at most `frozenMax` wait here.
 */
import {
  concat,
  concatMap,
  defer,
  EMPTY,
  exhaustMap,
  filter,
  map,
  merge,
  type Observable,
  of,
  retry,
  type SchedulerLike,
  throwError,
  timer,
} from 'rxjs'
import type { Lsn, SegmentMeta } from '../storage/types.ts'

export interface FlushPorts<F> {
  /** Names and encodes the segments of a frozen memtable, one at a time, publishing each durably. */
  publish(frozen: F): Observable<readonly SegmentMeta[]>
  /** Makes catalog and manifest durable. */
  commit(frozen: F, segments: readonly SegmentMeta[]): Observable<never>
  releaseWal(maxLsn: Lsn): Observable<never>
  isTransient(error: unknown): boolean
  /** A clock that never goes back. */
  nowMs(): number
}
export interface FlushSettings {
  readonly flushRetriesMax: number
  readonly flushRetryBaseMs: number
}
/** Pauses between retries grow up to this one. */
const flushRetryPauseMaxMs = 8000

export interface Flushed<F> {
  readonly kind: 'flushed'
  readonly frozen: F
  readonly segments: readonly SegmentMeta[]
  readonly elapsedMs: number
}

export function flush<F extends { readonly maxLsn: Lsn }>(
  frozen: Observable<F>,
  ports: FlushPorts<F>,
  settings: FlushSettings,
  scheduler?: SchedulerLike,
): Observable<Flushed<F>> {
  const retryTransient = <T>() =>
    retry<T>({
      count: settings.flushRetriesMax,
      delay: (error, attempt) =>
        ports.isTransient(error)
          ? timer(Math.min(settings.flushRetryBaseMs * 2 ** (attempt - 1), flushRetryPauseMaxMs), scheduler)
          : throwError(() => error),
    })

  return frozen.pipe(
    concatMap(memtable => {
      const startedMs = ports.nowMs()
      return ports.publish(memtable).pipe(
        retryTransient(),
        concatMap(segments =>
          concat(
            ports.commit(memtable, segments).pipe(retryTransient()),
            defer(() => ports.releaseWal(memtable.maxLsn)),
            defer(() =>
              of<Flushed<F>>({ kind: 'flushed', frozen: memtable, segments, elapsedMs: ports.nowMs() - startedMs }),
            ),
          ),
        ),
      )
    }),
  )
}

export type FreezeReason = 'size' | 'age' | 'memory' | 'request'

export interface FreezeInputs {
  /** One event per commit. */
  readonly committed: Observable<unknown>
  /** Someone asks for a flush: `db.flush()` or shutdown. */
  readonly requests: Observable<unknown>
  /** Memory is short, and the active memtable worth a flush. */
  readonly shortages: Observable<unknown>
}
export interface FreezeSettings {
  /** 0: never by age. */
  readonly flushIntervalMs: number
}

export interface ActiveMemtable {
  isEmpty(): boolean
  isFull(): boolean
  /** Milliseconds since its first row went in. */
  ageMs(): number
}

/**
 * Says when to freeze the active memtable: when it is full, `flushIntervalMs` after its first row went in, for its
 * memory, or on request. The age timer runs only while there are rows, one at a time.
 */
export function freezes(
  inputs: FreezeInputs,
  memtable: ActiveMemtable,
  settings: FreezeSettings,
  scheduler?: SchedulerLike,
): Observable<FreezeReason> {
  const bySize = inputs.committed.pipe(
    filter(() => memtable.isFull()),
    map((): FreezeReason => 'size'),
  )
  // A memtable frozen for another reason leaves a younger one behind, for which the timer is set anew.
  const whenOld = (): Observable<FreezeReason> =>
    defer(() => timer(Math.max(0, settings.flushIntervalMs - memtable.ageMs()), scheduler)).pipe(
      concatMap(() => {
        if (memtable.isEmpty()) return EMPTY
        return memtable.ageMs() >= settings.flushIntervalMs ? of<FreezeReason>('age') : whenOld()
      }),
    )
  const byAge = settings.flushIntervalMs === 0 ? EMPTY : inputs.committed.pipe(exhaustMap(whenOld))
  const byRequest = inputs.requests.pipe(map((): FreezeReason => 'request'))
  const byShortage = inputs.shortages.pipe(map((): FreezeReason => 'memory'))
  return merge(bySize, byAge, byShortage, byRequest)
}
