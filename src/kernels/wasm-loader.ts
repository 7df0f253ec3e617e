/**
 * Loads a kernel module that `npm run build:kernels` compiled and inlined as base64: no file system, no network.
 *
 * Invariants:
 * 1. Memory is imported and fixed: `initial` equals `maximum`, so typed-array views of it never detach.
 * 2. One instance per owner: a module's static scratch makes it not re-entrant, so two threads need two instances.
 */

/** 64 KiB, WebAssembly's unit of memory. */
export const wasmPageBytes = 65_536

export interface WasmInstance<Exports> {
  readonly exports: Exports
  readonly memory: WebAssembly.Memory
}

/**
 * Compiles and instantiates synchronously: what a server or a worker wants at start-up (browsers allow it off the
 * main thread). The type argument states what the module exports; nothing checks it at run time.
 *
 * @example
 * const { exports, memory } = instantiate<{ sum(at: number, count: number): number }>(codecWasm, 4)
 * const bytes = new Uint8Array(memory.buffer)
 */
export function instantiate<Exports>(
  base64: string,
  memoryPages: number,
  imports: WebAssembly.ModuleImports = {},
): WasmInstance<Exports> {
  const memory = new WebAssembly.Memory({ initial: memoryPages, maximum: memoryPages })
  const instance = new WebAssembly.Instance(compiled(base64), { env: { ...imports, memory } })
  return { exports: instance.exports as Exports, memory }
}

/** Modules have no state: each is compiled once a process, however many databases there are. */
const modules = new Map<string, WebAssembly.Module>()

function compiled(base64: string): WebAssembly.Module {
  const module = modules.get(base64) ?? new WebAssembly.Module(decodeBase64(base64))
  modules.set(base64, module)
  return module
}

function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text)
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i)
  return bytes
}
