/**
 * The write-ahead log: frames appended by one writer, made durable on request, read back once after a restart.
 *
 *   openWal -> recovery.frames() -> recovery.start() -> append, append, sync, append, … releaseUpTo … close
 *
 * Invariants:
 * 1. `append` gives LSNs without gaps. A frame that could not be written leaves nothing behind: the file is cut back to
 *    the frame's start, its LSN goes to the next frame.
 * 2. `durableLsn` is the end of what every file and directory entry is known to hold: full files are synced before the
 *    ones that follow them, and a new file's directory before the first `sync` that covers its frames resolves.
 * 3. A failed fdatasync is never retried: what it covered may be lost, and a second one would not say so. The log is
 *    poisoned, and so it is when a failed write cannot be cut back.
 * 4. A file gets too large rather than the log fail because the next file cannot be made.
 * 5. At most one sync runs and one waits; the waiting one covers everything appended before it begins.
 */
import { assert } from '../../lib/assert.ts'
import { SydraError } from '../../lib/errors.ts'
import { fileError } from '../../lib/file-errors.ts'
import type { FileHandle, Ports } from '../../lib/ports.ts'
import type { Lsn } from '../types.ts'
import {
  encodeFileHeader,
  frameBytes,
  frameBytesLimit,
  frameHeaderBytes,
  framesStart,
  sealFrame,
  walVersion,
} from './format.ts'
import { currentPath, freeRotatedPath, type LogFile } from './log-files.ts'
import { repairLog } from './repair.ts'
import { type WalEvent, type WalFrame, WalScan } from './scan.ts'

export type { WalEvent, WalFrame } from './scan.ts'

export const walFrameTypes = { rows: 1, delete: 2 } as const

export interface WalSettings {
  /** A file that reaches this many bytes is followed by a new one. */
  readonly fileBytesMax: number
  /** Zeros are written ahead of the frames in steps of this many bytes, 0 for none. Default: what suits the file system. */
  readonly preallocateBytes?: number
  /** The largest frame `append` takes, header included. */
  readonly frameBytesMax: number
}

export const walDefaults: WalSettings = {
  fileBytesMax: 64 * 2 ** 20,
  frameBytesMax: 64 * 2 ** 20,
}

/** What of the files that are no longer needed stays: at most this many bytes, for at most this long. */
export interface WalKeep {
  readonly bytesMax: number
  readonly msMax: number
}

export interface WalRecovery {
  /** The LSN the log begins with; `afterLsn + 1` when it is empty. */
  readonly firstLsn: Lsn
  /** Whether `frames` gives none. Reads as far as the first. */
  readonly isEmpty: boolean
  /** The LSN of the last frame that `frames` gave, or gave up as lost. */
  readonly lastLsn: Lsn
  /** Whether `frames` passed over LSNs that were durable. */
  readonly isDamaged: boolean
  /** Files in which `frames` met damage. */
  readonly damagedFiles: ReadonlySet<string>
  /**
   * Frames after `afterLsn` in LSN order; each is borrowed until the next. Damage is reported by events, a torn tail ends
   * it. Throws `io_error`.
   */
  frames(): Generator<WalFrame, void>
  /** Lets go of the file that is being read. Needed where `start` is not reached; allowed always. */
  close(): void
  /**
   * Cuts the torn tail, makes the rest durable and opens the log for appending. Reads frames that were not taken from
   * `frames` without giving them to anyone. Throws `io_error`, `disk_full`.
   */
  start(): Promise<Wal>
}

/**
 * Opens the log in a directory, which is made if absent. Frames up to `afterLsn` are no longer needed: they are not
 * replayed, their absence is no loss, and the next LSN is above it.
 *
 * @example
 * const recovery = openWal(ports, `${dataDir}/wal`, manifest.state.flushedLsn, walDefaults, event => …)
 * for (const frame of recovery.frames()) replay(frame)
 * const wal = await recovery.start()
 * const lsn = wal.append(walFrameTypes.rows, encodeRowBatches(catalogRecords, batches, kernels))
 * await wal.sync()
 */
