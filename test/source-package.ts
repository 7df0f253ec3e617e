/** Loaded before a program, with `--import`: `sydradb` is what stands in `src`, not what was built last. */
import { registerHooks } from 'node:module'

const source = new URL('../src/index.ts', import.meta.url).href

registerHooks({
  resolve: (specifier, context, next) => next(specifier === 'sydradb' ? source : specifier, context),
})
