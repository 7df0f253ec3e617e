/**
 * The row-writing WebAssembly module as this side of it sees it: exports, memory regions, and a pool of instances.
 *
 * Invariant: an instance has one owner between `acquireWriteKernel` and `releaseWriteKernel`; what an owner left in
 * memory means nothing to the next one.
 */
import { writeWasm } from './generated/write.ts'
import { instantiate } from './wasm-loader.ts'

/** What `write` returns: all rows written, out region full, or a string that is not in kernel memory. */
export const writeResult = { done: 0, full: 1, outside: 2 } as const

export const cellKind = {
  number: 0,
  boolean: 1,
  string: 2,
  iso: 3,
  epoch: { us: 4, ms: 5, s: 6, ns: 7 },
} as const

/** Bytes of one column's descriptor: kind, prefix address and length, values, validity, decimals (each a u32). */
export const descriptorBytes = 32

interface WriteExports {
  init(): void
  begin(quoted: boolean, suffixBytes: number, suffixCount: number): void
  write(rows: number, columns: number): number
  readonly state: WebAssembly.Global
  readonly powers: WebAssembly.Global
  readonly descriptors: WebAssembly.Global
  readonly columnsMax: WebAssembly.Global
  readonly prefixes: WebAssembly.Global
  readonly prefixesEnd: WebAssembly.Global
  readonly heap: WebAssembly.Global
  readonly heapEnd: WebAssembly.Global
  readonly staging: WebAssembly.Global
  readonly stagingEnd: WebAssembly.Global
  readonly out: WebAssembly.Global
}

export interface WriteKernel {
  readonly exports: WriteExports
  readonly bytes: Uint8Array
  readonly words: Uint32Array
  readonly doubles: Float64Array
  /** Byte addresses of the regions. */
  readonly at: {
    readonly state: number
    readonly descriptors: number
    readonly prefixes: number
    readonly prefixesEnd: number
    readonly heap: number
    readonly heapEnd: number
    readonly staging: number
    readonly stagingEnd: number
    readonly out: number
  }
  readonly columnsMax: number
}

/** 2.5 MiB: the layout in assembly/write.ts. */
const memoryPages = 40
/** Idle instances kept for the next result; how many are busy is bounded by the queries that run. */
const idleKernelsMax = 4
const idle: WriteKernel[] = []

export function acquireWriteKernel(): WriteKernel {
  return idle.pop() ?? newKernel()
}

export function releaseWriteKernel(kernel: WriteKernel): void {
  if (idle.length < idleKernelsMax) idle.push(kernel)
}

function newKernel(): WriteKernel {
  const { exports, memory } = instantiate<WriteExports>(writeWasm, memoryPages)
  const address = (name: Exclude<keyof WriteExports, 'init' | 'begin' | 'write'>): number =>
    exports[name].value as number
  const bytes = new Uint8Array(memory.buffer)
  bytes.set(powersOfTen(), address('powers'))
  exports.init()
  return {
    exports,
    bytes,
    words: new Uint32Array(memory.buffer),
    doubles: new Float64Array(memory.buffer),
    at: {
      state: address('state'),
      descriptors: address('descriptors'),
      prefixes: address('prefixes'),
      prefixesEnd: address('prefixesEnd'),
      heap: address('heap'),
      heapEnd: address('heapEnd'),
      staging: address('staging'),
      stagingEnd: address('stagingEnd'),
      out: address('out'),
    },
    columnsMax: address('columnsMax'),
  }
}

const powerMin = -292
const powerMax = 324
let powers: Uint8Array | undefined

/** ⌈10^k · 2^(127 − ⌊log2 10^k⌋)⌉ for each k, as little-endian u128: computed, so that no table can hold a typo. */
function powersOfTen(): Uint8Array {
  if (powers !== undefined) return powers
  powers = new Uint8Array((powerMax - powerMin + 1) * 16)
  const view = new DataView(powers.buffer)
  for (let k = powerMin; k <= powerMax; k++) {
    const numerator = k > 0 ? 10n ** BigInt(k) : 1n
    const denominator = k < 0 ? 10n ** BigInt(-k) : 1n
    const shift = BigInt(127 - ((k * 1741647) >> 19))
    const top = shift > 0n ? numerator << shift : numerator
    const bottom = shift < 0n ? denominator << -shift : denominator
    const power = (top + bottom - 1n) / bottom
    const at = (k - powerMin) * 16
    view.setBigUint64(at, BigInt.asUintN(64, power), true)
    view.setBigUint64(at + 8, power >> 64n, true)
  }
  return powers
}
