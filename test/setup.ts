/**
 * Every run draws the same random cases, so that a red run is red for a reason in the change. Other cases:
 * `SYDRADB_SEED=$RANDOM npm test`; a failing property prints its seed and its smallest counterexample.
 *
 * Programs that tests start find their code compiled after the first time: they begin in half the time.
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'

fc.configureGlobal({ seed: Number(process.env['SYDRADB_SEED'] ?? 20_261_121) })

process.env['NODE_COMPILE_CACHE'] = join(tmpdir(), 'sydradb-test-compile-cache')
