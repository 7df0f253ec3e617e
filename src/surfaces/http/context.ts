/** What every route is given. */
import type { SydraError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/ports.ts'
import type { Database } from '../../types.ts'

export interface HttpContext {
  readonly db: Database
  readonly log: Logger
  /** Open bodies, running queries and live ones: closing aborts them, queries after a grace, the others at once. */
  readonly ingests: OpenRequests
  readonly queries: OpenRequests
  readonly lives: OpenRequests
  isClosing(): boolean
}

/** Requests that can be told to stop. */
export class OpenRequests {
  readonly #open = new Set<AbortController>()

  /** Runs the task with a signal that `stop` aborts. */
  async run<T>(task: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal, close } = this.open()
    try {
      return await task(signal)
    } finally {
      close()
    }
  }

  /** The same, until `close`. */
  open(): { readonly signal: AbortSignal; readonly close: () => void } {
    const controller = new AbortController()
    this.#open.add(controller)
    return { signal: controller.signal, close: () => this.#open.delete(controller) }
  }

  stop(reason: SydraError): void {
    for (const controller of this.#open) controller.abort(reason)
  }

  get size(): number {
    return this.#open.size
  }
}
