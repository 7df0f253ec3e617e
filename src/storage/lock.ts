/**
 * `LOCK`: one process at a time has a data directory.
 *
 *   LOCK            {"pid":4711,"startToken":"…","nonce":"…"}   the holder
 *   LOCK.<nonce>    the same, of the process that takes over from the holder with this nonce, for a moment
 *
 * A lock whose holder is dead is taken over. Two starters may find that at once, so the right to take over is itself a
 * lock, named after the one that is dead: whoever makes `LOCK.<nonce>` looks again, and replaces `LOCK` by a rename if it
 * still has that nonce. Should that process die in between, its lock is taken over in the same way.
 *
 * Invariants:
 * 1. `LOCK` comes to be by exclusive creation, is replaced only by the holder of `LOCK.<its nonce>`, and removed only by
 *    its own holder. A nonce is never used twice.
 * 2. A lock without readable content belongs to a process about to write it, or that died doing so. Who finds one waits
 *    `graceMs`; who needed more than half of that to write it does not trust it and looks again after as long.
 * 3. Processes that cannot see each other — containers with pid namespaces of their own, hosts on one network file
 *    system — take each other for dead.
 */
import { SydraError } from '../lib/errors.ts'
import { fileError } from '../lib/file-errors.ts'
import { isFileSystemError, type Ports } from '../lib/ports.ts'
import { toHex } from '../lib/text.ts'

export interface Lock {
  /** Lets the directory go. Calling it again is allowed. */
  release(): void
}

export const lockName = 'LOCK'
const graceMs = 1000
const pollMs = 20
const contentBytesMax = 4096
/** Whoever finds the lock changing this often has to do with something else than starting processes. */
const attemptsMax = 100

interface Holder {
  readonly pid: number
  readonly startToken: string
  readonly nonce: string
}

/**
 * Takes the directory for this process. Throws `directory_in_use` naming the pid of the holder, `io_error`, `disk_full`.
 *
 * @example
 * const lock = await acquireLock(ports, dataDir)
 * try { … } finally { lock.release() }
 */
export async function acquireLock(ports: Ports, dataDir: string): Promise<Lock> {
  const path = `${dataDir}/${lockName}`
  try {
    const { holder, pid } = await take(ports, path)
    if (holder === undefined) {
      throw new SydraError('directory_in_use', `${dataDir} is in use by process ${pid}`, {
        hint: 'stop that process, or talk to it instead of opening its directory',
      })
    }
    removeLeftovers(ports, dataDir)
    return { release: () => release(ports, path, holder) }
  } catch (error) {
    throw fileError(error, `cannot lock ${dataDir}`)
  }
}

/** The pid of the process that has the directory, or undefined. Changes nothing. */
export function holderOf(ports: Ports, dataDir: string): number | undefined {
  const found = read(ports, `${dataDir}/${lockName}`)
  return found !== 'gone' && found !== 'unreadable' && lives(ports, found) ? found.pid : undefined
}

/** The holder this process has become, or the pid of the one that lives. */
type Taken = { readonly holder: Holder; readonly pid?: never } | { readonly holder: undefined; readonly pid: number }

async function take(ports: Ports, path: string): Promise<Taken> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const created = await create(ports, path)
    if (created !== undefined) return { holder: created }
    const found = await readSettled(ports, path)
    if (found === 'gone') continue
    if (found !== 'unreadable' && lives(ports, found)) return { holder: undefined, pid: found.pid }
    const taken = await takeOver(ports, path, found === 'unreadable' ? 'unreadable' : found.nonce)
    if (taken !== undefined) return taken
  }
  throw new SydraError('io_error', `${path} keeps changing`)
}

/** Makes the lock if there is none; undefined when there is, or was, another. */
async function create(ports: Ports, path: string): Promise<Holder | undefined> {
  const { files, clock } = ports
  const holder = thisProcess(ports)
  const startMs = clock.monotonicMs()
  try {
    const file = files.open(path, 'create')
    try {
      file.write(encode(holder), 0)
    } finally {
      file.close()
    }
  } catch (error) {
    if (isFileSystemError(error) && error.code === 'EEXIST') return undefined
    // Whatever is left of it has no holder and would have to be waited for.
    if (isFileSystemError(error) && files.exists(path) && read(ports, path) === 'unreadable') files.remove(path)
    throw error
  }
  if (clock.monotonicMs() - startMs > graceMs / 2) await pause(ports, graceMs)
  return isOurs(ports, path, holder) ? holder : undefined
}

