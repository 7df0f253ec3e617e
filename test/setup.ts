/**
 * Every run draws the same random cases, so that a red run is red for a reason in the change. Other cases:
 * `SYDRADB_SEED=$RANDOM npm test`; a failing property prints its seed and its smallest counterexample.
 *
 * Code is compiled once: later processes, those of test files and the programs they start, begin in half the time. What it
 * costs coverage is some exactness (`NODE_DISABLE_COMPILE_CACHE=1` gives it back).
 *
 * Invariants:
 * 1. `toEqual` of what Node finds equal in the strict sense does nothing but that, which is many times faster; for all else
 *    it is vitest's own, with its matchers and its difference.
 */
import module from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { chai } from 'vitest'

fc.configureGlobal({ seed: Number(process.env['SYDRADB_SEED'] ?? 20_261_121) })

const compiled = join(tmpdir(), 'sydradb-test-compile-cache')
process.env['NODE_COMPILE_CACHE'] = compiled
module.enableCompileCache(compiled)

/** A process that runs several files reads this for each of them. */
const isInstalled = Symbol.for('sydradb-test-fast-equal')
if (!(isInstalled in globalThis)) {
  Object.defineProperty(globalThis, isInstalled, { value: true })
  chai.use(({ Assertion }, { flag, overwriteMethod }) => {
    overwriteMethod(
      Assertion.prototype,
      'toEqual',
      (vitestEqual: (...args: unknown[]) => unknown) =>
        function toEqual(this: Chai.AssertionStatic, ...args: unknown[]) {
          const isPlain = flag(this, 'negate') !== true && flag(this, 'promise') === undefined
          if (isPlain && isDeepStrictEqual(flag(this, 'object'), args[0])) return
          vitestEqual.apply(this, args)
        },
    )
  })
}
