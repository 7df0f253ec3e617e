/** Files by the piece: hashed, copied or linked, with turns for others in between. */

import { refuseCancelled, type Stoppable } from '../../lib/cancel.ts'
import type { Blake3Hash, FileHandle, Ports } from '../../lib/ports.ts'
import { isFileSystemError } from '../../lib/ports.ts'
import { removeQuietly } from '../../lib/remove-quietly.ts'
import { toHex } from '../../lib/text.ts'
import { type ObjectId, type ObjectKind, objectHead } from './format.ts'

export type ObjectPorts = Pick<Ports, 'files' | 'blake3' | 'timers' | 'random'>

/** Read and hashed between two turns: about two milliseconds. */
const pieceBytes = 2 ** 20

/** Stops between two pieces. */
async function* piecesOf(file: FileHandle, { timers }: ObjectPorts, { signal }: Stoppable): AsyncGenerator<Uint8Array> {
  const size = file.size()
  const piece = new Uint8Array(Math.min(pieceBytes, size))
  for (let at = 0; at < size; ) {
    refuseCancelled(signal)
    const count = file.read(piece.subarray(0, Math.min(piece.length, size - at)), at)
    if (count === 0) return
    yield piece.subarray(0, count)
    at += count
    await new Promise<void>(resolve => timers.soon(resolve))
  }
}

/** `kind` undefined: the file has its head itself. */
export async function hashFile(
  ports: ObjectPorts,
  path: string,
  kind: ObjectKind | undefined,
  stop: Stoppable = {},
): Promise<{ readonly id: ObjectId; readonly bytes: number }> {
  const file = ports.files.open(path, 'read')
  try {
    const bytes = file.size()
    const hash = begin(ports, kind, bytes)
    try {
      for await (const piece of piecesOf(file, ports, stop)) hash.update(piece)
      return { id: toHex(hash.digest()), bytes }
    } finally {
      hash.dispose()
    }
  } finally {
    file.close()
  }
}

/** A durable copy under a new name, with the id of what was read. Nothing is left where it fails. */
export async function copyFile(
  ports: ObjectPorts,
  from: string,
  to: string,
  kind: ObjectKind | undefined,
  stop: Stoppable = {},
): Promise<{ readonly id: ObjectId; readonly bytes: number }> {
  const { files } = ports
  const source = files.open(from, 'read')
  try {
    const target = files.open(to, 'create')
    try {
      const bytes = source.size()
      const hash = begin(ports, kind, bytes)
      try {
        let at = 0
        for await (const piece of piecesOf(source, ports, stop)) {
          hash.update(piece)
          target.write(piece, at)
          at += piece.length
        }
        await target.dataSync()
        return { id: toHex(hash.digest()), bytes }
      } finally {
        hash.dispose()
      }
    } catch (error) {
      removeQuietly(files, to)
      throw error
    } finally {
      target.close()
    }
  } finally {
    source.close()
  }
}

/** Another name for the file, or a durable copy of it where there are no links. */
export async function linkOrCopy(ports: ObjectPorts, from: string, to: string, stop: Stoppable = {}): Promise<void> {
  try {
    ports.files.link(from, to)
  } catch (error) {
    if (!isFileSystemError(error) || !withoutLinks.has(error.code)) throw error
    await copyFile(ports, from, to, 'blob', stop)
  }
}

/** No links between these two, on this file system, or no more of this file. */
const withoutLinks: ReadonlySet<string> = new Set([
  ...['EPERM', 'EXDEV', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'ENOSYS', 'EACCES'],
])

export function idOf({ blake3 }: Pick<Ports, 'blake3'>, kind: ObjectKind, content: Uint8Array): ObjectId {
  const hash = begin({ blake3 }, kind, content.length)
  hash.update(content)
  return toHex(hash.digest())
}

function begin({ blake3 }: Pick<Ports, 'blake3'>, kind: ObjectKind | undefined, length: number): Blake3Hash {
  const hash = blake3.hash()
  if (kind !== undefined) hash.update(objectHead(kind, length))
  return hash
}
