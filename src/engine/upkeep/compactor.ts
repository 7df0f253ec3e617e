/**
 * The engine's side of compaction: what there is to choose from, how a merge runs and takes effect, who is told.
 *
 *   flushes, timer, compact() -> pipeline/compaction.ts -> choose -> worker -> replaceSegments -> events$, compact()'s callers
 *
 * Invariants:
 * 1. A merge reads files that are held for it, and its result takes effect only if all its inputs are there then: what
 *    expired, or was replaced by a restored snapshot, makes it void.
 * 2. An input that is damaged, or that `triesMax` merges failed with, is not chosen again until the next opening.
 * 3. Files of a merge that came to nothing are removed, unless the manifest may name them.
 */
import { debounceTime, EMPTY, filter, from, merge, Observable, type SchedulerLike, Subject, tap, timer } from 'rxjs'
import { cancellation } from '../../lib/cancel.ts'
import { SydraError, toSydraError } from '../../lib/errors.ts'
import { type CompactionStep, compaction, type MergeStep } from '../../pipeline/compaction.ts'
import { choose } from '../../storage/compaction/choose.ts'
import {
  type CompactionJob,
  type CompactionState,
  defaultCompactionPolicy,
  type MergeProgress,
  type MergeResult,
} from '../../storage/compaction/job.ts'
import { damagedInput, type MergeEngine, mergeJobOf, mergeTask } from '../../storage/compaction/task.ts'
import { segmentFiles } from '../../storage/data-files.ts'
import { rollupWidthUs } from '../../storage/rollup/widths.ts'
import type { SegmentMeta } from '../../storage/types.ts'
import type { CompactionOptions, CompactionReport, DatabaseStatistics } from '../../types.ts'
import type { MaintenanceOptions } from './maintenance.ts'

/**
 * While rows stream into windows that have closed, each merge would soon be done again: merges wait until there was no flush
 * for so long, or too many segments wait for one.
 */
const quietMs = 10_000
const waitingMax = 64
/** After a merge that failed for another reason than damage, such as a full disk. */
const pauseMs = 30_000
const triesMax = 3
/** Between events that tell of progress. */
const progressMs = 1000

export interface CompactorOptions extends MaintenanceOptions {
  readonly scheduler: SchedulerLike
  /** How often is looked for windows that have closed. */
  readonly intervalMs: number
}

export interface Compactor {
  compact(options?: CompactionOptions): Promise<CompactionReport>
  stats(): DatabaseStatistics['compaction']
  close(): Promise<void>
}

/** A call of `compact`. */
interface Waiter {
  readonly totals: Totals
  progress(now: MergeProgress): void
  done(): void
  fail(error: unknown): void
}
type Totals = { -readonly [Name in Exclude<keyof CompactionReport, 'elapsedMs'>]: number }
type Step = CompactionStep<CompactionJob, MergeProgress, MergeResult>

