/** The entry of a thread: runs the tasks it is told, one after the other, on the ports of Node. It ends when its port is closed. */
import { constants, getPriority, setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { type ErrorJson, SydraError } from '../errors.ts'
import type { WorkerTask } from '../ports.ts'
import { nodePorts } from './ports.ts'

export interface WorkerData {
  /** Upkeep: where there are fewer cores than work, others go first. */
  readonly givesWay: boolean
}

export interface WorkerRequest {
  readonly module: string
  readonly name: string
  /** Structured clone of the task's input. */
  readonly input: unknown
  /** Whether the thread ends with the task. */
  readonly isLast: boolean
}

export type WorkerMessage =
  | { readonly kind: 'progress'; readonly progress: unknown }
  | { readonly kind: 'result'; readonly result: unknown }
  /** `error` is undefined for a bug: then the stack says it all. */
  | { readonly kind: 'error'; readonly error: ErrorJson | undefined; readonly stack: string | undefined }

function giveWay(): void {
  // Linux alone has priorities of threads: 0 is the calling one there, and the whole process elsewhere.
  if (process.platform !== 'linux') return
  try {
    const { PRIORITY_BELOW_NORMAL, PRIORITY_LOW } = constants.priority
    setPriority(0, Math.min(getPriority(0) + PRIORITY_BELOW_NORMAL, PRIORITY_LOW))
  } catch {
    // A sandbox may forbid it; the task is the same without.
  }
}

async function run({ module, name, input }: WorkerRequest): Promise<void> {
  const send = (message: WorkerMessage, handedOver: ArrayBuffer[] = []): void =>
    parentPort!.postMessage(message, handedOver)
  try {
    const exports = (await import(module)) as Readonly<Record<string, WorkerTask<unknown, unknown, unknown>>>
    const task = exports[name]!
    const progress = (made: unknown): void => send({ kind: 'progress', progress: made })
    // Aborting is ending the thread.
    const { signal } = new AbortController()
    const result = await task.run(input, { ports: nodePorts(), signal, progress })
    send({ kind: 'result', result }, task.handsOver?.(result))
  } catch (error) {
    const stack = error instanceof Error ? error.stack : String(error)
    send({ kind: 'error', error: error instanceof SydraError ? error.toJSON() : undefined, stack })
  }
}

if ((workerData as WorkerData).givesWay) giveWay()
parentPort!.on('message', async (request: WorkerRequest) => {
  await run(request)
  if (request.isLast) parentPort!.close()
})
