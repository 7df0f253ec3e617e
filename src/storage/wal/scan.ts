/**
 * The scan reads the log once, in order, and tells damage from a torn tail.
 *
 *   files, by first LSN    frame frame ####### frame | frame frame ##
 *                          replay      skipped,        replay      not kept: nothing behind it was
 *                                      reported                    known to be durable
 *
 * Invariants:
 * 1. `frames` gives LSNs in ascending order, each once, each whole; only those after `afterLsn`.
 * 2. At a bad place the rest of the log is searched for frames. If one says that an LSN missing here was durable, the log
 *    was damaged: exactly the missing LSNs are reported and the rest is kept. Otherwise no one was ever promised what
 *    is missing: it is the torn tail of a crash, and the scan ends.
 * 3. LSNs up to `afterLsn` are in segments: their absence is no loss.
 * 4. Memory is two windows, whatever the size of the log (see `frame-reader.ts`).
 */
import { assert } from '../../lib/assert.ts'
import type { Ports } from '../../lib/ports.ts'
import type { Lsn } from '../types.ts'
import { type FrameHeader, frameBytes, framesStart } from './format.ts'
import { FrameReader } from './frame-reader.ts'
import { type FoundFile, findLogFiles } from './log-files.ts'

export interface WalFrame {
  readonly lsn: Lsn
  /** Frames up to this one were known to be synced when it was written. */
  readonly durableLsn: Lsn
  readonly type: number
  /** Borrowed until the next frame is taken. */
  readonly payload: Uint8Array
  /** The file it is in, and where it begins there. */
  readonly path: string
  readonly offset: number
}

export type WalEvent =
  | { readonly kind: 'wal-truncated'; readonly path: string; readonly offset: number; readonly bytes: number }
  | {
      readonly kind: 'wal-corruption'
      readonly path: string
      readonly offset: number
      readonly lostFrom: Lsn
      readonly lostTo: Lsn
    }

interface Position {
  /** Index into `files`. */
  readonly file: number
  readonly offset: number
}

interface FoundFrame extends Position {
  readonly header: FrameHeader
}

export class WalScan {
  /** In log order. `lastLsn` and `end` grow as frames are found good. */
  readonly files: readonly FoundFile[]
  /** The highest LSN that was kept, or given up as lost. */
  lastLsn: Lsn
  /** Frames up to this LSN were once known to be on the device. */
  durableLsn: Lsn
  /** The file with the last frame to keep; -1 while there is none. */
  keptFile = -1
  /** Whether LSNs were given up as lost. */
  isDamaged = false
  /** Files in which something that was durable cannot be read any more. */
  readonly damagedFiles = new Set<string>()

  readonly #ports: Ports
  readonly #afterLsn: Lsn
  readonly #onEvent: (event: WalEvent) => void
  #reader: { readonly file: number; readonly frames: FrameReader } | undefined

  constructor(ports: Ports, directory: string, afterLsn: Lsn, onEvent: (event: WalEvent) => void) {
    this.#ports = ports
    this.#afterLsn = afterLsn
    this.#onEvent = onEvent
    this.files = findLogFiles(ports, directory)
    this.lastLsn = Math.min(afterLsn, this.firstLsn - 1)
    this.durableLsn = afterLsn
  }

  /** The LSN the log begins with; `afterLsn + 1` when it is empty. What is before it was released, or never was. */
  get firstLsn(): Lsn {
    return this.files.find(file => file.readable)?.firstLsn ?? this.#afterLsn + 1
  }

