/**
 * SimulatedDisk: a file system that forgets what was never synced, and fails when it is told to.
 *
 *   inode   live bytes (what processes read)    durable bytes    pending writes and truncations since the last sync
 *   names   live path -> inode                  durable names    pending links, renames and removals per directory
 *
 * Invariants:
 * 1. `dataSync` makes durable what was written to the inode when it was called; `syncDirectory` what was named in the
 *    directory then. Nothing else is ever sure to survive.
 * 2. A crash keeps of each unsynced write nothing, all, a prefix cut at any byte, or a scatter of 512-byte sectors, and of
 *    the unsynced changes to names any set in which no change survives an earlier, lost one to the same name.
 *    A rename is all or nothing.
 * 3. A failed `dataSync` makes some of the pending writes durable and loses the others for good: they stay readable, no
 *    later sync brings them to the device ("fsyncgate"), only writing them again does.
 * 4. Everything that is chance comes from the seed.
 * 5. After `crash` the handles and the port of the process that died fail with `EIO`; nothing of it reaches the new disk.
 */
import { fileSystemError, MemoryBytes, namesIn, withParents } from '../../src/lib/memory-files.ts'
import { normalPath, parentOf } from '../../src/lib/paths.ts'
import type { FileHandle, FileSystem, OpenMode } from '../../src/lib/ports.ts'
import { SeededRandom } from './random.ts'
import {
  applyData,
  applyNames,
  type Names,
  type PendingData,
  type PendingNames,
  tornContent,
  tornNames,
} from './torn.ts'

export type DiskCall =
  | 'open'
  | 'size'
  | 'read'
  | 'write'
  | 'truncate'
  | 'dataSync'
  | 'rename'
  | 'remove'
  | 'link'
  | 'makeDirectory'
  | 'list'
  | 'exists'
  | 'syncDirectory'

export interface Fault {
  readonly call: DiskCall
  /** Which matching call from now on fails: 1 is the next. Default 1. */
  readonly nth?: number
  /** How many in a row fail from there on. Default 1; Infinity for a broken device. */
  readonly times?: number
  /** Default EIO. */
  readonly code?: string
  /** For `write`: how many bytes still arrive before it throws. Default 0; `Infinity` for all of them. */
  readonly writtenBytes?: number
  /** Only calls on such paths count. */
  readonly path?: (path: string) => boolean
}

interface ArmedFault {
  readonly fault: Fault
  seen: number
}

interface Inode {
  readonly id: number
  live: MemoryBytes
  durable: MemoryBytes
  pending: PendingData[]
}

export class SimulatedDisk {
  readonly files: FileSystem
  /** Called before every call takes effect: the place to look at `afterCrash` at every step. */
  onCall: (call: DiskCall, path: string) => void = () => {}
  /** Told of everything that goes wrong: `ENOSPC write`, `write torn by power loss`, `bit flipped`, … */
  onMishap: (what: string) => void = () => {}
  /** Calls so far, of every kind. */
  calls = 0
  /** A sync takes some turns of the event loop, up to so many: others go on meanwhile. */
  syncTurnsMax = 0

  readonly #random: SeededRandom
  readonly #delays: SeededRandom
  #names: Names<Inode>
  #durableNames: Names<Inode>
  #pendingNames: PendingNames<Inode>[] = []
  #faults: ArmedFault[] = []
  #heldSyncs: (() => void)[] | undefined
  #nextInode = 1
  readonly #handles = new Set<{ readonly path: string }>()
  #dead = false

