/**
 * Cancelling: what a call rejects with when its `AbortSignal` ends it.
 *
 * Invariants:
 * 1. It is `cancelled`, whose cause is the signal's reason. A reason that is a `SydraError` says more, and is thrown itself.
 */
import { SydraError } from './errors.ts'

/** What a call that can take long is given to end it: it rejects with `cancelled` then. */
export interface Stoppable {
  readonly signal?: AbortSignal | undefined
}

/** @example abort.abort(cancellation(signal.reason, 'the query was cancelled')) */
export const cancellation = (reason: unknown, message = 'it was cancelled'): SydraError =>
  reason instanceof SydraError ? reason : new SydraError('cancelled', message, { cause: reason })

/** Throws when the signal is aborted. */
export function refuseCancelled(signal: AbortSignal | undefined, message?: string): void {
  if (signal?.aborted === true) throw cancellation(signal.reason, message)
}

/** The work's outcome, unless the signal is aborted before it is there: nobody waits for the work then, which goes on. */
export function unlessCancelled<T>(work: Promise<T>, signal: AbortSignal | undefined, message?: string): Promise<T> {
  if (signal === undefined) return work
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(cancellation(signal.reason, message))
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
