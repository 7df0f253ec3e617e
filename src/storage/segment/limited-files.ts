/**
 * Open handles of segment files, at most so many at once: the least recently used is closed, and opened again on demand.
 *
 * Invariants:
 * 1. Reading is synchronous, so a handle is never closed while it is read.
 */
import type { FileHandle, FileSystem } from '../../lib/ports.ts'

export class LimitedFiles {
  readonly #files: FileSystem
  readonly #openFilesMax: number
  /** By path, least recently used first. */
  readonly #open = new Map<string, FileHandle>()

  constructor(files: FileSystem, openFilesMax: number) {
    this.#files = files
    this.#openFilesMax = openFilesMax
  }

  get openFiles(): number {
    return this.#open.size
  }

  /** The file, open for reading; borrowed until the next call. */
  open(path: string): FileHandle {
    let file = this.#open.get(path)
    if (file === undefined) file = this.#files.open(path, 'read')
    else this.#open.delete(path)
    this.#open.set(path, file)
    if (this.#open.size > this.#openFilesMax) this.close(this.#open.keys().next().value!)
    return file
  }

  close(path: string): void {
    this.#open.get(path)?.close()
    this.#open.delete(path)
  }

  closeAll(): void {
    for (const path of [...this.#open.keys()]) this.close(path)
  }
}
