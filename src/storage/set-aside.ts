/**
 * Damaged files are kept beside their successors: `MANIFEST.damaged`, then `MANIFEST.damaged.2`, …
 *
 *   setAside   renames: nothing has the name any more
 *   keepCopy   copies: the name stays until its successor takes it, in one step
 */
import { SydraError } from '../lib/errors.ts'
import { directoryOf } from '../lib/paths.ts'
import type { FileSystem } from '../lib/ports.ts'

/** Damaged files kept of one name. */
export const damagedCopiesMax = 100

const copyBytes = 2 ** 20

export const isSetAside = (name: string): boolean => /\.damaged(\.\d+)?$/.test(name)

/** Renames the file so that nothing kept before is lost. Throws `io_error` when there are too many. */
export function setAside(files: FileSystem, path: string): string {
  const name = freeName(files, path)
  files.rename(path, name)
  return name
}

/** Copies the file likewise; resolves when the copy is durable. */
export async function keepCopy(files: FileSystem, path: string): Promise<string> {
  const name = freeName(files, path)
  const temporary = `${path}.damaged.tmp`
  if (files.exists(temporary)) files.remove(temporary)
  const from = files.open(path, 'read')
  try {
    const to = files.open(temporary, 'create')
    try {
      const buffer = new Uint8Array(copyBytes)
      for (let at = 0, read = from.read(buffer, 0); read > 0; at += read, read = from.read(buffer, at))
        to.write(buffer.subarray(0, read), at)
      await to.dataSync()
    } finally {
      to.close()
    }
  } finally {
    from.close()
  }
  files.rename(temporary, name)
  await files.syncDirectory(directoryOf(path))
  return name
}

function freeName(files: FileSystem, path: string): string {
  for (let copy = 1; copy <= damagedCopiesMax; copy++) {
    const name = copy === 1 ? `${path}.damaged` : `${path}.damaged.${copy}`
    if (!files.exists(name)) return name
  }
  throw new SydraError('io_error', `${path} is damaged, and ${damagedCopiesMax} damaged ones are kept already`, {
    hint: `move ${path}.damaged* away`,
  })
}