export function openWal(
  ports: Ports,
  directory: string,
  afterLsn: Lsn,
  settings: WalSettings,
  onEvent: (event: WalEvent) => void,
): WalRecovery {
  assert(settings.frameBytesMax <= frameBytesLimit, 'frameBytesMax is within the format')
  const scan = new WalScan(ports, directory, afterLsn, onEvent)
  const scanned = scan.frames()
  let first: IteratorResult<WalFrame, void> | undefined
  function* all(): Generator<WalFrame, void> {
    first ??= scanned.next()
    if (first.done === true) return
    yield first.value
    yield* scanned
  }
  const frames = all()
  return {
    firstLsn: scan.firstLsn,
    get isEmpty() {
      first ??= scanned.next()
      return first.done === true
    },
    get lastLsn() {
      return Math.max(scan.lastLsn, afterLsn)
    },
    get isDamaged() {
      return scan.isDamaged
    },
    damagedFiles: scan.damagedFiles,
    frames: () => frames,
    close: () => void scanned.return(),
    async start() {
      for (const _ of frames) {
        // Frames nobody asked for are still checked, to find the end.
      }
      const files = await repairLog(ports, directory, scan, onEvent)
      return new Wal(ports, directory, settings, files, Math.max(scan.lastLsn, afterLsn))
    },
  }
}

/** A file that takes frames, or is full. */
interface OpenFile extends LogFile {
  /** Open until the file is full and durable. */
  handle: FileHandle | undefined
  /** Bytes written, zeros ahead of the frames included. */
  allocated: number
  preallocates: boolean
  rotatedMs: number
}

const zeros = new Uint8Array(256 * 1024)

/** Larger frames gain less from zeros ahead of them than these cost. */
const preallocatedFrameShare = 1 / 16

/** Frames up to this size are put together in a buffer that stays. */
const gatherBytesMax = 4 * 2 ** 20

export class Wal {
  /** Frames appended since the log was opened. */
  frames = 0
  /** Syncs that reached the device since then. */
  syncs = 0

  readonly #ports: Ports
  readonly #directory: string
  readonly #settings: WalSettings
  readonly #preallocateBytes: number
  readonly #rotated: OpenFile[]
  #active: OpenFile
  #lastLsn: Lsn
  #durableLsn: Lsn
  #gather = new Uint8Array(64 * 1024)
  #poison: SydraError | undefined
  #closed: Promise<void> | undefined
  /** Names changed in the directory, and how many of the changes are durable. */
  #namesChanged = 0
  #namesDurable = 0
  #syncRunning: { readonly lsn: Lsn; readonly done: Promise<void> } | undefined
  #syncWaiting: Promise<void> | undefined

  /** Of files that `repairLog` gave. Use `openWal`. */
  constructor(ports: Ports, directory: string, settings: WalSettings, files: readonly LogFile[], lastLsn: Lsn) {
    this.#ports = ports
    this.#directory = directory
    this.#settings = settings
    this.#preallocateBytes = settings.preallocateBytes ?? ports.files.preallocateBytes
    this.#lastLsn = lastLsn
    this.#durableLsn = lastLsn
    const last = files.at(-1)
    const current = last?.path === currentPath(directory) ? last : undefined
    const full = current === undefined ? files : files.slice(0, -1)
    this.#rotated = full.map(file => this.#opened(file, undefined))
    try {
      this.#active =
        current === undefined ? this.#create() : this.#opened(current, ports.files.open(current.path, 'open'))
    } catch (error) {
      throw fileError(error, `cannot open ${currentPath(directory)}`)
    }
  }

  /** LSN of the last frame appended. */
  get lastLsn(): Lsn {
    return this.#lastLsn
  }

  /** Every frame up to it survives a power loss. */
  get durableLsn(): Lsn {
    return this.#durableLsn
  }

  get files(): number {
    return this.#rotated.length + 1
  }

  /** Bytes of frames and headers, without the zeros ahead. */
  get bytes(): number {
    return this.#rotated.reduce((sum, file) => sum + file.end, this.#active.end)
  }

  /** Why nothing can be written any more. */
  get poisoned(): SydraError | undefined {
    return this.#poison
  }

