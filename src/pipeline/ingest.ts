/**
 * Ingest turns submitted row batches into commits: what waits together becomes one WAL frame, one write, one sync.
 *
 *   submissions -> group -> room -> append (WAL) -> sync -> apply (memtable) -> Committed | Refused
 *
 * Invariants:
 * 1. One group at a time, in submission order: LSNs, memtable and events all follow the WAL's order.
 * 2. `Committed` is emitted after the rows are durable by the policy and visible to queries; only then is anyone told.
 * 3. A failed append refuses exactly its group and the graph goes on; a failed sync refuses its group too, and the
 *    ports make every later append fail (the WAL is poisoned), so nothing un-synced is ever acknowledged.
 * 4. Submissions wait without a limit of their own: each holds a permit for its bytes, which is the limit.
 *    A group takes at most `groupBytesMax` of them (but always one).
 * 5. A delete is a group, and so a commit, of its own: what was submitted before has a lower LSN, what comes later a
 *    higher one.
 */
import { catchError, concat, concatMap, defer, ignoreElements, Observable, of, type Subscriber } from 'rxjs'
import type { Deletion } from '../storage/tombstones/tombstones.ts'
import type { Lsn, RowBatch } from '../storage/types.ts'

export interface Submission {
  /** Empty beside a deletion. */
  readonly batch: RowBatch
  readonly deletion?: Deletion | undefined
}
export interface IngestPorts {
  /** Completes when the memtable may take more. */
  room(): Observable<never>
  /** Writes one frame; errors when nothing of it counts as written. */
  append(batches: readonly RowBatch[], deletion: Deletion | undefined): Observable<Lsn>
  /** Completes when everything appended is durable by the policy. */
  sync(): Observable<never>
  /** Makes the rows, or the delete, visible. Cannot fail. */
  apply(lsn: Lsn, batches: readonly RowBatch[], deletion: Deletion | undefined): void
}
export interface IngestSettings {
  readonly groupBytesMax: number
}

export interface CommittedGroup<S> {
  readonly kind: 'committed'
  readonly lsn: Lsn
  readonly group: readonly S[]
}
export interface RefusedGroup<S> {
  readonly kind: 'refused'
  readonly error: unknown
  readonly group: readonly S[]
}

export function ingest<S extends Submission>(
  submissions: Observable<S>,
  ports: IngestPorts,
  settings: IngestSettings,
): Observable<CommittedGroup<S> | RefusedGroup<S>> {
  return submissions.pipe(
    groupWhileBusy(
      group => commit(group, ports),
      waiting => groupLength(waiting, settings.groupBytesMax),
    ),
  )
}

function commit<S extends Submission>(
  group: readonly S[],
  ports: IngestPorts,
): Observable<CommittedGroup<S> | RefusedGroup<S>> {
  const batches = group.map(submission => submission.batch)
  const deletion = group[0]?.deletion
  return concat(
    ports.room(),
    defer(() => ports.append(batches, deletion)).pipe(
      concatMap(lsn =>
        concat(
          ports.sync(),
          defer(() => {
            ports.apply(lsn, batches, deletion)
            return of<CommittedGroup<S>>({ kind: 'committed', lsn, group })
          }),
        ),
      ),
    ),
  ).pipe(catchError((error: unknown) => of<RefusedGroup<S>>({ kind: 'refused', error, group })))
}

function groupLength(waiting: readonly Submission[], bytesMax: number): number {
  const deleteAt = waiting.findIndex(({ deletion }) => deletion !== undefined)
  if (deleteAt === 0) return 1
  return rowsLength(deleteAt < 0 ? waiting : waiting.slice(0, deleteAt), bytesMax)
}

function rowsLength(waiting: readonly Submission[], bytesMax: number): number {
  let bytes = 0
  let length = 0
  while (length < waiting.length && (length === 0 || bytes + waiting[length]!.batch.byteLength <= bytesMax)) {
    bytes += waiting[length]!.batch.byteLength
    length++
  }
  return length
}

/** Runs one project at a time; whatever arrives meanwhile becomes the next group, cut at `take(waiting)` items. */
function groupWhileBusy<T, R>(
  project: (group: readonly T[]) => Observable<R>,
  take: (waiting: readonly T[]) => number,
): (source: Observable<T>) => Observable<R> {
  return source =>
    new Observable<R>((subscriber: Subscriber<R>) => {
      let waiting: T[] = []
      let busy = false
      let ended = false

      const next = (): void => {
        // A loop, not recursion: a project that completes at once must not grow the stack.
        while (!busy && waiting.length > 0 && !subscriber.closed) {
          const group = waiting.splice(0, take(waiting))
          busy = true
          let synchronous = true
          subscriber.add(
            project(group).subscribe({
              next: value => subscriber.next(value),
              error: error => subscriber.error(error),
              complete: () => {
                busy = false
                if (!synchronous) next()
              },
            }),
          )
          synchronous = false
        }
        if (ended && !busy && waiting.length === 0) subscriber.complete()
      }

      subscriber.add(
        source.subscribe({
          next: value => {
            waiting.push(value)
            next()
          },
          error: error => subscriber.error(error),
          complete: () => {
            ended = true
            next()
          },
        }),
      )
      subscriber.add(() => {
        waiting = []
      })
    })
}

/** A port that completes after a promise, as the graph wants it. */
export const completes = (work: () => Promise<unknown>): Observable<never> => defer(work).pipe(ignoreElements())
