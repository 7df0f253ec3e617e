/** The entry of a thread: loads the task it was told, runs it once on the ports of Node, in the background, and ends. */
import { constants, getPriority, setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { type ErrorJson, SydraError } from '../errors.ts'
import type { WorkerTask } from '../ports.ts'
import { nodePorts } from './ports.ts'

export interface WorkerData {
  readonly module: string
  readonly name: string
  /** Structured clone of the task's input. */
  readonly input: unknown
}

export type WorkerMessage =
  | { readonly kind: 'progress'; readonly progress: unknown }
  | { readonly kind: 'result'; readonly result: unknown }
  /** `error` is undefined for a bug: then the stack says it all. */
  | { readonly kind: 'error'; readonly error: ErrorJson | undefined; readonly stack: string | undefined }

/** Where there are fewer cores than work, ingest and queries go first. */
function yieldToOthers(): void {
  // Linux alone has priorities of threads: 0 is the calling one there, and the whole process elsewhere.
  if (process.platform !== 'linux') return
  try {
    const { PRIORITY_BELOW_NORMAL, PRIORITY_LOW } = constants.priority
    setPriority(0, Math.min(getPriority(0) + PRIORITY_BELOW_NORMAL, PRIORITY_LOW))
  } catch {
    // A sandbox may forbid it; the task is the same without.
  }
}

const { module, name, input } = workerData as WorkerData
const send = (message: WorkerMessage): void => parentPort?.postMessage(message)
yieldToOthers()
try {
  const exports = (await import(module)) as Readonly<Record<string, WorkerTask<unknown, unknown, unknown>>>
  const progress = (made: unknown): void => send({ kind: 'progress', progress: made })
  // Aborting is ending the thread.
  const { signal } = new AbortController()
  send({ kind: 'result', result: await exports[name]!.run(input, { ports: nodePorts(), signal, progress }) })
} catch (error) {
  const stack = error instanceof Error ? error.stack : String(error)
  send({ kind: 'error', error: error instanceof SydraError ? error.toJSON() : undefined, stack })
}
