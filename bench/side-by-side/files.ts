/** Sizes on the disk. */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { DiskBytes } from './engine.ts'

/** `log`: a folder in it that is not the rows themselves. */
export function sizeOf(directory: string, log?: string): DiskBytes {
  const all = bytesOf(directory)
  return { all, settled: all - (log === undefined ? 0 : bytesOf(join(directory, log))) }
}

/** Of all files below a directory, as the disk holds them. */
function bytesOf(directory: string): number {
  if (!existsSync(directory)) return 0
  let bytes = 0
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) bytes += statSync(join(entry.parentPath, entry.name)).blocks * 512
  return bytes
}
