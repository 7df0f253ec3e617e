/** Cleaning up after a failure. */
import type { FileSystem } from './ports.ts'

/** The first failure is the one to tell; what is left goes at the next opening, or with the next gc. */
export function removeQuietly(files: FileSystem, path: string): void {
  try {
    if (files.exists(path)) files.remove(path)
  } catch {
    // as said
  }
}
