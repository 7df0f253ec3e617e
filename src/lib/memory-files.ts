/**
 * A file system in memory, for `:memory:` databases. The simulated disk of the tests builds on its parts.
 *
 *   names   path -> MemoryBytes    (several names may have the same; an open file keeps it without any, as POSIX has it)
 *   paths   set of directories
 *
 * Invariants:
 * 1. Paths are compared in normal form (see `paths.ts`). `..` is not resolved.
 * 2. A file's parent directory exists; the root and the working directory always do.
 * 3. All files together hold at most `bytesMax`; a write past it fails with `ENOSPC` and changes nothing.
 */
import { normalPath, parentOf } from './paths.ts'
import type { FileHandle, FileSystem, FileSystemError, OpenMode } from './ports.ts'

export function fileSystemError(code: string, call: string, path: string): FileSystemError {
  return Object.assign(new Error(`${code}: ${call} '${path}'`), { code })
}

/** The directory itself and every one above it, innermost first, without the roots that always exist. */
export function withParents(path: string): string[] {
  const found: string[] = []
  for (let at = normalPath(path); at !== '' && at !== '/'; at = parentOf(at)) found.push(at)
  return found
}

/** The contents of one file: bytes that grow, with zeros where nothing was written. */
export class MemoryBytes {
  #bytes = new Uint8Array(0)
  length = 0

  /** The contents as they are now; borrowed until the next write. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.length)
  }

  copy(): MemoryBytes {
    const copy = new MemoryBytes()
    copy.write(this.view(), 0)
    return copy
  }

  read(target: Uint8Array, position: number): number {
    const count = Math.max(0, Math.min(target.length, this.length - position))
    target.set(this.#bytes.subarray(position, position + count))
    return count
  }

  write(bytes: Uint8Array, position: number): void {
    const end = position + bytes.length
    this.#reserve(end)
    this.#bytes.set(bytes, position)
    this.length = Math.max(this.length, end)
  }

  truncate(size: number): void {
    this.#reserve(size)
    if (size < this.length) this.#bytes.fill(0, size, this.length)
    this.length = size
  }

  #reserve(size: number): void {
    if (size <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(size, this.#bytes.length * 2, 1024))
    grown.set(this.view())
    this.#bytes = grown
  }
}

export interface MemoryFilesOptions {
  /** Bytes all files may hold together. Default 1 GiB. */
  readonly bytesMax?: number
}

/** @example const files = memoryFiles(); files.makeDirectory('/data') */
export function memoryFiles({ bytesMax = 2 ** 30 }: MemoryFilesOptions = {}): FileSystem {
  const names = new Map<string, MemoryBytes>()
  const directories = new Set<string>(['', '/'])
  let bytesHeld = 0

  /** Open handles and names that keep each content; it is freed when none is left. */
  const holders = new Map<MemoryBytes, number>()
  const hold = (content: MemoryBytes) => holders.set(content, (holders.get(content) ?? 0) + 1)
  const letGo = (content: MemoryBytes) => {
    const left = holders.get(content)! - 1
    if (left > 0) holders.set(content, left)
    else {
      holders.delete(content)
      bytesHeld -= content.length
    }
  }

  function resize(content: MemoryBytes, size: number, call: string, path: string): void {
    if (bytesHeld + size - content.length > bytesMax) throw fileSystemError('ENOSPC', call, path)
    bytesHeld += size - content.length
  }

  function handle(content: MemoryBytes, path: string, writable: boolean): FileHandle {
    let open = true
    hold(content)
    const check = (call: string, writes: boolean) => {
      if (!open || (writes && !writable)) throw fileSystemError('EBADF', call, path)
    }
    return {
      size() {
        check('fstat', false)
        return content.length
      },
      read(target, position) {
        check('read', false)
        return content.read(target, position)
      },
      write(bytes, position) {
        check('write', true)
        resize(content, Math.max(content.length, position + bytes.length), 'write', path)
        content.write(bytes, position)
      },
      truncate(size) {
        check('ftruncate', true)
        resize(content, size, 'ftruncate', path)
        content.truncate(size)
      },
      async dataSync() {
        check('fdatasync', false)
      },
      close() {
        if (open) letGo(content)
        open = false
      },
    }
  }

  return {
    preallocateBytes: 0,
    open(given: string, mode: OpenMode): FileHandle {
      const path = normalPath(given)
      if (directories.has(path)) throw fileSystemError('EISDIR', 'open', path)
      const found = names.get(path)
      if (found !== undefined) {
        if (mode === 'create') throw fileSystemError('EEXIST', 'open', path)
        return handle(found, path, mode === 'open')
      }
      if (mode === 'read' || !directories.has(parentOf(path))) throw fileSystemError('ENOENT', 'open', path)
      const made = new MemoryBytes()
      names.set(path, made)
      hold(made)
      return handle(made, path, true)
    },
    rename(givenFrom, givenTo) {
      const from = normalPath(givenFrom)
      const to = normalPath(givenTo)
      const content = names.get(from)
      if (content === undefined || !directories.has(parentOf(to))) throw fileSystemError('ENOENT', 'rename', from)
      if (directories.has(to)) throw fileSystemError('EISDIR', 'rename', to)
      if (from === to) return
      const replaced = names.get(to)
      if (replaced !== undefined) letGo(replaced)
      names.delete(from)
      names.set(to, content)
    },
    remove(given) {
      const path = normalPath(given)
      const content = names.get(path)
      if (content === undefined) throw fileSystemError(directories.has(path) ? 'EISDIR' : 'ENOENT', 'unlink', path)
      names.delete(path)
      letGo(content)
    },
    link(givenFrom, givenTo) {
      const from = normalPath(givenFrom)
      const to = normalPath(givenTo)
      const content = names.get(from)
      if (content === undefined || !directories.has(parentOf(to))) throw fileSystemError('ENOENT', 'link', from)
      if (names.has(to) || directories.has(to)) throw fileSystemError('EEXIST', 'link', to)
      names.set(to, content)
      hold(content)
    },
    makeDirectory(given) {
      const made = withParents(given)
      const taken = made.find(path => names.has(path))
      if (taken !== undefined) throw fileSystemError('EEXIST', 'mkdir', taken)
      for (const path of made) directories.add(path)
    },
    list(given) {
      const path = normalPath(given)
      if (!directories.has(path)) throw fileSystemError('ENOENT', 'scandir', path)
      return namesIn(path, [...names.keys(), ...directories])
    },
    exists(given) {
      const path = normalPath(given)
      return names.has(path) || directories.has(path)
    },
    async syncDirectory(given) {
      const path = normalPath(given)
      if (!directories.has(path)) throw fileSystemError('ENOENT', 'open', path)
    },
  }
}

/** The last parts of the paths directly in a directory, sorted. */
export function namesIn(directory: string, paths: Iterable<string>): string[] {
  const found: string[] = []
  for (const path of paths) {
    if (path === '' || path === '/' || parentOf(path) !== directory) continue
    found.push(path.slice(path.lastIndexOf('/') + 1))
  }
  return found.sort()
}
