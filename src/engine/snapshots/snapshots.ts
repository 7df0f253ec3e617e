/**
 * Snapshots of the open database: taking, listing, comparing, restoring, forgetting, and what is read `as of` one.
 *
 *   snapshot, restore, remove, gc   one at a time, in the order of the calls
 *   snapshots, diff, pin            at any time
 *
 * Invariants:
 * 1. A ref is set after everything that it reaches is durable; HEAD after the ref.
 * 2. gc keeps what refs, HEAD and readers need. Nothing is added while it runs.
 * 3. Closing stops what runs between two files and waits for it; a restore that has begun to replace ends first.
 */

import { refuseCancelled, type Stoppable, unlessCancelled } from '../../lib/cancel.ts'
import { SydraError, toSydraError } from '../../lib/errors.ts'
import { fileError } from '../../lib/file-errors.ts'
import { directoryOf, normalPath } from '../../lib/paths.ts'
import type { Ports } from '../../lib/ports.ts'
import { acquireLock } from '../../storage/lock.ts'
import { type Copied, copyCommit } from '../../storage/object-store/copy-commit.ts'
import type { ObjectId } from '../../storage/object-store/format.ts'
import { ObjectStore } from '../../storage/object-store/objects.ts'
import { namedCommits, type Swept, sweep } from '../../storage/object-store/reach.ts'
import { checkRefName, Refs } from '../../storage/object-store/refs.ts'
import type { StoredFile } from '../../storage/object-store/trees.ts'
import type { Version } from '../../storage/types.ts'
import type { EngineEvent } from '../../types.ts'
import type { Storage } from '../recovery/open-storage.ts'
import { compareSnapshots } from './diff.ts'
import { listSnapshots, snapshotOf } from './list.ts'
import { PastVersions, readPast } from './past-versions.ts'
import { restoreSnapshot } from './restore.ts'
import { knownFiles, type Taken, takeSnapshot } from './take.ts'
import type {
  GarbageReport,
  RestoreOptions,
  RestoreReport,
  SeriesDifference,
  Snapshot,
  SnapshotOptions,
  SnapshotReport,
} from './types.ts'

/** Calls that wait for the one before. */
const waitingMax = 16
/** A message is one line of a list, or a paragraph. */
const messageUnitsMax = 10_000

export interface SnapshotEngine {
  readonly ports: Ports
  readonly storage: Storage
  /** Throws when the database is closing or read-only. */
  admit(): void
  /** Everything committed until now into segments. */
  flush(signal: AbortSignal): Promise<void>
  /** Called when `holdsWriters` has become false. */
  letWritersGo(): void
  emit(event: EngineEvent): void
}

export interface Snapshots {
  /** What is to be committed waits: a snapshot is restored. */
  readonly holdsWriters: boolean
  snapshot(name?: string, options?: SnapshotOptions): Promise<SnapshotReport>
  snapshots(): Snapshot[]
  names(): Iterable<string>
  restore(ref: string, options?: RestoreOptions): Promise<RestoreReport>
  diff(before: string, after?: string, options?: Stoppable): AsyncIterable<SeriesDifference>
  removeSnapshot(name: string, options?: Stoppable): Promise<void>
  gc(options?: Stoppable): Promise<GarbageReport>
  /** What a reader sees as of a snapshot. Throws `not_found`, `corrupt_object`. */
  pin(ref: string): Version
  close(): Promise<void>
}

/** Here, or where a copy goes. */
interface Store {
  readonly objects: ObjectStore
  readonly refs: Refs
}

