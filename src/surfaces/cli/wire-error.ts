/** Errors as JSON has them, back to errors. */
import { type ErrorCode, errorCodes, type Position, SydraError } from '../../lib/errors.ts'

export interface WireError {
  readonly code?: string
  readonly message?: string
  readonly position?: Position
  readonly hint?: string
  readonly others?: readonly WireError[]
}

/** A code that this version does not know, of a newer server, is told in the message. */
export function fromWire(error: WireError | undefined): SydraError {
  const { code = 'internal_error', message = 'the server gave no reason', position, hint } = error ?? {}
  const details = { position, hint, others: error?.others?.map(fromWire) }
  if (Object.hasOwn(errorCodes, code)) return new SydraError(code as ErrorCode, message, details)
  return new SydraError('internal_error', `${code}: ${message}`, details)
}
