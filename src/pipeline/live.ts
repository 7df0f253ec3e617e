/**
 * Live paces what live queries are kept true by: whatever happens asks for a round, and a round looks at all of it.
 *
 *   commits, files that changed, subscribers, ticks of the clock -> reasons -> a turn -> one round -> a turn -> …
 *
 * Invariants:
 * 1. One round at a time. Reasons that come before it begins are its own, those that come later the next one's: none is
 *    lost, and they wait as a set, so that nothing queues.
 * 2. A round begins in a turn of its own, never within the commit, the event or the call that asked for it.
 * 3. Where nobody is subscribed, the clock asks for nothing.
 */
import {
  concat,
  defer,
  distinctUntilChanged,
  EMPTY,
  ignoreElements,
  interval,
  map,
  merge,
  Observable,
  type SchedulerLike,
  switchMap,
} from 'rxjs'

export type RoundReason =
  | 'commit'
  /** Files or memtables changed places: versions of before hold what is not needed any more. */
  | 'storage'
  /** Someone subscribed, or a query can go on. */
  | 'wake'
  /** `now()` advances. */
  | 'tick'
  /** Subscribers hear how far they are. */
  | 'progress'
  /** The last ones: nothing rests any more. */
  | 'close'

export interface LiveInputs {
  readonly committed: Observable<unknown>
  readonly storage: Observable<unknown>
  readonly wakes: Observable<unknown>
  /** Whether anyone is subscribed. */
  readonly active: Observable<boolean>
}
export interface LivePorts {
  /** Completes when the next round may begin. */
  turn(): Observable<unknown>
  /** Completes when the round is over: what it began may go on. */
  round(reasons: ReadonlySet<RoundReason>): Observable<unknown>
}
export interface LiveTiming {
  readonly tickMs: number
  /** 0: never. */
  readonly progressMs: number
}

/** Emits what each round was for, when it is over. */
export function liveRounds(
  { committed, storage, wakes, active }: LiveInputs,
  ports: LivePorts,
  { tickMs, progressMs }: LiveTiming,
  scheduler?: SchedulerLike,
): Observable<ReadonlySet<RoundReason>> {
  const because = (reason: RoundReason, source: Observable<unknown>): Observable<RoundReason> =>
    source.pipe(map(() => reason))
  const every = (ms: number, reason: RoundReason): Observable<RoundReason> =>
    ms === 0 ? EMPTY : because(reason, interval(ms, scheduler))
  const clock = active.pipe(
    distinctUntilChanged(),
    switchMap(isActive => (isActive ? merge(every(tickMs, 'tick'), every(progressMs, 'progress')) : EMPTY)),
  )
  return inRounds(
    merge(because('commit', committed), because('storage', storage), because('wake', wakes), clock),
    ports,
  )
}

/** Gathers what comes until a turn has passed, hands it to a round, and begins again with what came meanwhile. */
function inRounds<T>(
  source: Observable<T>,
  ports: { turn(): Observable<unknown>; round(gathered: ReadonlySet<T>): Observable<unknown> },
): Observable<ReadonlySet<T>> {
  return new Observable(subscriber => {
    let gathered = new Set<T>()
    let isBusy = false
    let isEnded = false

    const next = (): void => {
      if (isBusy || gathered.size === 0) {
        if (isEnded && !isBusy) subscriber.complete()
        return
      }
      isBusy = true
      let own: ReadonlySet<T> = gathered
      const round = defer(() => {
        own = gathered
        gathered = new Set()
        return ports.round(own)
      })
      subscriber.add(
        concat(ports.turn().pipe(ignoreElements()), round.pipe(ignoreElements())).subscribe({
          error: error => subscriber.error(error),
          complete: () => {
            isBusy = false
            subscriber.next(own)
            next()
          },
        }),
      )
    }

    subscriber.add(
      source.subscribe({
        next: value => {
          gathered.add(value)
          next()
        },
        error: error => subscriber.error(error),
        complete: () => {
          isEnded = true
          next()
        },
      }),
    )
  })
}
