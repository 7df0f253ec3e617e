/** Damaged files are kept beside their successors: `MANIFEST.damaged`, then `MANIFEST.damaged.2`, … */
import { SydraError } from '../lib/errors.ts'
import type { FileSystem } from '../lib/ports.ts'

/** Damaged files kept of one name. */
export const damagedCopiesMax = 100

/** Renames the file so that nothing kept before is lost. Throws `io_error` when there are too many. */
export function setAside(files: FileSystem, path: string): string {
  for (let copy = 1; copy <= damagedCopiesMax; copy++) {
    const name = copy === 1 ? `${path}.damaged` : `${path}.damaged.${copy}`
    if (files.exists(name)) continue
    files.rename(path, name)
    return name
  }
  throw new SydraError('io_error', `${path} is damaged, and ${damagedCopiesMax} damaged ones are kept already`, {
    hint: `move ${path}.damaged* away`,
  })
}
