/** Whole files, or their beginnings, in memory. */
import type { FileHandle, FileSystem } from './ports.ts'

export function contentsOf(file: FileHandle, bytesMax = Number.POSITIVE_INFINITY): Uint8Array {
  const bytes = new Uint8Array(Math.min(file.size(), bytesMax))
  return bytes.subarray(0, file.read(bytes, 0))
}

export function readWhole(files: FileSystem, path: string, bytesMax?: number): Uint8Array {
  const file = files.open(path, 'read')
  try {
    return contentsOf(file, bytesMax)
  } finally {
    file.close()
  }
}