export function createSnapshots(engine: SnapshotEngine): Snapshots {
  const { ports, storage } = engine
  const dataDir = storage.environment.directory
  const { clock, timers, log } = ports
  const objects = new ObjectStore(ports, dataDir)
  const refs = new Refs(ports, dataDir)
  const past = new PastVersions(objects, ports, storage)
  const closing = new AbortController()
  /** Files of the present database that are stored here, by path; undefined until it is needed. */
  let known: ReadonlyMap<string, StoredFile> | undefined
  let last: Promise<unknown> = Promise.resolve()
  let waiting = 0
  let holdsWriters = false

  /** One after the other. */
  const inTurn = async <T>(signal: AbortSignal | undefined, task: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    if (waiting >= waitingMax) throw new SydraError('overloaded', `${waiting} calls for snapshots wait already`)
    waiting++
    const stop = signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal])
    const before = last
    const run = async (): Promise<T> => {
      try {
        await unlessCancelled(before, stop)
        return await task(stop)
      } catch (error) {
        throw fileError(error, `snapshots of ${dataDir}`)
      } finally {
        waiting--
      }
    }
    const turn = run()
    last = Promise.allSettled([before, turn])
    return turn
  }

  /** What HEAD of a store has of this database. */
  const filesOfHead = (store: Store): ReadonlyMap<string, StoredFile> => {
    const { head } = store.refs
    try {
      const files = head === undefined ? undefined : readPast(store.objects, ports, head)
      return knownFiles(files, storage.manifestState())
    } catch (error) {
      log('warn', 'HEAD cannot be read: the snapshot reads every segment', { error: toSydraError(error).message })
      return new Map()
    }
  }
  const here: Store = { objects, refs }

  /** Takes one; it has no name yet. */
  const take = (message: string, store: Store, signal: AbortSignal): Promise<Taken> => {
    known ??= filesOfHead(here)
    const all = store === here ? known : new Map([...known, ...filesOfHead(store)])
    return takeSnapshot(storage, ports, objects, { message, parent: store.refs.head ?? null, known: all, signal })
  }

  /** Removes what nothing here needs; what is gone is not known to be there any more. */
  const collect = async (signal?: AbortSignal): Promise<Swept> => {
    try {
      return await sweep(ports, objects, [...namedCommits(refs), ...past.pinned()], { signal })
    } finally {
      if (known !== undefined) known = new Map([...known].filter(([, { id }]) => objects.has(id)))
    }
  }

  /** Copies it; nothing of it stays here, for it would hold segments that the database has merged or dropped. */
  const moveTo = async (store: Store, id: ObjectId, signal: AbortSignal): Promise<Copied> => {
    store.objects.clearTemporary()
    const copied = await copyCommit(objects, store.objects, store.refs, id, { signal })
    await collect().catch(error =>
      log('warn', 'objects that are not needed stay until the next gc', { error: toSydraError(error).message }),
    )
    return copied
  }

  const snapshot = async (name?: string, options: SnapshotOptions = {}): Promise<SnapshotReport> => {
    const { message = '', to } = options
    engine.admit()
    if (name !== undefined) checkRefName(name)
    if (message.length > messageUnitsMax)
      throw new SydraError('bad_request', `the message is longer than ${messageUnitsMax} characters`)
    if (to !== undefined) checkTarget(to, dataDir)
    return inTurn(options.signal, async signal => {
      const startedMs = clock.monotonicMs()
      const lock = to === undefined ? undefined : await lockTarget(ports, to)
      try {
        const store = to === undefined ? here : { objects: new ObjectStore(ports, to), refs: new Refs(ports, to) }
        const wanted = name ?? freeName(store.refs, clock.nowUs())
        if (store.refs.get(wanted) !== undefined) throw alreadyThere(wanted)
        await engine.flush(signal)
        objects.clearTemporary()
        const { id, files, added } = await take(message, store, signal)
        const counts = store === here ? added : await moveTo(store, id, signal)
        await store.refs.set(wanted, id)
        await store.refs.setHead(id)
        if (store === here) known = new Map(files.map(file => [file.path, file]))
        const report = {
          ...snapshotOf(store.objects, store.refs, id),
          addedObjects: counts.objects,
          addedBytes: counts.bytes,
          elapsedMs: clock.monotonicMs() - startedMs,
        }
        engine.emit({ kind: 'snapshot', ...report, to })
        return report
      } catch (error) {
        objects.clearTemporary()
        throw error
      } finally {
        await lock?.release()
      }
    })
  }

  /** Resolves when no row is in memory and none can be written. */
  const holdWriters = async (signal: AbortSignal): Promise<() => void> => {
    const { versions, wal } = storage
    const release = (): void => {
      holdsWriters = false
      engine.letWritersGo()
    }
    holdsWriters = true
    try {
      for (;;) {
        engine.admit()
        // What is on its way to the log is visible a turn after it is durable.
        await wal.sync()
        await new Promise<void>(resolve => timers.soon(resolve))
        if (versions.active.isEmpty && versions.frozen.length === 0) return release
        await engine.flush(signal)
      }
    } catch (error) {
      release()
      throw error
    }
  }

  const restore = async (
    ref: string,
    { dryRun = false, signal: given }: RestoreOptions = {},
  ): Promise<RestoreReport> => {
    engine.admit()
    return inTurn(given, async signal => {
      const startedMs = clock.monotonicMs()
      const id = refs.resolve(ref)
      const files = await restoreSnapshot(storage, ports, objects, id, {
        holdWriters: () => holdWriters(signal),
        dryRun,
        signal,
      })
      if (!dryRun) {
        known = files
        // It is restored whatever becomes of this.
        await refs
          .setHead(id)
          .catch(error => log('warn', 'HEAD stays as it was', { error: toSydraError(error).message }))
      }
      const report = { snapshot: snapshotOf(objects, refs, id), dryRun, elapsedMs: clock.monotonicMs() - startedMs }
      if (!dryRun) engine.emit({ kind: 'restored', ...report })
      return report
    })
  }

  const removeSnapshot = (name: string, { signal }: Stoppable = {}): Promise<void> =>
    inTurn(signal, async () => {
      await forgetRef(refs, objects, name)
    })

  const gc = ({ signal: given }: Stoppable = {}): Promise<GarbageReport> =>
    inTurn(given, async signal => {
      past.closeIdle()
      return collect(signal)
    })

  async function* diff(before: string, after = 'HEAD', { signal }: Stoppable = {}): AsyncGenerator<SeriesDifference> {
    const stop = signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal])
    refuseCancelled(stop)
    const a = past.open(refs.resolve(before))
    // Opening the other may close what nobody reads.
    const pin = a.versions.pin()
    try {
      yield* compareSnapshots(a, past.open(refs.resolve(after)), storage, ports, stop)
    } finally {
      pin.release()
    }
  }

  return {
    get holdsWriters() {
      return holdsWriters
    },
    snapshot,
    snapshots: () => listSnapshots(objects, refs),
    names: () => refs.names(),
    restore,
    diff,
    removeSnapshot,
    gc,
    pin: ref => past.pin(refs.resolve(ref)),
    async close() {
      closing.abort(new SydraError('shutting_down', 'the database is closing'))
      await last
      past.close()
    },
  }
}

