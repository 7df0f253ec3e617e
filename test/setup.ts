/**
 * Every run draws the same random cases, so that a red run is red for a reason in the change. Other cases:
 * `SYDRADB_SEED=$RANDOM npm test`; a failing property prints its seed and its smallest counterexample.
 */
import fc from 'fast-check'

fc.configureGlobal({ seed: Number(process.env['SYDRADB_SEED'] ?? 20_261_121) })
