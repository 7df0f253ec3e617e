/** Failures of the file system as users meet them. */
import { SydraError } from './errors.ts'
import { isFileSystemError } from './ports.ts'

/**
 * The failure as a `SydraError`: `disk_full` when there is no room, `io_error` otherwise. What did not come from the
 * file system is a bug and thrown as it is.
 *
 * @example catch (error) { throw fileError(error, `cannot write ${path}`) }
 */
export function fileError(error: unknown, what: string): SydraError {
  if (error instanceof SydraError) return error
  if (!isFileSystemError(error)) throw error
  const full = error.code === 'ENOSPC' || error.code === 'EDQUOT'
  return new SydraError(full ? 'disk_full' : 'io_error', `${what}: ${error.message}`, {
    cause: error,
    ...(full ? { hint: 'free space on the device, then write again' } : {}),
  })
}
