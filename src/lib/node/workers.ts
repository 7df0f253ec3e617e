/**
 * The workers port over `node:worker_threads`: a thread a task, ended with it.
 *
 *   main    new Worker(worker-main, { module, name, input })      <- { progress } … { result } or { error }
 *
 * Invariants:
 * 1. A promise settles after its thread has ended: nothing of the task touches a file any more.
 * 2. A thread gives way to others where the system can tell threads apart: on Linux.
 * 3. Threads run what this module is: `.ts` from the sources, `.js` from the package.
 */
import { Worker } from 'node:worker_threads'
import { SydraError } from '../errors.ts'
import type { WorkerContext, Workers, WorkerTask } from '../ports.ts'
import type { WorkerData, WorkerMessage } from './worker-main.ts'

const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'))
/** Objects of a moment: with less room for them a thread holds less, and is no slower. */
const resourceLimits = { maxYoungGenerationSizeMb: 6 }
const mainModule = new URL(`./worker-main${extension}`, import.meta.url)

export const nodeWorkers: Workers = { run: runInThread }

function runInThread<I, R, P>(
  { module, name }: WorkerTask<I, R, P>,
  input: I,
  { signal, progress }: WorkerContext<P>,
): Promise<R> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const workerData: WorkerData = { module, name, input }
    // Flags of this process, such as a test runner's loaders, are not for the thread.
    const worker = new Worker(mainModule, { workerData, execArgv: [], name, resourceLimits })
    let settle = (): void => reject(new Error(`the thread of ${name} ended without a result`))
    const abort = (): void => {
      settle = () => reject(signal.reason)
      void worker.terminate()
    }
    signal.addEventListener('abort', abort, { once: true })
    worker.on('message', (message: WorkerMessage) => {
      if (signal.aborted) return
      if (message.kind === 'progress') progress(message.progress as P)
      else settle = message.kind === 'result' ? () => resolve(message.result as R) : () => reject(errorOf(message))
    })
    worker.on('error', error => {
      if (!signal.aborted) settle = () => reject(error)
    })
    worker.on('exit', () => {
      signal.removeEventListener('abort', abort)
      settle()
    })
  })
}

function errorOf({ error, stack }: WorkerMessage & { kind: 'error' }): Error {
  if (error !== undefined) return new SydraError(error.code, error.message, { hint: error.hint, cause: stack })
  return Object.assign(new Error('a task in another thread failed'), { stack })
}
