/**
 * The workers port over `node:worker_threads`.
 *
 *   upkeep    a thread a task, ended with it
 *   awaited   a thread that stays: the next task of its name finds its modules loaded and its code compiled
 *
 *   main    new Worker(worker-main), { module, name, input }      <- { progress } … { result } or { error }
 *
 * Invariants:
 * 1. A promise settles after its task has ended: nothing of it touches a file any more.
 * 2. A thread of upkeep gives way to others where the system can tell threads apart: on Linux.
 * 3. Threads run what this module is: `.ts` from the sources, `.js` from the package.
 * 4. One thread waits for each name at most, for `waitMs`, and never keeps the process alive.
 */
import { Worker } from 'node:worker_threads'
import { SydraError } from '../errors.ts'
import type { WorkerContext, Workers, WorkerTask } from '../ports.ts'
import type { WorkerData, WorkerMessage, WorkerRequest } from './worker-main.ts'

const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'))
/** Objects of a moment: with less room for them a thread holds less, and is no slower. */
const resourceLimits = { maxYoungGenerationSizeMb: 6 }
const mainModule = new URL(`./worker-main${extension}`, import.meta.url)
/** How long a thread waits for its next task. */
const waitMs = 10_000

export const nodeWorkers: Workers = { run: runInThread }

/** Threads that wait, by the name of their task. */
const waiting = new Map<string, Thread>()

/** What a thread tells whoever it works for. */
interface Listener {
  message(message: WorkerMessage): void
  failed(error: unknown): void
  /** It is gone. */
  ended(): void
}

class Thread {
  readonly #name: string
  readonly #worker: Worker
  #listener: Listener | undefined
  #end: NodeJS.Timeout | undefined

  constructor(name: string, workerData: WorkerData) {
    this.#name = name
    // Flags of this process, such as a test runner's loaders, are not for the thread.
    this.#worker = new Worker(mainModule, { workerData, execArgv: [], name, resourceLimits })
    // Once for all: a worker whose last listener for messages goes is deaf from then on.
    this.#worker.on('message', (message: WorkerMessage) => this.#listener?.message(message))
    this.#worker.on('error', error => this.#listener?.failed(error))
    this.#worker.on('exit', () => {
      this.#wake()
      this.#listener?.ended()
    })
  }

  work(request: WorkerRequest, listener: Listener): void {
    this.#wake()
    this.#listener = listener
    try {
      this.#worker.postMessage(request)
    } catch (error) {
      listener.failed(error)
      this.terminate()
    }
  }

  /** For the next task of its name; it ends if none comes, or if another waits. */
  wait(): void {
    this.#listener = undefined
    if (waiting.has(this.#name)) {
      this.terminate()
      return
    }
    waiting.set(this.#name, this)
    this.#worker.unref()
    this.#end = setTimeout(() => {
      this.#wake()
      this.terminate()
    }, waitMs).unref()
  }

  terminate(): void {
    void this.#worker.terminate()
  }

  #wake(): void {
    if (waiting.get(this.#name) === this) waiting.delete(this.#name)
    clearTimeout(this.#end)
    this.#worker.ref()
  }
}

function runInThread<I, R, P>(
  { module, name, isAwaited = false }: WorkerTask<I, R, P>,
  input: I,
  { signal, progress }: WorkerContext<P>,
): Promise<R> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const thread = waiting.get(name) ?? new Thread(name, { givesWay: !isAwaited })
    let settle = (): void => reject(new Error(`the thread of ${name} ended without a result`))
    const abort = (): void => {
      settle = () => reject(signal.reason)
      thread.terminate()
    }
    const ended = (): void => {
      signal.removeEventListener('abort', abort)
      settle()
    }
    signal.addEventListener('abort', abort, { once: true })
    const request: WorkerRequest = { module, name, input, isLast: !isAwaited }
    thread.work(request, {
      message(message) {
        if (signal.aborted) return
        if (message.kind === 'progress') {
          progress(message.progress as P)
          return
        }
        settle = message.kind === 'result' ? () => resolve(message.result as R) : () => reject(errorOf(message))
        if (!isAwaited) return
        thread.wait()
        ended()
      },
      failed(error) {
        if (!signal.aborted) settle = () => reject(error)
      },
      ended,
    })
  })
}

function errorOf({ error, stack }: WorkerMessage & { kind: 'error' }): Error {
  if (error !== undefined) return new SydraError(error.code, error.message, { hint: error.hint, cause: stack })
  return Object.assign(new Error('a task in another thread failed'), { stack })
}
