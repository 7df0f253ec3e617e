/**
 * The BLAKE3 port over `blake3-wasm`, whose WebAssembly is loaded with the first hash.
 *
 * Invariant: a hash lives in the module's own memory; `digest` and `dispose` free it.
 */
import { createRequire } from 'node:module'
import type { Blake3 } from '../ports.ts'

const require = createRequire(import.meta.url)
let loaded: typeof import('blake3-wasm') | undefined

export const nodeBlake3: Blake3 = {
  hash() {
    loaded ??= require('blake3-wasm') as typeof import('blake3-wasm')
    const hash = loaded.createHash()
    let open = true
    return {
      update: bytes => void hash.update(bytes),
      digest() {
        open = false
        return new Uint8Array(hash.digest())
      },
      dispose() {
        if (open) hash.dispose()
        open = false
      },
    }
  },
}
