/**
 * Spare memory: large buffers that somebody was done with, for the next who needs one. Fresh memory costs a page fault for
 * each 4 KiB, and what lies about until it is collected is the most of what a process takes.
 *
 * Invariants:
 * 1. Buffers have 2^n bytes, from 64 KiB to 32 MiB; larger ones are made alone and never kept.
 * 2. At most `sparesMaxBytes` are kept; of a size, the last that came is the first to go.
 */

const leastLog = 16
const mostLog = 25
export const sparesMaxBytes = 32 * 1024 * 1024

export class SpareMemory {
  readonly #bySize: ArrayBuffer[][] = Array.from({ length: mostLog + 1 }, () => [])
  #bytes = 0

  /** What is kept. */
  get bytes(): number {
    return this.#bytes
  }

  /** Of at least so many bytes, which hold anything. */
  take(bytes: number): ArrayBuffer {
    const log = Math.max(leastLog, Math.ceil(Math.log2(bytes)))
    if (log > mostLog) return new ArrayBuffer(bytes)
    const found = this.#bySize[log]!.pop()
    if (found === undefined) return new ArrayBuffer(2 ** log)
    this.#bytes -= found.byteLength
    return found
  }

  /** Not to be called while somebody may still look at it. */
  give(buffer: ArrayBuffer): void {
    const log = Math.log2(buffer.byteLength)
    if (!Number.isInteger(log) || log > mostLog || this.#bytes + buffer.byteLength > sparesMaxBytes) return
    this.#bySize[log]!.push(buffer)
    this.#bytes += buffer.byteLength
  }

  /** Lets go of the largest, until no more than so many bytes are kept. */
  shrinkTo(bytes: number): void {
    for (let log = mostLog; this.#bytes > bytes; log--) {
      const ofSize = this.#bySize[log]!
      while (this.#bytes > bytes && ofSize.length > 0) this.#bytes -= ofSize.pop()!.byteLength
    }
  }
}