  *frames(): Generator<WalFrame, void> {
    try {
      let at: Position = { file: 0, offset: framesStart }
      while (at.file < this.files.length) {
        const header = this.#goodHeader(at)
        const wanted = header !== undefined && header.lsn > Math.max(this.lastLsn, this.#afterLsn)
        const payload = wanted ? this.#frames(at.file).payload(at.offset, header) : undefined
        if (header === undefined || (wanted && payload === undefined)) {
          const next = this.#passBadPlace(at)
          if (next === undefined) return
          at = next
          continue
        }
        const { offset } = at
        at = { file: at.file, offset: offset + frameBytes(header.payloadBytes) }
        this.#keep(at, header)
        if (payload === undefined) continue
        const { lsn, durableLsn, type } = header
        yield { lsn, durableLsn, type, payload, path: this.files[at.file]!.path, offset }
      }
    } finally {
      this.#reader?.frames.close()
      this.#reader = undefined
    }
  }

  /** The header at this place if the frame continues the sequence; it may repeat what was seen. */
  #goodHeader(at: Position): FrameHeader | undefined {
    if (!this.files[at.file]!.readable) return undefined
    const header = this.#frames(at.file).header(at.offset)
    return header !== undefined && header.lsn <= this.#nextNeeded() ? header : undefined
  }

  /** The LSN without which a later frame leaves a loss behind. */
  #nextNeeded(): Lsn {
    return Math.max(this.lastLsn, this.#afterLsn) + 1
  }

  #keep(end: Position, header: FrameHeader): void {
    const file = this.files[end.file]!
    file.lastLsn = Math.max(file.lastLsn, header.lsn)
    file.end = end.offset
    this.keptFile = end.file
    this.lastLsn = Math.max(this.lastLsn, header.lsn)
    this.durableLsn = Math.max(this.durableLsn, header.durableLsn)
  }

  /** Where to go on behind a place without a good frame; undefined when all from there on is torn tail. */
  #passBadPlace(at: Position): Position | undefined {
    const needed = this.#nextNeeded()
    let next: FoundFrame | undefined
    for (const frame of this.#wholeFramesFrom(at)) {
      next ??= frame
      if (next.header.lsn <= needed) return next
      if (frame.header.durableLsn < needed) continue
      const lostTo = next.header.lsn - 1
      this.#onEvent({ kind: 'wal-corruption', ...this.#described(at), lostFrom: needed, lostTo })
      this.lastLsn = lostTo
      this.isDamaged = true
      if (!this.#isEndOfFile(at)) this.damagedFiles.add(this.files[at.file]!.path)
      return next
    }
    return undefined
  }

  /** Whole frames at or behind a place: new ones in its file, all in the files that follow, which may be copies. */
  *#wholeFramesFrom(at: Position): Generator<FoundFrame, void> {
    for (let file = at.file; file < this.files.length; file++) {
      if (!this.files[file]!.readable) continue
      const frames = this.#open(file)
      try {
        let offset = frames.scan(file === at.file ? at.offset : framesStart)
        while (offset !== undefined) {
          const header = frames.header(offset)
          assert(header !== undefined, 'the scan stops at headers')
          const relevant = file > at.file || header.lsn > this.lastLsn
          if (relevant && frames.intact(offset, header)) yield { file, offset, header }
          offset = frames.scan(offset + frameBytes(header.payloadBytes))
        }
      } finally {
        frames.close()
      }
    }
  }

  /** What is missing at the end of a file is named as missing before the next. */
  #described(at: Position): { path: string; offset: number } {
    const next = this.files[at.file + 1]
    return next !== undefined && this.#isEndOfFile(at)
      ? { path: next.path, offset: 0 }
      : { path: this.files[at.file]!.path, offset: at.offset }
  }

  #isEndOfFile({ file, offset }: Position): boolean {
    return this.files[file]!.readable && offset >= this.#frames(file).size
  }

  /** The reader that follows the scan; it moves from file to file. */
  #frames(file: number): FrameReader {
    if (this.#reader?.file !== file) {
      this.#reader?.frames.close()
      this.#reader = { file, frames: this.#open(file) }
    }
    return this.#reader.frames
  }

  #open(file: number): FrameReader {
    const { path, salt } = this.files[file]!
    return new FrameReader(this.#ports, path, salt)
  }
}
