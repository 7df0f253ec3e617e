/**
 * A subscription: where one subscriber is, as a cursor into the recent changes of its query.
 *
 *   new -> waiting -> ready -> current -> current …            ready: a snapshot, or what it missed while it was away
 *             ^________________ lost                           lost: its changes are not kept any more; a snapshot follows
 *
 * Invariants:
 * 1. It holds no rows but those of a first answer that was not taken yet, which are in the account of queries.
 * 2. Events are made when they are taken, by `next`, in order; applied one after the other they give the query's rows.
 * 3. An error ends it at once; that there will be no more is told after everything else.
 */
import type { SydraError } from '../../lib/errors.ts'
import type { LiveDelta } from '../../operators/live/types.ts'
import { isNoChange } from '../../operators/live/types.ts'
import { eventId, type Position, reaches } from './ids.ts'
import type { FormedRow, RowForm } from './live-rows.ts'
import type { SharedQuery } from './shared-query.ts'
import type { Snapshot } from './snapshot-runs.ts'
import type { LiveColumn, LiveEvent, LiveRestart } from './types.ts'

export type History = number | 'all'

export interface Request {
  readonly history: History
  readonly form: RowForm
  readonly resumeFrom: string | undefined
}

/** How it ended: by an error, or because there will be nothing more. */
export interface Ending {
  readonly error: SydraError | undefined
}

/** What it is told first. */
export type FirstAnswer =
  | { readonly kind: 'snapshot'; readonly snapshot: Snapshot }
  /** What it missed, up to the position; undefined: nothing. */
  | {
      readonly kind: 'resumed'
      readonly cursor: number
      readonly position: Position
      readonly delta: LiveDelta | undefined
    }

/** With rows in the form that was asked for. */
export type AnyEvent = LiveEvent<FormedRow>

type State =
  | { readonly kind: 'new' | 'waiting' }
  | { readonly kind: 'lost'; readonly isTold: boolean }
  | { readonly kind: 'ready'; readonly answer: FirstAnswer }
  | { readonly kind: 'current'; readonly cursor: number }

export class Subscription {
  readonly request: Request
  #resumeFrom: string | undefined
  /** Why the next snapshot is not the first. */
  #reason: LiveRestart | undefined
  #state: State = { kind: 'new' }
  #query: SharedQuery | undefined
  #columns: readonly LiveColumn[] | undefined
  /** Of the last event. */
  #told: Position = { lsn: 0, tick: 0 }
  /** Of the last change that was taken: later than what was told where changes cancelled each other. */
  #passed: Position = { lsn: 0, tick: 0 }
  #ending: Ending | undefined
  readonly #listener: () => void
  readonly #onEnd: () => void
  #isClosed = false

  /** `listener` is told whenever `next` may have something; `onEnd`, maybe twice, that it needs its query no more. */
  constructor(request: Request, listener: () => void, onEnd: () => void) {
    this.request = request
    this.#resumeFrom = request.resumeFrom
    this.#listener = listener
    this.#onEnd = onEnd
  }

  /** Nothing more will be told. */
  get isOver(): boolean {
    return this.#isClosed || this.#ending?.error !== undefined
  }
  get query(): SharedQuery | undefined {
    return this.#query
  }
  /** Of the last event's rows; undefined before the first. */
  get columns(): readonly LiveColumn[] | undefined {
    return this.#columns
  }
  /** Set once `next` has nothing more. */
  get ending(): Ending | undefined {
    return this.#ending
  }

  /** Once. */
  takeResumeFrom(): string | undefined {
    const id = this.#resumeFrom
    this.#resumeFrom = undefined
    return id
  }

  /** Its query is there and about to answer. */
  attach(query: SharedQuery): void {
    this.#query = query
    this.#state = { kind: 'waiting' }
    query.subscribers.add(this)
    query.answers.enlist(this)
  }

  /** It cannot go on from where it says it was. */
  restart(reason: LiveRestart): void {
    if (this.isOver) return
    this.#reason = reason
    this.#state = { kind: 'lost', isTold: false }
    this.#listener()
  }

  answer(answer: FirstAnswer): void {
    if (this.isOver) {
      letGoOf(answer)
      return
    }
    this.#state = { kind: 'ready', answer }
    this.#listener()
  }

