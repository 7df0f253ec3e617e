/**
 * The file system port over `node:fs`.
 *
 * Invariants:
 * 1. `close` never takes a descriptor away from an fdatasync under way: it is closed when the last one ends, so that
 *    the number cannot be given to another file in between.
 * 2. A short read or write is continued, never passed on.
 */
import * as fs from 'node:fs'
import { fileSystemError } from '../memory-files.ts'
import type { FileHandle, FileSystem, OpenMode } from '../ports.ts'

const flags: Record<OpenMode, number> = {
  read: fs.constants.O_RDONLY,
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
  open: fs.constants.O_RDWR | fs.constants.O_CREAT,
}

export const nodeFiles: FileSystem = {
  preallocateBytes: 4 * 2 ** 20,
  open: (path, mode) => openFile(path, mode),
  rename: (from, to) => fs.renameSync(from, to),
  remove: path => fs.unlinkSync(path),
  link: (from, to) => fs.linkSync(from, to),
  makeDirectory: path => void fs.mkdirSync(path, { recursive: true }),
  list: path => fs.readdirSync(path).sort(),
  exists: path => fs.existsSync(path),
  async syncDirectory(path) {
    // Windows has no way to sync a directory; NTFS journals its names.
    if (process.platform === 'win32') return
    const descriptor = fs.openSync(path, 'r')
    try {
      await settled(done => fs.fsync(descriptor, done))
    } finally {
      fs.closeSync(descriptor)
    }
  },
}

function openFile(path: string, mode: OpenMode): FileHandle {
  const descriptor = fs.openSync(path, flags[mode], 0o644)
  let open = true
  let syncs = 0

  const check = (call: string) => {
    if (!open) throw fileSystemError('EBADF', call, path)
  }
  return {
    size() {
      check('fstat')
      return fs.fstatSync(descriptor).size
    },
    read(target, position) {
      check('read')
      let done = 0
      while (done < target.length) {
        const count = fs.readSync(descriptor, target, done, target.length - done, position + done)
        if (count === 0) break
        done += count
      }
      return done
    },
    write(bytes, position) {
      check('write')
      for (let done = 0; done < bytes.length; ) {
        const count = fs.writeSync(descriptor, bytes, done, bytes.length - done, position + done)
        if (count === 0) throw fileSystemError('EIO', 'write', path)
        done += count
      }
    },
    truncate(size) {
      check('ftruncate')
      fs.ftruncateSync(descriptor, size)
    },
    async dataSync() {
      check('fdatasync')
      syncs++
      try {
        await settled(done => fs.fdatasync(descriptor, done))
      } finally {
        syncs--
        if (!open && syncs === 0) fs.closeSync(descriptor)
      }
    },
    close() {
      if (open && syncs === 0) fs.closeSync(descriptor)
      open = false
    },
  }
}

function settled(start: (done: (error: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => start(error => (error === null ? resolve() : reject(error))))
}
