/**
 * Upkeep between commits: the WAL is synced soon after a commit, and what the catalog has new is written to its own log.
 *
 *   committed -> pause -> work, again while there is some left
 *
 * Invariants:
 * 1. One pause at a time: a commit meanwhile starts no second one.
 */
import { concatMap, EMPTY, endWith, exhaustMap, filter, type Observable, type SchedulerLike, timer } from 'rxjs'
import { completes } from './ingest.ts'

export interface SyncPorts {
  /** Whether there is something that was written and not synced. */
  isBehind(): boolean
  sync(): Promise<void>
}

/** Syncs the interval after a commit. Errors with what `sync` fails with. */
export function syncs(
  committed: Observable<unknown>,
  ports: SyncPorts,
  intervalMs: number,
  scheduler?: SchedulerLike,
): Observable<never> {
  const later = (): Observable<never> =>
    timer(intervalMs, scheduler).pipe(
      concatMap(() => completes(() => ports.sync())),
      endWith(undefined),
      concatMap(() => (ports.isBehind() ? later() : EMPTY)),
    )
  return committed.pipe(exhaustMap(later))
}

/** Does the work a while after a commit that makes it needed. */
export function soonAfter(
  committed: Observable<unknown>,
  isNeeded: () => boolean,
  work: () => Promise<void>,
  delayMs: number,
  scheduler?: SchedulerLike,
): Observable<never> {
  return committed.pipe(
    filter(isNeeded),
    exhaustMap(() => timer(delayMs, scheduler).pipe(concatMap(() => completes(work)))),
  )
}
