/** What live queries have of the engine, and of each other. */
import type { Permits } from '../../lib/permits.ts'
import type { Ports } from '../../lib/ports.ts'
import type { Settings } from '../../lib/settings.ts'
import type { Prepared } from '../../sydraql/prepare.ts'
import type { Storage } from '../recovery/open-storage.ts'
import type { Backlog } from './backlog.ts'
import type { Frontier } from './frontier.ts'
import type { SharedQuery } from './shared-query.ts'

export interface LiveEnvironment {
  readonly settings: Settings
  readonly ports: Ports
  readonly storage: Storage
  readonly disabledRules: ReadonlySet<string>
  readonly backlog: Backlog
  readonly frontier: Frontier
  readonly answerPermits: Permits
  /** Since the database was opened. */
  readonly counts: { steps: number; reruns: number; rows: number; lagged: number }
  /** Throws what is wrong with the text. */
  prepare(text: string): Prepared
  /** What every id depends on: which database, and which history of commits. */
  historyId(): readonly unknown[]
  /** The present, without waiting for the next tick. It never goes back. */
  now(): number
  /** Asks for a round. */
  wake(): void
  /** What queries keep has changed by so many bytes. */
  kept(bytes: number): void
  /** Nobody needs it any more, or it failed. */
  closed(query: SharedQuery): void
}