export function createCompactor(options: CompactorOptions): Compactor {
  const { settings, ports, storage, events, refusal, scheduler, intervalMs } = options
  const { clock } = ports
  const { versions } = storage
  const waiters = new Set<Waiter>()
  const requests = new Subject<void>()
  const cancels = new Subject<void>()
  const totals = newTotals()
  const inputs = new Inputs(options)
  let flushedBytes = 0
  let isClosed = false
  /** The merge under way, and whether it was chosen while someone waited. */
  let running: { readonly job: CompactionJob; readonly isRequested: boolean } | undefined
  let toldMs = Number.NEGATIVE_INFINITY
  /** Settles when all merges have stopped for good. */
  let stopped: Promise<unknown> = Promise.resolve()

  // ---- a merge ------------------------------------------------------------------------------------------------------

  const merging = (job: CompactionJob): Observable<MergeStep<MergeProgress, MergeResult>> =>
    new Observable(subscriber => {
      const abort = new AbortController()
      const release = versions.hold()
      const work = async (): Promise<void> => {
        const task = mergeJobOf(job, inputs.engine())
        const progress = (now: MergeProgress): void => subscriber.next({ kind: 'progress', progress: now })
        try {
          const result = await ports.workers.run(mergeTask, task, { ports, signal: abort.signal, progress })
          if (subscriber.closed) inputs.discard(task.ids)
          subscriber.next({ kind: 'merged', result })
          subscriber.complete()
        } catch (error) {
          inputs.discard(task.ids)
          throw error
        }
      }
      // One that was called off may still be stopping when the next begins.
      const ended = work()
        .catch((error: unknown) => subscriber.error(error))
        .finally(release)
      stopped = stopped.then(() => ended)
      return () => abort.abort(new SydraError('cancelled', 'the merge was called off'))
    })

  /** Emits whether it took effect. */
  const commit = async (job: CompactionJob, { segments }: MergeResult): Promise<boolean> => {
    let isCommitted = false
    try {
      await storage.replaceSegments(present => {
        isCommitted = inputs.arePresent(job, present)
        return isCommitted ? { remove: new Set(job.remove), add: segments } : undefined
      })
    } catch (error) {
      isCommitted = false
      throw error
    } finally {
      if (!isCommitted) inputs.discard(segments.map(({ id }) => id))
    }
    return isCommitted
  }

  // ---- who is told --------------------------------------------------------------------------------------------------

  const tell = (step: Step): void => {
    switch (step.kind) {
      case 'started': {
        const { reason, inputs: merged } = step.job
        const bytes = merged.reduce((sum, meta) => sum + meta.bytes, 0)
        events.next({ kind: 'compaction-started', reason, inputs: merged, bytes })
        return
      }
      case 'progress':
        for (const waiter of [...waiters]) waiter.progress(step.progress)
        if (clock.monotonicMs() - toldMs < progressMs) return
        toldMs = clock.monotonicMs()
        events.next({ kind: 'compaction-progress', ...step.progress })
        return
      case 'finished':
        running = undefined
        for (const each of [totals, ...[...waiters].map(waiter => waiter.totals)]) count(each, step.result)
        events.next({ kind: 'compacted', reason: step.job.reason, inputs: step.job.inputs, ...step.result })
        return
      case 'abandoned':
        running = undefined
        events.next({ kind: 'compaction-abandoned', reason: step.job.reason })
        return
      case 'failed':
        running = undefined
        fail(step.job, step.error)
        return
      case 'idle': {
        const refused = refusal()
        for (const waiter of [...waiters]) {
          if (refused === undefined) waiter.done()
          else waiter.fail(refused)
        }
      }
    }
  }

  const fail = (job: CompactionJob, error: unknown): void => {
    const { message } = toSydraError(error)
    const isDamage = inputs.failed(job, error)
    totals.failed++
    events.next({ kind: 'compaction-failed', message, inputs: job.inputs })
    for (const waiter of [...waiters]) {
      waiter.totals.failed++
      // what is damaged is left alone, and the others are merged
      if (!isDamage) waiter.fail(toSydraError(error))
    }
  }

  // ---- the loop -----------------------------------------------------------------------------------------------------

  const flushes = events.pipe(filter(event => event.kind === 'flushed'))
  let isQuiet = true
  const subscription = flushes.subscribe(({ segments }) => {
    isQuiet = false
    flushedBytes += segments.reduce((sum, meta) => sum + meta.bytes, 0)
  })
  // a merge of what has gone since is for nothing
  subscription.add(
    events.pipe(filter(({ kind }) => kind === 'expired' || kind === 'restored')).subscribe(() => {
      if (running !== undefined && !inputs.arePresent(running.job, storage.manifestState().segments)) cancels.next()
    }),
  )
  const quiet = flushes.pipe(
    debounceTime(quietMs, scheduler),
    tap(() => {
      isQuiet = true
    }),
  )
  const background = settings.compaction.enabled
    ? merge(flushes, quiet, timer(intervalMs, intervalMs, scheduler))
    : EMPTY
  subscription.add(
    compaction<CompactionJob, MergeProgress, MergeResult>(
      { triggers: background, requests, cancels },
      {
        choose() {
          if (refusal() !== undefined || (!settings.compaction.enabled && waiters.size === 0)) return undefined
          const isRequested = waiters.size > 0
          const state = inputs.state()
          const waiting = state.segments.filter(
            ({ settled, rollup }) => settled !== true && rollup === undefined,
          ).length
          if (!isRequested && !isQuiet && waiting < waitingMax) {
            running = undefined
            return undefined
          }
          const job = choose(state, defaultCompactionPolicy, clock.nowUs(), isRequested ? 'all' : 'background')
          running = job && { job, isRequested }
          return job
        },
        merge: merging,
        commit: (job, result) => from(commit(job, result)),
        pauseMs: error => (toSydraError(error).code === 'corrupt_segment' ? 0 : pauseMs),
      },
      scheduler,
    ).subscribe(tell),
  )

  return {
    compact({ signal, onProgress } = {}) {
      const startedMs = clock.monotonicMs()
      return new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(calledOff(signal))
        const end = (): void => {
          waiters.delete(waiter)
          signal?.removeEventListener('abort', onAbort)
        }
        const giveUp = (reason: unknown): void => {
          waiter.fail(reason)
          if (waiters.size === 0 && running?.isRequested) cancels.next()
        }
        const onAbort = (): void => giveUp(calledOff(signal))
        const waiter: Waiter = {
          totals: newTotals(),
          progress(now) {
            try {
              onProgress?.({ ...now, merges: waiter.totals.merges })
            } catch (error) {
              giveUp(error)
            }
          },
          done() {
            end()
            resolve({ ...waiter.totals, elapsedMs: clock.monotonicMs() - startedMs })
          },
          fail(error) {
            end()
            reject(error)
          },
        }
        signal?.addEventListener('abort', onAbort, { once: true })
        waiters.add(waiter)
        if (isClosed) waiter.fail(shuttingDown())
        else requests.next()
      })
    },
    stats() {
      const { merges, failed, rowsRead, bytesRead, bytesWritten } = totals
      const writeAmplification = flushedBytes === 0 ? 1 : (flushedBytes + bytesWritten) / flushedBytes
      const skipped = inputs.skipped
      return {
        running: running !== undefined,
        merges,
        failed,
        rowsRead,
        bytesRead,
        bytesWritten,
        skipped,
        writeAmplification,
      }
    },
    async close() {
      isClosed = true
      subscription.unsubscribe()
      for (const waiter of [...waiters]) waiter.fail(shuttingDown())
      // However long it takes: the names of its files may be given again once the lock is released.
      await stopped
    },
  }
}

