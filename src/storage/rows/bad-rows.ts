/** What a reader does with rows that cannot be stored: counts them, keeps the first, stops at one with `onError: "abort"`. */
import type { ErrorCode, SydraError } from '../../lib/errors.ts'
import { ingestErrorsMax } from './limits.ts'

export interface BadRow {
  /** Counts from 1; blank lines count too. */
  readonly line: number
  readonly code: ErrorCode
  readonly message: string
}

export class BadRows {
  count = 0
  /** The first `ingestErrorsMax`. */
  readonly first: BadRow[] = []
  /** Why nothing more is read. */
  stopped: SydraError | undefined
  readonly #abort: boolean

  constructor(onError: 'skip' | 'abort' | undefined) {
    this.#abort = onError === 'abort'
  }

  add(line: number, error: SydraError): void {
    this.count++
    if (this.first.length < ingestErrorsMax) this.first.push({ line, code: error.code, message: error.message })
    if (this.#abort) this.stopped = error
  }
}
