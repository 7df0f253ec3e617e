/**
 * FrameReader: one log file, read through a window that slides forward.
 *
 *   file  header  frame  frame  ########  frame  0000
 *                        [ window ]
 *
 * Invariants:
 * 1. Memory is the window: `windowBytes`, or the largest frame whose payload was asked for.
 * 2. A payload is borrowed until the next call.
 */
import { assert } from '../../lib/assert.ts'
import { fileError } from '../../lib/file-errors.ts'
import type { FileHandle, Ports } from '../../lib/ports.ts'
import { decodeFrameHeader, type FrameHeader, frameBytes, frameHeaderBytes } from './format.ts'

const windowBytes = 2 ** 20
/** What is read of a place that is far from the one before: payloads in between were not wanted, and its own may not be. */
const farBytes = 4096

export class FrameReader {
  /** Bytes in the file when it was opened. */
  readonly size: number
  readonly #file: FileHandle
  readonly #salt: number
  readonly #checksums: Ports['checksums']
  readonly #path: string
  #window = new Uint8Array(0)
  #view = new DataView(this.#window.buffer)
  /** The window holds the file's bytes [start, start + filled). */
  #start = 0
  #filled = 0

  constructor(ports: Ports, path: string, salt: number) {
    this.#path = path
    this.#salt = salt
    this.#checksums = ports.checksums
    this.#file = this.#attempt(() => ports.files.open(path, 'read'))
    try {
      this.size = this.#attempt(() => this.#file.size())
    } catch (error) {
      this.#file.close()
      throw error
    }
  }

  close(): void {
    this.#file.close()
  }

  /** The frame header at `offset`; undefined when none is there or the frame would not fit into the file. */
  header(offset: number): FrameHeader | undefined {
    if (offset + frameHeaderBytes > this.size || !this.#show(offset, frameHeaderBytes)) return undefined
    const header = decodeFrameHeader(this.#window, this.#view, offset - this.#start, this.#salt, this.#checksums)
    return header !== undefined && offset + frameBytes(header.payloadBytes) <= this.size ? header : undefined
  }

  /** The payload of the frame at `offset`; undefined when it is damaged. */
  payload(offset: number, header: FrameHeader): Uint8Array | undefined {
    const bytes = frameBytes(header.payloadBytes)
    if (!this.#show(offset, bytes)) return undefined
    const from = offset - this.#start + frameHeaderBytes
    const stored = this.#window.subarray(from, from + bytes - frameHeaderBytes)
    if (this.#checksums.crc32(stored, this.#salt) !== header.payloadCrc) return undefined
    return stored.subarray(0, header.payloadBytes)
  }

  /** Whether the payload is whole, without holding it in memory at once. */
  intact(offset: number, header: FrameHeader): boolean {
    const end = offset + frameBytes(header.payloadBytes)
    let crc = this.#salt
    for (let at = offset + frameHeaderBytes; at < end; ) {
      const count = Math.min(windowBytes, end - at)
      if (!this.#show(at, count)) return false
      const from = at - this.#start
      crc = this.#checksums.crc32(this.#window.subarray(from, from + count), crc)
      at += count
    }
    return crc === header.payloadCrc
  }

  /** The first offset from `from` on where a frame header stands; undefined when there is none in the file. */
  scan(from: number): number | undefined {
    for (let at = from; at + frameHeaderBytes <= this.size; at += 8) {
      if (this.header(at) !== undefined) return at
    }
    return undefined
  }

  /** The end of the last byte that is not zero; `from` when all of them are from there on. */
  usedEnd(from: number): number {
    let end = from
    for (let at = from; at < this.size; at = this.#start + this.#filled) {
      if (!this.#show(at, 1)) break
      const start = at - this.#start
      let last = this.#filled - 1
      while (last >= start && this.#window[last] === 0) last--
      if (last >= start) end = this.#start + last + 1
    }
    return end
  }

  /** Makes [offset, offset + count) visible; false when the file has become shorter than it was. */
  #show(offset: number, count: number): boolean {
    assert(count >= 0 && offset >= 0, 'a window lies within the file')
    if (offset >= this.#start && offset + count <= this.#start + this.#filled) return true
    const isFar = offset > this.#start + this.#filled
    if (count > this.#window.length) {
      this.#window = new Uint8Array(Math.max(count, isFar ? farBytes : windowBytes))
      this.#view = new DataView(this.#window.buffer)
    }
    const into = isFar ? this.#window.subarray(0, Math.max(count, farBytes)) : this.#window
    this.#start = offset
    this.#filled = this.#attempt(() => this.#file.read(into, offset))
    return this.#filled >= count
  }

  #attempt<T>(read: () => T): T {
    try {
      return read()
    } catch (error) {
      throw fileError(error, `cannot read ${this.#path}`)
    }
  }
}
