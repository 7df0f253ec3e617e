/** A task for the tests of the workers port. */
import { getPriority } from 'node:os'
import { threadId } from 'node:worker_threads'
import { SydraError } from '../../src/lib/errors.ts'
import type { WorkerTask } from '../../src/lib/ports.ts'

export interface CountInput {
  readonly numbers: Float64Array
  readonly fails?: 'sydra' | 'bug' | 'never ends'
}

export const countTask: WorkerTask<CountInput, { readonly sum: number; readonly numbers: Float64Array }, number> = {
  module: import.meta.url,
  name: 'countTask',
  async run({ numbers, fails }, { progress }) {
    if (fails === 'sydra') throw new SydraError('corrupt_segment', 'no numbers', { hint: 'give some' })
    if (fails === 'bug') throw new TypeError('a bug')
    let sum = 0
    for (const number of numbers) {
      sum += number
      progress(number)
    }
    while (fails === 'never ends') await new Promise(resolve => setTimeout(resolve, 1))
    return { sum, numbers }
  },
}

/** Of its thread, where the system has that. */
export const priorityTask: WorkerTask<undefined, number, never> = {
  module: import.meta.url,
  name: 'priorityTask',
  run: async () => getPriority(0),
}

/** Which thread it runs in, with what priority, and the bytes it was given (none: it fails). */
export const awaitedTask: WorkerTask<
  { readonly bytes: Uint8Array; readonly dies?: boolean },
  { readonly threadId: number; readonly priority: number; readonly bytes: Uint8Array },
  never
> = {
  module: import.meta.url,
  name: 'awaitedTask',
  isAwaited: true,
  handsOver: ({ bytes }) => [bytes.buffer as ArrayBuffer],
  async run({ bytes, dies = false }) {
    if (dies) process.exit(3)
    if (bytes.length === 0) throw new SydraError('bad_request', 'no bytes')
    return { threadId, priority: getPriority(0), bytes }
  },
}