  constructor(seed = 1) {
    this.#random = new SeededRandom(seed)
    this.#delays = new SeededRandom(~seed)
    this.#names = new Map([
      ['', 'directory'],
      ['/', 'directory'],
    ])
    this.#durableNames = new Map(this.#names)
    this.files = this.#fileSystem()
  }

  // ---- what a test can do ---------------------------------------------------------------------------------------

  /** Arms a failure; returns a function that disarms it. */
  fail(fault: Fault): () => void {
    const armed = { fault, seen: 0 }
    this.#faults.push(armed)
    return () => {
      this.#faults = this.#faults.filter(other => other !== armed)
    }
  }

  /** From now on `dataSync` and `syncDirectory` wait for `releaseSyncs`. */
  holdSyncs(): void {
    this.#heldSyncs ??= []
  }

  get heldSyncs(): number {
    return this.#heldSyncs?.length ?? 0
  }

  /** Lets the first `count` of the held syncs finish; without a count all of them, and holds no more. */
  releaseSyncs(count?: number): void {
    const held = this.#heldSyncs ?? []
    if (count === undefined) this.#heldSyncs = undefined
    for (const release of held.splice(0, count ?? held.length)) release()
  }

  /** The disk a machine finds that lost power now. This one goes on unharmed. */
  afterCrash(seed: number, told: (what: string) => void = () => {}): SimulatedDisk {
    const random = new SeededRandom(seed)
    const after = new SimulatedDisk(random.next32())
    const inodes = new Map<Inode, Inode>()
    const survivor = (inode: Inode): Inode => {
      let found = inodes.get(inode)
      if (found === undefined) inodes.set(inode, (found = after.#inode(tornContent(inode, random, told))))
      return found
    }
    for (const [path, target] of tornNames(this.#durableNames, this.#pendingNames, random, told)) {
      after.#names.set(path, target === 'directory' ? target : survivor(target))
    }
    after.#durableNames = new Map(after.#names)
    after.#nextInode = this.#nextInode
    after.syncTurnsMax = this.syncTurnsMax
    return after
  }

  /** Power is lost: this disk's port is dead, the disk after the crash is returned. */
  crash(seed: number = this.#random.next32()): SimulatedDisk {
    const after = this.afterCrash(seed, what => this.onMishap(`${what} by power loss`))
    this.#dead = true
    this.releaseSyncs()
    return after
  }

  /** The process is killed, the machine goes on: nothing is lost, but its port is dead. */
  killProcess(): SimulatedDisk {
    const after = new SimulatedDisk(this.#random.next32())
    after.#names = this.#names
    after.#durableNames = this.#durableNames
    after.#pendingNames = this.#pendingNames
    after.#nextInode = this.#nextInode
    after.syncTurnsMax = this.syncTurnsMax
    this.#dead = true
    this.releaseSyncs()
    return after
  }

  /** The contents of a file as processes see it. */
  contents(path: string): Uint8Array {
    return this.#file(normalPath(path)).live.view().slice()
  }

  /** Rot: changes bytes on the device and in the cache, behind everyone's back. */
  damage(path: string, position: number, change: (byte: number) => number = byte => byte ^ 1): void {
    const inode = this.#file(normalPath(path))
    this.onMishap('byte rotten at rest')
    for (const content of [inode.live, inode.durable]) {
      if (position < content.length) content.write(Uint8Array.of(change(content.view()[position]!)), position)
    }
  }

  /** Every file, in path order. */
  paths(): string[] {
    return [...this.#names]
      .filter(([, target]) => target !== 'directory')
      .map(([path]) => path)
      .sort()
  }

  /** Paths of the handles that are open, as they were opened. */
  openHandles(): string[] {
    return [...this.#handles].map(({ path }) => path).sort()
  }

  // ---- the port -------------------------------------------------------------------------------------------------

  #fileSystem(): FileSystem {
    return {
      preallocateBytes: 256 * 2 ** 10,
      open: (given, mode) => this.#open(normalPath(given), mode),
      rename: (givenFrom, givenTo) => {
        const from = normalPath(givenFrom)
        const to = normalPath(givenTo)
        this.#enter('rename', from)
        const inode = this.#file(from, 'rename')
        this.#requireDirectory(parentOf(to), 'rename')
        if (this.#names.get(to) === 'directory') throw fileSystemError('EISDIR', 'rename', to)
        const moved = [[from, undefined] as const, [to, inode] as const]
        if (from !== to) this.#rename(moved)
      },
      remove: given => {
        const path = normalPath(given)
        this.#enter('remove', path)
        this.#file(path, 'unlink')
        this.#rename([[path, undefined]])
      },
      link: (givenFrom, givenTo) => {
        const from = normalPath(givenFrom)
        const to = normalPath(givenTo)
        this.#enter('link', to)
        const inode = this.#file(from, 'link')
        this.#requireDirectory(parentOf(to), 'link')
        if (this.#names.has(to)) throw fileSystemError('EEXIST', 'link', to)
        this.#rename([[to, inode]])
      },
      makeDirectory: given => {
        const path = normalPath(given)
        this.#enter('makeDirectory', path)
        for (const made of withParents(path).reverse()) {
          const found = this.#names.get(made)
          if (found === undefined) this.#rename([[made, 'directory']])
          else if (found !== 'directory') throw fileSystemError('EEXIST', 'mkdir', made)
        }
      },
      list: given => {
        const path = normalPath(given)
        this.#enter('list', path)
        this.#requireDirectory(path, 'scandir')
        return namesIn(path, this.#names.keys())
      },
      exists: given => {
        const path = normalPath(given)
        this.#enter('exists', path)
        return this.#names.has(path)
      },
      syncDirectory: async given => {
        const path = normalPath(given)
        this.#enter('syncDirectory', path)
        this.#requireDirectory(path, 'open')
        const covered = changesBehind(path, this.#pendingNames)
        await this.#deviceTurn()
        this.#requirePower(path)
        for (const change of this.#pendingNames) if (covered.has(change)) applyNames(this.#durableNames, change)
        this.#pendingNames = this.#pendingNames.filter(change => !covered.has(change))
      },
    }
  }

  #open(path: string, mode: OpenMode): FileHandle {
    this.#enter('open', path)
    const found = this.#names.get(path)
    if (found === 'directory') throw fileSystemError('EISDIR', 'open', path)
    if (found !== undefined) {
      if (mode === 'create') throw fileSystemError('EEXIST', 'open', path)
      return this.#handle(found, path, mode === 'open')
    }
    if (mode === 'read') throw fileSystemError('ENOENT', 'open', path)
    this.#requireDirectory(parentOf(path), 'open')
    const inode = this.#inode(new MemoryBytes())
    this.#rename([[path, inode]])
    return this.#handle(inode, path, true)
  }

  #handle(inode: Inode, path: string, writable: boolean): FileHandle {
    let open = true
    const handle = { path }
    this.#handles.add(handle)
    const enter = (call: DiskCall, writes = false): ArmedFault | undefined => {
      if (!open || (writes && !writable)) throw fileSystemError('EBADF', call, path)
      return this.#step(call, path)
    }
    const check = (armed: ArmedFault | undefined, call: DiskCall) => {
      if (armed !== undefined) throw fileSystemError(armed.fault.code ?? 'EIO', call, path)
    }
    const writeNow = (bytes: Uint8Array, position: number) => {
      if (bytes.length === 0) return
      inode.live.write(bytes, position)
      inode.pending.push({ position, bytes: bytes.slice() })
    }
    return {
      size() {
        check(enter('size'), 'size')
        return inode.live.length
      },
      read(target, position) {
        check(enter('read'), 'read')
        return inode.live.read(target, position)
      },
      write(bytes, position) {
        const armed = enter('write', true)
        writeNow(armed === undefined ? bytes : bytes.subarray(0, armed.fault.writtenBytes ?? 0), position)
        check(armed, 'write')
      },
      truncate(size) {
        check(enter('truncate', true), 'truncate')
        inode.live.truncate(size)
        inode.pending.push({ size })
      },
      dataSync: async () => {
        const armed = enter('dataSync')
        const covered = inode.pending.length === 0 ? undefined : inode.pending.at(-1)
        await this.#deviceTurn()
        this.#requirePower(path)
        const reached = covered === undefined ? 0 : inode.pending.indexOf(covered) + 1
        for (const change of inode.pending.splice(0, reached)) {
          if (armed === undefined || this.#random.chance(0.5)) applyData(inode.durable, change)
        }
        check(armed, 'dataSync')
      },
      close: () => {
        open = false
        this.#handles.delete(handle)
      },
    }
  }

  /** Counts the call and finds the fault that is due for it. */
  #step(call: DiskCall, path: string): ArmedFault | undefined {
    if (this.#dead) throw fileSystemError('EIO', call, path)
    this.calls++
    this.onCall(call, path)
    // the process may have ended with this very call
    if (this.#dead) throw fileSystemError('EIO', call, path)
    let due: ArmedFault | undefined
    for (const armed of this.#faults) {
      const { fault } = armed
      if (fault.call !== call || fault.path?.(path) === false) continue
      armed.seen++
      const first = fault.nth ?? 1
      if (armed.seen >= first && armed.seen < first + (fault.times ?? 1)) due ??= armed
    }
    if (due !== undefined) {
      const short = call === 'write' && (due.fault.writtenBytes ?? 0) > 0
      this.onMishap(`${due.fault.code ?? 'EIO'} ${short ? 'after a short write' : call}`)
    }
    return due
  }

  #enter(call: DiskCall, path: string): void {
    const armed = this.#step(call, path)
    if (armed !== undefined) throw fileSystemError(armed.fault.code ?? 'EIO', call, path)
  }

  async #deviceTurn(): Promise<void> {
    const held = this.#heldSyncs
    if (held !== undefined) await new Promise<void>(resolve => held.push(resolve))
    for (let turns = this.#delays.below(1 + this.syncTurnsMax); turns > 0; turns--)
      await new Promise<void>(resolve => void setImmediate(resolve))
  }

  /** Looked at in the same turn as what is synced takes effect: a crash in between must not be told as a success. */
  #requirePower(path: string): void {
    if (this.#dead) throw fileSystemError('EIO', 'sync', path)
  }

  #rename(set: PendingNames<Inode>['set']): void {
    const change = { directories: new Set(set.map(([path]) => parentOf(path))), set }
    applyNames(this.#names, change)
    this.#pendingNames.push(change)
  }

  #inode(content: MemoryBytes): Inode {
    return { id: this.#nextInode++, live: content, durable: content.copy(), pending: [] }
  }

  #file(path: string, call = 'open'): Inode {
    const found = this.#names.get(path)
    if (found === undefined || found === 'directory') throw fileSystemError('ENOENT', call, path)
    return found
  }

  #requireDirectory(path: string, call: string): void {
    if (this.#names.get(path) !== 'directory') throw fileSystemError('ENOENT', call, path)
  }
}

/** The changes to names in a directory, with the earlier ones they build on. */
function changesBehind(directory: string, pending: readonly PendingNames<Inode>[]): Set<PendingNames<Inode>> {
  const covered = new Set<PendingNames<Inode>>()
  const touched = new Set<string>()
  for (const change of pending.toReversed()) {
    if (!change.directories.has(directory) && !change.set.some(([path]) => touched.has(path))) continue
    covered.add(change)
    for (const [path] of change.set) touched.add(path)
  }
  return covered
}