/** A HEAD that nothing else names goes with its last name: the newest of the others is HEAD then. */
export async function forgetRef(refs: Refs, objects: ObjectStore, name: string): Promise<void> {
  const id = refs.named(name)
  await refs.remove(name)
  if (refs.head !== id || [...refs.list().values()].includes(id)) return
  const newest = listSnapshots(objects, refs).find(each => each.names.length > 0)
  if (newest === undefined) await refs.removeHead()
  else await refs.setHead(newest.id)
}

/** The time as a name: `2026-01-01T00-00-00.000Z`. */
function freeName(refs: Refs, nowUs: number): string {
  const name = new Date(nowUs / 1000).toISOString().replaceAll(':', '-')
  for (let n = 1; ; n++) {
    const wanted = n === 1 ? name : `${name}-${n}`
    if (refs.get(wanted) === undefined) return wanted
  }
}

const alreadyThere = (name: string): SydraError =>
  new SydraError('already_exists', `there is a snapshot "${name}" already`, {
    hint: 'take another name, or remove the old one first',
  })

function checkTarget(to: string, dataDir: string): void {
  const isSame = to === '' || normalPath(to) === normalPath(dataDir)
  if (isSame) throw new SydraError('bad_request', 'the copy of a snapshot belongs into a directory of its own')
  if (dataDir === ':memory:')
    throw new SydraError('bad_request', 'a database in memory has no files to copy', { hint: 'export it by queries' })
}

async function lockTarget(ports: Ports, to: string): Promise<{ release(): void | Promise<void> }> {
  ports.files.makeDirectory(to)
  await ports.files.syncDirectory(directoryOf(to))
  return acquireLock(ports, to)
}
