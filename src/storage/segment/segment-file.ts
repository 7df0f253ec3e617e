/**
 * SegmentFile: reads of one segment file, checked — and damage told as `corrupt_segment` with file and offset.
 *
 * Invariants:
 * 1. Bytes leave `chunks` only after their checksum was right.
 * 2. Chunks that lie side by side are read at once.
 */
import { BlockError } from '../../kernels/kernels.ts'
import { SydraError } from '../../lib/errors.ts'
import { isFileSystemError } from '../../lib/ports.ts'
import { DamageError } from '../codecs/bytes.ts'
import type { SegmentEnvironment } from './environment.ts'
import { type ChunkEntry, decodeFooter, type Footer } from './footer.ts'
import {
  declaredHeaderLength,
  decodeHeader,
  decodeTrailer,
  headerFixedLength,
  type SegmentHeader,
  trailerLength,
} from './format.ts'

/** `corrupt_segment`, with its parts. */
export class SegmentDamage extends SydraError {
  readonly path: string
  readonly offset: number
  /** Without file and offset. */
  readonly what: string

  constructor(path: string, offset: number, what: string, cause: unknown) {
    super('corrupt_segment', `segment ${path} is damaged at byte ${offset}: ${what}`, { cause })
    this.path = path
    this.offset = offset
    this.what = what
  }
}

export class SegmentFile {
  /** Relative to the data directory. */
  readonly path: string
  readonly #environment: SegmentEnvironment
  readonly #fullPath: string

  constructor(environment: SegmentEnvironment, path: string) {
    this.#environment = environment
    this.path = path
    this.#fullPath = `${environment.directory}/${path}`
  }

  /** Runs `task`, and tells damage it meets as `corrupt_segment`; offsets count from `at` in the file. */
  guard<T>(at: number | (() => number), what: string, task: () => T): T {
    try {
      return task()
    } catch (error) {
      throw this.#told(error, at, what)
    }
  }

  #told(error: unknown, at: number | (() => number), what: string): unknown {
    const from = typeof at === 'number' ? at : at()
    if (error instanceof DamageError) return this.#corrupt(from + error.offset, `${what}: ${error.message}`, error)
    if (error instanceof BlockError) return this.#corrupt(from, `${what}: ${error.message}`, error)
    if (!isFileSystemError(error)) return error
    if (error.code === 'ENOENT') return this.#corrupt(0, 'the file is missing', error)
    return new SydraError('io_error', `segment ${this.path}: ${error.message}`, { cause: error })
  }

  #corrupt(offset: number, what: string, cause: unknown): SydraError {
    const damage = new SegmentDamage(this.path, offset, what, cause)
    this.#environment.onDamage(this.path, damage.message)
    return damage
  }

  #read(at: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    const read = this.#environment.files.open(this.#fullPath).read(bytes, at)
    if (read < length) throw new DamageError('the file ends too early', at + read)
    return bytes
  }

  readHeader(): { header: SegmentHeader; length: number; crc: number } {
    return this.guard(0, 'header', () => {
      const fixed = this.#read(0, headerFixedLength)
      const length = declaredHeaderLength(fixed)
      const bytes = this.#read(0, length)
      const header = decodeHeader(bytes, this.#environment.ports.checksums)
      const size = this.#environment.files.open(this.#fullPath).size()
      if (size !== header.bytes)
        throw new DamageError(`the file has ${size} bytes instead of ${header.bytes}`, Math.min(size, header.bytes))
      return { header, length, crc: this.#environment.ports.checksums.crc32(bytes) }
    })
  }

  readFooter(): { header: SegmentHeader; footer: Footer } {
    const { header, length, crc } = this.readHeader()
    const { checksums } = this.#environment.ports
    const trailerAt = header.bytes - trailerLength
    const trailer = this.guard(trailerAt, 'trailer', () => {
      if (trailerAt < length) throw new DamageError('the file is too short', 0)
      const bytes = this.#read(trailerAt, trailerLength)
      const told = decodeTrailer(bytes, header.bytes, checksums)
      if (told.headerCrc !== crc) throw new DamageError('belongs to another header', 16)
      return told
    })
    const { footerAt, footerLength, footerCrc } = trailer
    return this.guard(footerAt, 'footer', () => {
      const bytes = this.#read(footerAt, footerLength)
      if (checksums.crc32(bytes) !== footerCrc) throw new DamageError('checksum', 0)
      return { header, footer: decodeFooter(bytes, header, length, footerAt, this.#environment.kernels) }
    })
  }

  /** The bytes of chunks in file order. `onRead` is told of every read's length. */
  chunks(entries: readonly ChunkEntry[], onRead: (bytes: number) => void): Uint8Array[] {
    const found: Uint8Array[] = []
    for (let from = 0; from < entries.length; ) {
      const { at } = entries[from]!
      let to = from
      let end = at
      while (to < entries.length && entries[to]!.at === end) end += entries[to++]!.length
      const bytes = this.guard(0, 'chunk', () => this.#read(at, end - at))
      onRead(bytes.length)
      for (; from < to; from++) {
        const entry = entries[from]!
        const chunk = bytes.subarray(entry.at - at, entry.at - at + entry.length)
        if (this.#environment.ports.checksums.crc32(chunk) !== entry.crc)
          throw this.#corrupt(entry.at, 'checksum of a chunk', undefined)
        found.push(chunk)
      }
    }
    return found
  }

  close(): void {
    this.#environment.files.close(this.#fullPath)
  }
}