/** Replaces the lock of a dead process, unless someone else does; undefined when it is another's by now. */
async function takeOver(ports: Ports, path: string, nonce: string): Promise<Taken | undefined> {
  const { files } = ports
  const guardPath = `${path}.${nonce}`
  const guard = await take(ports, guardPath)
  if (guard.holder === undefined) {
    // That process is about to have the lock: if it comes out alive, it is named.
    await pause(ports, pollMs)
    return undefined
  }
  try {
    const now = read(ports, path)
    if (now === 'gone' || (now === 'unreadable' ? 'unreadable' : now.nonce) !== nonce) return undefined
    const holder = thisProcess(ports)
    const temporary = `${path}.${holder.nonce}.tmp`
    const file = files.open(temporary, 'create')
    try {
      file.write(encode(holder), 0)
    } finally {
      file.close()
    }
    files.rename(temporary, path)
    return { holder }
  } finally {
    release(ports, guardPath, guard.holder)
  }
}

/** What the lock says, once its writer has had the time to say it. */
async function readSettled(ports: Ports, path: string): Promise<Holder | 'gone' | 'unreadable'> {
  const startMs = ports.clock.monotonicMs()
  for (;;) {
    const found = read(ports, path)
    if (found !== 'unreadable' || ports.clock.monotonicMs() - startMs >= graceMs) return found
    await pause(ports, pollMs)
  }
}

function read({ files }: Ports, path: string): Holder | 'gone' | 'unreadable' {
  let bytes: Uint8Array
  try {
    const file = files.open(path, 'read')
    try {
      bytes = new Uint8Array(contentBytesMax)
      bytes = bytes.subarray(0, file.read(bytes, 0))
    } finally {
      file.close()
    }
  } catch (error) {
    if (isFileSystemError(error) && error.code === 'ENOENT') return 'gone'
    throw error
  }
  return decode(bytes) ?? 'unreadable'
}

/** Removes the lock if it is still this holder's. A lock that cannot be removed is stale when the process ends. */
function release(ports: Ports, path: string, holder: Holder): void {
  try {
    if (isOurs(ports, path, holder)) ports.files.remove(path)
  } catch (error) {
    ports.log('warn', 'cannot remove a lock', { path, error: fileError(error, 'remove').message })
  }
}

/** Files of starters that died while they took over: with the lock held, they mean nothing to anyone. */
function removeLeftovers({ files, log }: Ports, dataDir: string): void {
  for (const name of files.list(dataDir)) {
    if (!name.startsWith(`${lockName}.`)) continue
    try {
      files.remove(`${dataDir}/${name}`)
    } catch (error) {
      // Another starter has just removed its own.
      if (!isFileSystemError(error)) throw error
      log('debug', 'cannot remove a leftover', { name })
    }
  }
}

function isOurs(ports: Ports, path: string, holder: Holder): boolean {
  const found = read(ports, path)
  return found !== 'gone' && found !== 'unreadable' && found.nonce === holder.nonce
}

const lives = ({ process }: Ports, { pid, startToken }: Holder): boolean => process.startToken(pid) === startToken

function thisProcess({ process, random }: Ports): Holder {
  const nonce = toHex(random.bytes(new Uint8Array(16)))
  return { pid: process.pid, startToken: process.startToken(process.pid) ?? '', nonce }
}

const encode = (holder: Holder): Uint8Array => new TextEncoder().encode(`${JSON.stringify(holder)}\n`)

function decode(bytes: Uint8Array): Holder | undefined {
  try {
    const { pid, startToken, nonce } = JSON.parse(new TextDecoder().decode(bytes)) as Partial<Holder>
    const whole =
      Number.isSafeInteger(pid) && pid! > 0 && typeof startToken === 'string' && /^[0-9a-f]{32}$/.test(nonce!)
    return whole ? { pid: pid!, startToken, nonce: nonce! } : undefined
  } catch {
    return undefined
  }
}

const pause = ({ timers }: Ports, ms: number) => new Promise<void>(resolve => void timers.after(ms, resolve))
