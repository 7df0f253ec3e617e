/** What every route is given. */
import type { SydraError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/ports.ts'
import type { Database } from '../../types.ts'

export interface HttpContext {
  readonly db: Database
  readonly log: Logger
  /** Open bodies and running queries: `closing` aborts them, ingest at once, queries after a grace. */
  readonly ingests: OpenRequests
  readonly queries: OpenRequests
  isClosing(): boolean
}

/** Requests that can be told to stop. */
export class OpenRequests {
  readonly #open = new Set<AbortController>()

  /** Runs the task with a signal that `stop` aborts. */
  async run<T>(task: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController()
    this.#open.add(controller)
    try {
      return await task(controller.signal)
    } finally {
      this.#open.delete(controller)
    }
  }

  stop(reason: SydraError): void {
    for (const controller of this.#open) controller.abort(reason)
  }

  get size(): number {
    return this.#open.size
  }
}