  /** There may be something to tell. */
  wake(): void {
    if (!this.#isClosed) this.#listener()
  }

  /** With an error nothing else is told any more; without, all that still can be. */
  end(error: SydraError | undefined): void {
    if (this.#ending !== undefined || this.#isClosed) return
    this.#ending = { error }
    if (error !== undefined) {
      this.#letGo()
      this.#onEnd()
    }
    this.#listener()
  }

  /** Lets go of everything. Calling it again does nothing. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#letGo()
    this.#onEnd()
  }

  /** The next event, if there is one now. `each`: change by change; `all`: what has changed by now, as one. */
  next(take: 'each' | 'all'): AnyEvent | undefined {
    const query = this.#query
    if (this.isOver || query === undefined) return undefined
    const state = this.#state
    if (state.kind === 'ready') return this.#first(query, state.answer, take)
    if (state.kind === 'lost') return this.#nextLost(query, state.isTold)
    if (state.kind !== 'current') return undefined
    const { ring } = query.changes
    if (!ring.has(state.cursor)) {
      this.#reason = query.changes.lossOf(state.cursor)
      this.#state = { kind: 'lost', isTold: false }
      return this.#nextLost(query, false)
    }
    return (state.cursor < ring.end ? this.#changes(query, state.cursor, take) : undefined) ?? this.#progress(query)
  }

  #nextLost(query: SharedQuery, isTold: boolean): AnyEvent | undefined {
    if (isTold) {
      // a snapshot is made for who asks: one that does not read costs nothing
      if (this.#ending === undefined) {
        this.#state = { kind: 'waiting' }
        query.answers.enlist(this)
      }
      return undefined
    }
    this.#state = { kind: 'lost', isTold: true }
    const reason = this.#reason ?? 'lagged'
    if (reason === 'lagged') query.countLoss()
    return { kind: 'lagged', lsn: query.position.lsn, reason }
  }

  #first(query: SharedQuery, answer: FirstAnswer, take: 'each' | 'all'): AnyEvent | undefined {
    if (answer.kind === 'resumed') {
      if (!query.changes.ring.has(answer.cursor)) {
        this.#reason = query.changes.lossOf(answer.cursor)
        return this.#nextLost(query, false)
      }
      this.#state = { kind: 'current', cursor: answer.cursor }
      this.#told = answer.position
      this.#passed = answer.position
      return answer.delta === undefined ? this.next(take) : this.#delta(query, answer.delta)
    }
    const { snapshot } = answer
    this.#state = { kind: 'current', cursor: snapshot.cursor }
    this.#told = snapshot.position
    this.#passed = snapshot.position
    const { columns, strategy, position, incarnation } = snapshot
    const rows = snapshot.rowsAs(this.request.form)
    snapshot.release()
    this.#columns = columns
    return {
      kind: 'snapshot',
      id: eventId(incarnation, position),
      lsn: position.lsn,
      columns,
      strategy,
      rows,
      reason: this.#reason,
    }
  }

  /** undefined: one cancels the other. */
  #changes(query: SharedQuery, cursor: number, take: 'each' | 'all'): AnyEvent | undefined {
    const change = take === 'each' ? query.changes.ring.at(cursor) : query.changes.since(cursor)
    this.#state = { kind: 'current', cursor: take === 'each' ? cursor + 1 : query.changes.ring.end }
    this.#passed = change.to
    if (isNoChange(change.delta)) return undefined
    this.#told = change.to
    return this.#delta(query, change.delta)
  }

  #delta(query: SharedQuery, delta: LiveDelta): AnyEvent {
    const { added, changed, removed } = query.changes.formed(delta, this.request.form)
    this.#columns = query.changes.columns
    return { kind: 'delta', id: eventId(query.incarnation, this.#told), lsn: this.#told.lsn, added, changed, removed }
  }

  #progress(query: SharedQuery): AnyEvent | undefined {
    const { progress } = query
    if (progress === undefined || reaches(this.#told, progress.position)) return undefined
    if (!reaches(progress.position, this.#passed)) return undefined
    this.#told = progress.position
    this.#columns = query.changes.columns
    const { position, watermarkUs } = progress
    return { kind: 'progress', id: eventId(query.incarnation, position), lsn: position.lsn, watermarkUs }
  }

  #letGo(): void {
    if (this.#state.kind === 'ready') letGoOf(this.#state.answer)
    this.#state = { kind: 'new' }
  }
}

function letGoOf(answer: FirstAnswer): void {
  if (answer.kind === 'snapshot') answer.snapshot.release()
}
