/** What is wrong with columns: the error says at which column, and at which row of it. */
import { type ErrorCode, SydraError } from '../../lib/errors.ts'

/** An error that a rule of rows threw, with the place in front; others as they are. */
export function placed(place: string, error: unknown): unknown {
  if (!(error instanceof SydraError)) return error
  return new SydraError(error.code, `${place}: ${error.message}`, { hint: error.hint, cause: error })
}

export const wrong = (code: ErrorCode, place: string, message: string, hint?: string): SydraError =>
  new SydraError(code, `${place}: ${message}`, { hint })

/** `fields.usage`, `fields["cpu %"]` */
export const fieldPlace = (name: string): string =>
  /^[A-Za-z_]\w{0,39}$/.test(name) ? `fields.${name}` : `fields[${JSON.stringify(name.slice(0, 40))}]`

export const kindName = (value: unknown): string =>
  value === null
    ? 'null'
    : typeof value === 'object'
      ? `a ${(value as object).constructor?.name ?? 'object'}`
      : `a ${typeof value}`