/** What there is to choose from, and what to leave alone. */
class Inputs {
  readonly #options: MaintenanceOptions
  /** By id. */
  readonly #failures = new Map<string, number>()

  constructor(options: MaintenanceOptions) {
    this.#options = options
  }

  get skipped(): number {
    return [...this.#failures.values()].filter(times => times >= triesMax).length
  }

  /** Rows that rollups shall outlive go with their file, when its rollups say all of it. */
  get #keepsExpired(): boolean {
    const { enabled, keepDays } = this.#options.settings.rollups
    return enabled && Object.keys(keepDays).length > 0
  }

  state(): CompactionState {
    const { storage, ports } = this.#options
    const { versions, rules, damage } = storage
    const { segments, tombstones } = storage.manifestState()
    const open = new Set(versions.segments.map(({ meta }) => meta.id))
    const isUnreadable = ({ id, path }: SegmentMeta): boolean =>
      !open.has(id) || damage.found.has(path) || (this.#failures.get(id) ?? 0) >= triesMax
    const nowUs = ports.clock.nowUs()
    return {
      segments,
      unreadable: new Set(segments.filter(isUnreadable).map(({ id }) => id)),
      tombstones: tombstones.map(({ lsn, fromUs, toUs }) => ({
        lsn,
        fromUs: fromUs ?? Number.NEGATIVE_INFINITY,
        toUs: toUs ?? Number.POSITIVE_INFINITY,
      })),
      horizonUs: namespace => (this.#keepsExpired ? Number.NEGATIVE_INFINITY : rules.horizonOf(namespace, nowUs)),
    }
  }

  /** For a merge that begins now. */
  engine(): MergeEngine {
    const { storage, ports, settings } = this.#options
    const { environment, catalog, versions, duplicates } = storage
    return {
      environment,
      catalog,
      tombstones: versions.tombstones,
      flushedLsn: storage.manifestState().flushedLsn,
      duplicates,
      retention: settings,
      keepExpired: this.#keepsExpired,
      nowUs: ports.clock.nowUs(),
      rollupWidthsUs: settings.rollups.enabled ? settings.rollups.widths.map(rollupWidthUs) : [],
      bytesPerSecondMax: settings.compaction.bytesPerSecondMax,
      takeIds: storage.takeSegmentIds,
    }
  }

  /** Remembers a failure; true when it was damage, and one input is to blame. */
  failed(job: CompactionJob, error: unknown): boolean {
    const damaged = damagedInput(job, error)
    if (damaged !== undefined) {
      this.#failures.set(damaged.id, triesMax)
      this.#options.storage.damage.report(damaged.path, toSydraError(error).message)
      return true
    }
    if (toSydraError(error).code === 'disk_full') return false
    for (const { id } of job.inputs) this.#failures.set(id, (this.#failures.get(id) ?? 0) + 1)
    return false
  }

  arePresent({ remove }: CompactionJob, present: readonly SegmentMeta[]): boolean {
    const ids = new Set(present.map(({ id }) => id))
    return remove.every(id => ids.has(id))
  }

  /** Removes files of these ids, unless the manifest may name them. What cannot be removed goes at the next opening. */
  discard(ids: readonly string[]): void {
    const { storage, ports, settings } = this.#options
    if (storage.isManifestInDoubt()) return
    const named = new Set(storage.manifestState().segments.map(({ path }) => path))
    const own = new Set(ids)
    try {
      for (const path of segmentFiles(ports.files, settings.dataDir)) {
        const [id = ''] = path.slice(path.lastIndexOf('/') + 1).split('.')
        if (own.has(id) && !named.has(path)) ports.files.remove(`${settings.dataDir}/${path}`)
      }
    } catch (error) {
      ports.log('warn', 'cannot remove what a merge left', { error: toSydraError(error).message })
    }
  }
}

const newTotals = (): Totals => ({ merges: 0, failed: 0, rowsRead: 0, rowsWritten: 0, bytesRead: 0, bytesWritten: 0 })

function count(totals: Totals, { rowsRead, rowsWritten, bytesRead, bytesWritten }: MergeResult): void {
  totals.merges++
  totals.rowsRead += rowsRead
  totals.rowsWritten += rowsWritten
  totals.bytesRead += bytesRead
  totals.bytesWritten += bytesWritten
}

const calledOff = (signal: AbortSignal | undefined): SydraError =>
  cancellation(signal?.reason, 'the merge was called off')
const shuttingDown = (): SydraError => new SydraError('shutting_down', 'the database is closing')
