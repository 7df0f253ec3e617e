/** Errors as JSON has them, back to errors. */
import { type ErrorCode, errorCodes, type Position, SydraError } from '../../lib/errors.ts'

export interface WireError {
  readonly code?: string
  readonly message?: string
  readonly position?: Position
  readonly hint?: string
}

/** A code that this version does not know, of a newer server, is told in the message. */
export function fromWire(error: WireError | undefined): SydraError {
  const { code = 'internal_error', message = 'the server gave no reason', position, hint } = error ?? {}
  if (Object.hasOwn(errorCodes, code)) return new SydraError(code as ErrorCode, message, { position, hint })
  return new SydraError('internal_error', `${code}: ${message}`, { position, hint })
}
