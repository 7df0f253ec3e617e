/**
 * Kernels in WebAssembly with SIMD. An instance has a memory of its own and is not re-entrant: make one a thread.
 */
import { createAggregates } from './aggregate.ts'
import { createCodec } from './codec.ts'
import type { CodecFunctions, CodecRegions } from './codec-module.ts'
import { codecWasm } from './generated/codec.ts'
import type { Kernels } from './kernels.ts'
import { createOffsets } from './offsets.ts'
import { instantiate } from './wasm-loader.ts'

/** 256 KiB: the regions, see `assembly/regions.ts`. */
const memoryPages = 4

type Globals = { readonly [Name in keyof CodecRegions]: WebAssembly.Global }

/**
 * @example
 * const kernels = createWasmKernels()
 * const length = kernels.encodeValues(values, 0, 1024, bytes, 0)
 */
export function createWasmKernels(): Kernels {
  const { exports, memory } = instantiate<CodecFunctions & Globals>(codecWasm, memoryPages)
  const module = {
    ...exports,
    memory: memory.buffer as ArrayBuffer,
    valuesAt: exports.valuesAt.value,
    validAt: exports.validAt.value,
    integersAt: exports.integersAt.value,
    bodyAt: exports.bodyAt.value,
    restartPositionsAt: exports.restartPositionsAt.value,
    restartValuesAt: exports.restartValuesAt.value,
    resultsAt: exports.resultsAt.value,
    boundsAt: exports.boundsAt.value,
    summariesAt: exports.summariesAt.value,
    selectedAt: exports.selectedAt.value,
    wideAt: exports.wideAt.value,
    countsAt: exports.countsAt.value,
    frequenciesAt: exports.frequenciesAt.value,
  }
  return { name: 'wasm', ...createCodec(module), ...createOffsets(module), ...createAggregates(module) }
}
