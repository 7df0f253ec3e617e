/**
 * Statements: texts and what they were prepared to, for whoever runs them.
 *
 * Invariants:
 * 1. They are kept by text, `preparedMax` of them, the least recently used going first; one made with an older schema is made
 *    anew. With it goes the template of its plan (`sydraql/template.ts`).
 */
import type { Clock } from '../../lib/ports.ts'
import type { CatalogReader } from '../../storage/catalog/types.ts'
import { type Prepared, prepare } from '../../sydraql/prepare.ts'

const preparedMax = 256

export interface Statements {
  /** Throws what is wrong with the text. */
  prepared(text: string): Prepared
  /** Whether `prepared` has nothing to do. */
  knows(text: string): boolean
}

export function createStatements(catalog: CatalogReader, clock: Clock): Statements {
  const kept = new Map<string, Prepared>()
  const knows = (text: string): boolean => kept.get(text)?.schemaVersion === catalog.version
  return {
    knows,
    prepared(text) {
      const prepared = knows(text) ? kept.get(text)! : prepare(text, catalog, () => clock.monotonicMs())
      kept.delete(text)
      kept.set(text, prepared)
      if (kept.size > preparedMax) kept.delete(kept.keys().next().value!)
      return prepared
    },
  }
}