  /**
   * Writes one frame whose payload is the parts in a row, and gives its LSN. Durable after a later `sync`.
   * Throws `disk_full` or `io_error` when it could not be written: nothing of it is there, the next may succeed.
   * Throws `read_only` when the log is poisoned.
   */
  append(type: number, parts: readonly Uint8Array[]): Lsn {
    assert(this.#closed === undefined, 'the log is open')
    assert(type > 0 && type < 256, 'a frame type is one byte, not zero')
    if (this.#poison !== undefined) throw this.#poison
    let payloadBytes = 0
    for (const part of parts) payloadBytes += part.length
    const bytes = frameBytes(payloadBytes)
    assert(bytes <= this.#settings.frameBytesMax, 'a frame is at most frameBytesMax long')
    const isFull = this.#active.end + bytes > this.#settings.fileBytesMax && this.#active.end > framesStart
    // a file says by its version who can read its frames
    if (isFull || this.#active.version < walVersion) this.#rotate()

    const lsn = this.#lastLsn + 1
    const active = this.#active
    const frame = this.#collect(parts, bytes)
    const header = { payloadBytes, type, lsn, durableLsn: this.#durableLsn }
    sealFrame(frame, header, active.salt, this.#ports.checksums)
    this.#preallocate(bytes)
    try {
      active.handle!.write(frame, active.end)
    } catch (error) {
      this.#cutBack(error)
      throw fileError(error, `cannot write ${active.path}`)
    }
    active.end += bytes
    active.allocated = Math.max(active.allocated, active.end)
    active.lastLsn = lsn
    this.#lastLsn = lsn
    this.frames++
    return lsn
  }

  /**
   * Resolves when everything appended before the call is durable. Rejects with `io_error` or `disk_full` when the device
   * refused, and with `read_only` ever after.
   */
  sync(): Promise<void> {
    if (this.#poison !== undefined) return Promise.reject(this.#poison)
    if (this.#durableLsn === this.#lastLsn && this.#namesDurable === this.#namesChanged) return Promise.resolve()
    const running = this.#syncRunning
    if (running === undefined) {
      const done = this.#syncNow().finally(() => {
        this.#syncRunning = undefined
      })
      this.#syncRunning = { lsn: this.#lastLsn, done }
      return done
    }
    if (running.lsn === this.#lastLsn) return running.done
    const next = () => {
      this.#syncWaiting = undefined
      return this.sync()
    }
    this.#syncWaiting ??= running.done.then(next, next)
    return this.#syncWaiting
  }

  /**
   * Deletes full files whose frames all have an LSN up to `lsn`, oldest first, as far as `keep` allows. A file that cannot
   * be deleted is logged and tried again next time.
   */
  releaseUpTo(lsn: Lsn, keep: WalKeep): void {
    const { clock, files, log } = this.#ports
    const released = this.#rotated.filter(file => file.lastLsn <= lsn)
    let bytesKept = released.reduce((sum, file) => sum + file.end, 0)
    for (const file of released) {
      const aged = clock.monotonicMs() - file.rotatedMs > keep.msMax
      if (bytesKept <= keep.bytesMax && !aged) break
      try {
        files.remove(file.path)
      } catch (error) {
        log('warn', 'cannot delete a log file', { path: file.path, error: fileError(error, 'delete').message })
        break
      }
      file.handle?.close()
      file.handle = undefined // a sync that is on its way to it passes it by: its rows are in segments
      this.#rotated.splice(this.#rotated.indexOf(file), 1)
      bytesKept -= file.end
    }
  }

  /**
   * Syncs what is not yet durable, unless the log is poisoned, cuts the zeros ahead and closes the files. Rejects when the
   * sync fails, closed all the same.
   */
  close(): Promise<void> {
    this.#closed ??= this.#closeNow()
    return this.#closed
  }

  async #closeNow(): Promise<void> {
    try {
      if (this.#poison === undefined) {
        await this.sync()
        this.#trim(this.#active)
      }
    } finally {
      for (const file of [...this.#rotated, this.#active]) file.handle?.close()
    }
  }

  async #syncNow(): Promise<void> {
    const lsn = this.#lastLsn
    const names = this.#namesChanged
    const full = this.#rotated.filter(file => file.handle !== undefined)
    const active = this.#active
    try {
      for (const file of [...full, active]) await file.handle?.dataSync()
      if (this.#namesDurable < names) await this.#ports.files.syncDirectory(this.#directory)
    } catch (error) {
      this.#poisonWith(error)
      throw fileError(error, `cannot sync ${active.path}`)
    }
    for (const file of full) {
      file.handle?.close()
      file.handle = undefined
    }
    this.#namesDurable = names
    this.#durableLsn = lsn
    this.syncs++
  }

  /** The frame's parts, one after the other behind room for its header. Borrowed until the next call. */
  #collect(parts: readonly Uint8Array[], bytes: number): Uint8Array {
    if (bytes > this.#gather.length && bytes <= gatherBytesMax) {
      this.#gather = new Uint8Array(Math.min(2 * bytes, gatherBytesMax))
    }
    const frame = bytes <= this.#gather.length ? this.#gather.subarray(0, bytes) : new Uint8Array(bytes)
    let at = frameHeaderBytes
    for (const part of parts) {
      frame.set(part, at)
      at += part.length
    }
    return frame
  }

  /** Zeros ahead of the frames: a file whose size does not change syncs in half the time. */
  #preallocate(bytes: number): void {
    const active = this.#active
    const { fileBytesMax } = this.#settings
    const preallocateBytes = this.#preallocateBytes
    if (!active.preallocates || active.end + bytes <= active.allocated) return
    if (bytes > preallocateBytes * preallocatedFrameShare) return
    const from = active.allocated
    active.allocated = Math.max(from, Math.min(from + preallocateBytes, fileBytesMax))
    try {
      for (let at = from; at < active.allocated; at += zeros.length) {
        active.handle!.write(zeros.subarray(0, Math.min(zeros.length, active.allocated - at)), at)
      }
    } catch {
      // The device may be nearly full: what room is left is for frames.
      active.preallocates = false
      this.#trim(active)
    }
  }

  /** Gives back the zeros ahead; they do no harm where that fails. */
  #trim(file: OpenFile): void {
    if (file.allocated === file.end) return
    try {
      file.handle!.truncate(file.end)
      file.allocated = file.end
    } catch (error) {
      this.#ports.log('warn', 'cannot cut a log file', { path: file.path, error: fileError(error, 'cut').message })
    }
  }

  /** Takes back what a failed write may have left. */
  #cutBack(cause: unknown): void {
    const active = this.#active
    try {
      active.handle!.truncate(active.end)
      active.allocated = active.end
    } catch {
      this.#poisonWith(cause)
    }
  }

  #poisonWith(cause: unknown): void {
    this.#poison ??= new SydraError('read_only', 'the write-ahead log takes no more writes: the device failed one', {
      hint: 'check the device, then close and open the database again',
      cause,
    })
  }

  /** Goes on in a new file; stays with the old one when that cannot be made. */
  #rotate(): void {
    const { files, clock, log } = this.#ports
    const full = this.#active
    try {
      if (full.path === currentPath(this.#directory)) {
        const path = freeRotatedPath(files, this.#directory, full.firstLsn)
        files.rename(full.path, path)
        full.path = path
        this.#namesChanged++
      }
      this.#active = this.#create()
    } catch (error) {
      log('warn', 'cannot begin a new log file', { error: fileError(error, 'rotate').message })
      return
    }
    this.#trim(full)
    full.rotatedMs = clock.monotonicMs()
    this.#rotated.push(full)
  }

  #create(): OpenFile {
    const { files, random, checksums } = this.#ports
    const path = currentPath(this.#directory)
    const salt = new DataView(random.bytes(new Uint8Array(4)).buffer).getUint32(0)
    const firstLsn = this.#lastLsn + 1
    // A file left from an attempt that failed is written over.
    const handle = files.open(path, 'open')
    try {
      handle.truncate(0)
      handle.write(encodeFileHeader({ version: walVersion, salt, firstLsn }, checksums), 0)
    } catch (error) {
      handle.close()
      throw error
    }
    this.#namesChanged++
    return this.#opened({ path, version: walVersion, salt, firstLsn, lastLsn: firstLsn - 1, end: framesStart }, handle)
  }

  #opened(file: LogFile, handle: FileHandle | undefined): OpenFile {
    const rotatedMs = this.#ports.clock.monotonicMs()
    return { ...file, handle, allocated: file.end, preallocates: this.#preallocateBytes > 0, rotatedMs }
  }
}
