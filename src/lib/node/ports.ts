/** The ports of a Node.js process: what `open()` runs the engine on. */
import { randomFillSync } from 'node:crypto'
import { constants, crc32, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type { Checksums, Clock, Compression, Logger, Ports, Random, Timers } from '../ports.ts'
import { nodeBlake3 } from './blake3.ts'
import { nodeFiles } from './files.ts'
import { nodeProcess } from './process.ts'
import { nodeWorkers } from './workers.ts'

export interface NodePortsOptions {
  /** Where log records go. Default: nowhere, an embedded database is silent. */
  readonly log?: Logger
}

/** @example const ports = nodePorts({ log: (level, message) => console.error(level, message) }) */
export function nodePorts({ log = () => {} }: NodePortsOptions = {}): Ports {
  return {
    files: nodeFiles,
    clock: nodeClock(),
    random: nodeRandom,
    timers: nodeTimers,
    checksums: nodeChecksums,
    zstd: nodeZstd,
    blake3: nodeBlake3,
    workers: nodeWorkers,
    process: nodeProcess,
    log,
  }
}

/**
 * `Date.now()` has whole milliseconds: the true time lies in the millisecond it names. The monotonic clock supplies the
 * microseconds, through an offset that is moved only when it would leave that millisecond.
 */
function nodeClock(): Clock {
  let offsetUs = 0
  return {
    nowUs() {
      const monotonicUs = Math.floor(performance.now() * 1000)
      const earliestUs = Date.now() * 1000
      const guessUs = monotonicUs + offsetUs
      const nowUs = Math.min(Math.max(guessUs, earliestUs), earliestUs + 999)
      offsetUs += nowUs - guessUs
      return nowUs
    },
    monotonicMs: () => performance.now(),
  }
}

const nodeRandom: Random = {
  bytes: target => randomFillSync(target),
}

/** `setTimeout` takes no more than this and fires at once beyond it. */
const timeoutMaxMs = 2 ** 31 - 1

const nodeTimers: Timers = {
  after(delayMs, task, background = false) {
    let timer: NodeJS.Timeout
    const arm = (leftMs: number) => {
      const stepMs = Math.min(leftMs, timeoutMaxMs)
      timer = setTimeout(() => (leftMs > stepMs ? arm(leftMs - stepMs) : task()), stepMs)
      if (background) timer.unref()
    }
    arm(delayMs)
    return () => clearTimeout(timer)
  },
  soon: task => void setImmediate(task),
}

export const nodeChecksums: Checksums = {
  crc32: (bytes, seed = 0) => crc32(bytes, seed),
}

const zstdOptions = { params: { [constants.ZSTD_c_compressionLevel]: 3 } }

export const nodeZstd: Compression = {
  compress: bytes => plain(zstdCompressSync(bytes, zstdOptions)),
  decompress: (bytes, lengthMax) => plain(zstdDecompressSync(bytes, { maxOutputLength: Math.max(1, lengthMax) })),
}

/** A `Buffer`'s `slice` shares memory where a `Uint8Array`'s copies: none leaves this folder. */
function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}
