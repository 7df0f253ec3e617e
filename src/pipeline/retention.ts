/**
 * Retention drops segments of which every row has expired, now and then.
 *
 *   start, each interval -> drop (choose, manifest edit) -> Expired
 *
 * Invariants:
 * 1. One look at a time: what takes longer than the interval delays the next.
 * 2. A failure is told and does not end the graph: the next look tries again. Queries do not see expired rows in any case.
 */
import { catchError, defer, exhaustMap, filter, map, type Observable, of, type SchedulerLike, timer } from 'rxjs'
import type { SegmentMeta } from '../storage/types.ts'

export interface RetentionPorts {
  /** Takes expired segments out of the database; emits those that went. */
  drop(): Observable<readonly SegmentMeta[]>
}
export interface RetentionTiming {
  readonly intervalMs: number
}

export type RetentionEvent =
  | { readonly kind: 'expired'; readonly segments: readonly SegmentMeta[] }
  | { readonly kind: 'failed'; readonly error: unknown }

export function retention(
  ports: RetentionPorts,
  { intervalMs }: RetentionTiming,
  scheduler?: SchedulerLike,
): Observable<RetentionEvent> {
  return timer(0, intervalMs, scheduler).pipe(
    exhaustMap(() =>
      defer(() => ports.drop()).pipe(
        filter(segments => segments.length > 0),
        map((segments): RetentionEvent => ({ kind: 'expired', segments })),
        catchError(error => of<RetentionEvent>({ kind: 'failed', error })),
      ),
    ),
  )
}
