/**
 * Refs: names of commits, a file each.
 *
 *   refs/<name>   the commit's id and a newline
 *   refs/HEAD     the newest commit, or the one that was restored last
 *
 * Invariants:
 * 1. A ref changes at once and durably: written beside, renamed, the directory synced.
 * 2. Whoever sets one has made the commit and all it names durable before.
 */
import { didYouMeanHint } from '../../lib/did-you-mean.ts'
import { SydraError } from '../../lib/errors.ts'
import { fileError } from '../../lib/file-errors.ts'
import type { Ports } from '../../lib/ports.ts'
import { isSetAside } from '../set-aside.ts'
import { isObjectId, type ObjectId } from './format.ts'

export const refsDirectory = 'refs'
const headName = 'HEAD'
/** Digits of an id that may stand for all of it. */
const prefixMin = 8

/** A ref that is being written, or was damaged and is kept. */
export const isNoRef = (name: string): boolean => name.endsWith('.tmp') || isSetAside(name)

/** Throws `bad_request` for what is no name of a snapshot. */
export function checkRefName(name: string): void {
  const isReserved = name.toUpperCase() === headName || isObjectId(name)
  if (/^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/.test(name) && !isReserved && !isNoRef(name)) return
  throw new SydraError('bad_request', `"${name.slice(0, 120)}" is no name for a snapshot`, {
    hint: 'up to 100 letters, digits, _, . and -, not beginning with . or -; HEAD is the newest',
  })
}

export class Refs {
  readonly #ports: Pick<Ports, 'files'>
  readonly #directory: string
  readonly #root: string

  /** @param root has `refs/` */
  constructor(ports: Pick<Ports, 'files'>, root: string) {
    this.#ports = ports
    this.#root = root
    this.#directory = `${root}/${refsDirectory}`
  }

  /** Without HEAD. */
  names(): string[] {
    const { files } = this.#ports
    if (!files.exists(this.#directory)) return []
    return files.list(this.#directory).filter(name => name !== headName && !isNoRef(name))
  }

  /** The same with what they name. Throws `corrupt_object`. */
  list(): Map<string, ObjectId> {
    return new Map(this.names().map(name => [name, this.#read(name)]))
  }

  get(name: string): ObjectId | undefined {
    return this.#ports.files.exists(`${this.#directory}/${name}`) ? this.#read(name) : undefined
  }

  get head(): ObjectId | undefined {
    return this.get(headName)
  }

  /** Throws `disk_full`, `io_error`. */
  async set(name: string, id: ObjectId): Promise<void> {
    const { files } = this.#ports
    const path = `${this.#directory}/${name}`
    try {
      files.makeDirectory(this.#directory)
      const file = files.open(`${path}.tmp`, 'open')
      try {
        file.truncate(0)
        file.write(new TextEncoder().encode(`${id}\n`), 0)
        await file.dataSync()
      } finally {
        file.close()
      }
      files.rename(`${path}.tmp`, path)
      await files.syncDirectory(this.#directory)
      await files.syncDirectory(this.#root)
    } catch (error) {
      throw fileError(error, `cannot write ${path}`)
    }
  }

  setHead(id: ObjectId): Promise<void> {
    return this.set(headName, id)
  }

  async remove(name: string): Promise<void> {
    try {
      this.#ports.files.remove(`${this.#directory}/${name}`)
      await this.#ports.files.syncDirectory(this.#directory)
    } catch (error) {
      throw fileError(error, `cannot remove ${this.#directory}/${name}`)
    }
  }

  removeHead(): Promise<void> {
    return this.remove(headName)
  }

  /** By name, `HEAD`, or the first digits of the id. Throws `not_found` with "did you mean". */
  resolve(ref: string): ObjectId {
    const named = isPathPart(ref) ? this.get(ref) : undefined
    if (named !== undefined) return named
    if (/^head$/i.test(ref) && this.head !== undefined) return this.head
    if (ref.length >= prefixMin && /^[0-9a-f]+$/.test(ref)) {
      const commits = new Set([...this.list().values(), this.head].filter(id => id?.startsWith(ref)))
      const [found] = commits
      if (commits.size === 1) return found!
    }
    throw this.#unknown(ref)
  }

  /** Of that very name. Throws `bad_request`, `not_found`. */
  named(name: string): ObjectId {
    checkRefName(name)
    const found = this.get(name)
    if (found === undefined) throw this.#unknown(name)
    return found
  }

  #unknown(ref: string): SydraError {
    const names = this.names()
    const all = names.length === 0 ? 'there are no snapshots yet' : `there are: ${listed(names)}`
    return new SydraError('not_found', `there is no snapshot "${ref.slice(0, 120)}"`, {
      hint: didYouMeanHint(ref, names) ?? all,
    })
  }

  /** Throws `corrupt_object`. */
  #read(name: string): ObjectId {
    const path = `${this.#directory}/${name}`
    try {
      const file = this.#ports.files.open(path, 'read')
      try {
        const bytes = new Uint8Array(80)
        const text = new TextDecoder().decode(bytes.subarray(0, file.read(bytes, 0)))
        if (text.endsWith('\n') && isObjectId(text.slice(0, -1))) return text.slice(0, -1)
      } finally {
        file.close()
      }
    } catch (error) {
      throw fileError(error, `cannot read ${path}`)
    }
    throw new SydraError('corrupt_object', `${path} names no commit`, {
      hint: 'remove the file, or write the id of a commit and a newline into it',
    })
  }
}

const namesMax = 10
const listed = (names: readonly string[]): string =>
  names.slice(0, namesMax).join(', ') + (names.length > namesMax ? ', …' : '')

const isPathPart = (text: string): boolean => /^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/.test(text)
