/**
 * Compaction merges segments into fewer, one merge after the other, for as long as there is one that pays.
 *
 *   trigger -> choose -> merge (elsewhere) -> replace the inputs -> choose …      until there is nothing to choose
 *
 * Invariants:
 * 1. One merge at a time. A trigger that comes meanwhile is not lost: the loop ends only when `choose` finds nothing.
 * 2. A merge that fails, or is called off, changes nothing. After a failure the loop pauses; which inputs are tried again
 *    is for the ports to say, by what they choose next.
 * 3. Unsubscribing stops the merge under way.
 */
import {
  catchError,
  concat,
  concatMap,
  defer,
  EMPTY,
  exhaustMap,
  ignoreElements,
  merge,
  type Observable,
  of,
  repeat,
  type SchedulerLike,
  takeUntil,
  tap,
  timer,
} from 'rxjs'

export type MergeStep<P, R> =
  | { readonly kind: 'progress'; readonly progress: P }
  | { readonly kind: 'merged'; readonly result: R }

export interface CompactionPorts<J, P, R> {
  /** What is worth doing now. */
  choose(): J | undefined
  /** Publishes what takes the place of the inputs; stops, and leaves nothing, when unsubscribed. */
  merge(job: J): Observable<MergeStep<P, R>>
  /** Makes the change durable and visible; emits false where the inputs are not there any more: the result is let go. */
  commit(job: J, result: R): Observable<boolean>
  /** How long to wait after this failure before the next choice. */
  pauseMs(error: unknown): number
}

export interface CompactionInputs {
  /** A flush, a slow timer. */
  readonly triggers: Observable<unknown>
  /** Someone waits for it: a pause ends. */
  readonly requests: Observable<unknown>
  /** The merge under way is not wanted any more. */
  readonly cancels: Observable<unknown>
}
export type CompactionStep<J, P, R> =
  | { readonly kind: 'started'; readonly job: J }
  | { readonly kind: 'progress'; readonly job: J; readonly progress: P }
  | { readonly kind: 'finished'; readonly job: J; readonly result: R }
  /** It was called off, or its inputs went meanwhile. */
  | { readonly kind: 'abandoned'; readonly job: J }
  | { readonly kind: 'failed'; readonly job: J; readonly error: unknown }
  /** There is nothing left to do. */
  | { readonly kind: 'idle' }

export function compaction<J, P, R>(
  { triggers, requests, cancels }: CompactionInputs,
  ports: CompactionPorts<J, P, R>,
  scheduler?: SchedulerLike,
): Observable<CompactionStep<J, P, R>> {
  type Step = CompactionStep<J, P, R>

  const run = (job: J): Observable<Step> => {
    let isDone = false
    const done = tap<Step>(() => {
      isDone = true
    })
    const steps: Observable<Step> = concat(
      of<Step>({ kind: 'started', job }),
      ports.merge(job).pipe(
        takeUntil(cancels),
        concatMap((step): Observable<Step> => {
          if (step.kind === 'progress') return of<Step>({ kind: 'progress', job, progress: step.progress })
          const { result } = step
          return ports
            .commit(job, result)
            .pipe(concatMap(took => (took ? of<Step>({ kind: 'finished', job, result }).pipe(done) : EMPTY)))
        }),
      ),
      defer(() => (isDone ? EMPTY : of<Step>({ kind: 'abandoned', job }))),
    )
    return steps.pipe(
      catchError(error =>
        concat(
          of<Step>({ kind: 'failed', job, error }),
          timer(ports.pauseMs(error), scheduler).pipe(takeUntil(requests), ignoreElements()),
        ),
      ),
    )
  }

  const untilNothingIsLeft = (): Observable<Step> => {
    let isIdle = false
    return defer(() => {
      const job = ports.choose()
      isIdle = job === undefined
      return job === undefined ? of<Step>({ kind: 'idle' }) : run(job)
    }).pipe(repeat({ delay: () => (isIdle ? EMPTY : of(undefined)) }))
  }

  return merge(triggers, requests).pipe(exhaustMap(untilNothingIsLeft))
}
