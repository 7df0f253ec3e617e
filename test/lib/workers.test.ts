/** Tasks in threads: results, progress, errors as they were thrown, and an end that is an end. */

import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { constants, getPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { inlineWorkers } from '../../src/lib/inline-workers.ts'
import { nodePorts } from '../../src/lib/node/ports.ts'
import type { WorkerTask } from '../../src/lib/ports.ts'
import type { MergeProgress } from '../../src/storage/compaction/job.ts'
import { mergeTask } from '../../src/storage/compaction/task.ts'
import { SegmentFiles } from '../storage/compaction/files.ts'
import { fields } from '../storage/segment/model.ts'
import { awaitedTask, type CountInput, countTask, priorityTask } from './worker-task.ts'

const ports = nodePorts()
const run = (
  input: CountInput,
  signal = new AbortController().signal,
  progress: number[] = [],
  workers = ports.workers,
) => workers.run(countTask, input, { ports, signal, progress: made => void progress.push(made) })

test.runIf(process.platform === 'linux')(
  'threads give way to the one that started them, and it keeps its priority',
  async () => {
    const before = getPriority(0)
    const options = { ports, signal: new AbortController().signal, progress: () => {} }
    const { PRIORITY_BELOW_NORMAL, PRIORITY_LOW } = constants.priority
    expect(await ports.workers.run(priorityTask, undefined, options)).toBe(
      Math.min(before + PRIORITY_BELOW_NORMAL, PRIORITY_LOW),
    )
    expect(getPriority(0)).toBe(before)
  },
)

describe.each([
  ['threads', ports.workers],
  ['no threads', inlineWorkers],
])('workers with %s', (_, workers) => {
  test('give results and progress', async () => {
    const progress: number[] = []
    const numbers = Float64Array.of(1, 2, 3.5)
    expect(await run({ numbers }, undefined, progress, workers)).toEqual({ sum: 6.5, numbers })
    expect(progress).toEqual([1, 2, 3.5])
  })

  test('errors keep their code', async () => {
    const failed = run({ numbers: new Float64Array(0), fails: 'sydra' }, undefined, [], workers)
    await expect(failed).rejects.toMatchObject({ code: 'corrupt_segment', message: 'no numbers', hint: 'give some' })
    await expect(run({ numbers: new Float64Array(0), fails: 'bug' }, undefined, [], workers)).rejects.toThrow()
  })
})

describe('threads', () => {
  let directory = ''
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'sydradb-workers-'))
  })
  afterAll(() => rmSync(directory, { recursive: true }))

  test('that never end are ended, and one that is not wanted never begins', async () => {
    const abort = new AbortController()
    const progress: number[] = []
    const endless = run({ numbers: Float64Array.of(1), fails: 'never ends' }, abort.signal, progress)
    const reason = new Error('not wanted any more')
    const poll = setInterval(() => progress.length > 0 && abort.abort(reason), 5)
    await expect(endless).rejects.toBe(reason)
    clearInterval(poll)
    await expect(run({ numbers: Float64Array.of(1) }, abort.signal)).rejects.toBe(reason)
  })

  test('that have no such task fail', async () => {
    const none: WorkerTask<number, number, number> = { module: import.meta.url, name: 'none', run: async n => n }
    await expect(
      ports.workers.run(none, 1, { ports, signal: new AbortController().signal, progress: () => {} }),
    ).rejects.toThrow()
  })

  test('stay for the next task that is awaited, whatever became of the last one', async () => {
    const options = { ports, signal: new AbortController().signal, progress: () => {} }
    const ask = (bytes: readonly number[], dies = false) =>
      ports.workers.run(awaitedTask, { bytes: Uint8Array.from(bytes), dies }, options)
    const first = await ask([1, 2])
    expect(first).toMatchObject({ bytes: Uint8Array.of(1, 2), priority: getPriority(0) })
    await expect(ask([])).rejects.toMatchObject({ code: 'bad_request' })
    expect((await ask([3])).threadId).toBe(first.threadId)
    // Two at once are in two threads, of which one stays.
    const [one, other] = await Promise.all([ask([4]), ask([5])])
    expect(one.threadId).toBe(first.threadId)
    expect(other.threadId).not.toBe(first.threadId)
    expect([one.threadId, other.threadId]).toContain((await ask([6])).threadId)
    await expect(ask([7], true)).rejects.toThrow('ended without a result')
    expect((await ask([8])).bytes).toEqual(Uint8Array.of(8))
    // What cannot be sent fails, and the thread with it.
    const unsendable = { bytes: Uint8Array.of(9), send: () => {} }
    await expect(ports.workers.run(awaitedTask, unsendable, options)).rejects.toThrow(/could not be cloned/)
    expect((await ask([9])).bytes).toEqual(Uint8Array.of(9))
  })

  test('merge segments', async () => {
    const segments = new SegmentFiles(ports.files, directory)
    const own = fields('float')
    const metas = [0, 1].map(n =>
      segments.write([{ metric: 'm', fields: own, rows: [{ series: n, timeUs: n, values: [n] }] }], n + 1),
    )
    const told: MergeProgress[] = []
    const context = {
      ports,
      signal: new AbortController().signal,
      progress: (made: MergeProgress) => void told.push(made),
    }
    const result = await ports.workers.run(mergeTask, segments.job(metas), context)
    expect(result.segments).toHaveLength(1)
    expect(told.at(-1)).toMatchObject({ rowsRead: 2 })
    expect(segments.rows(result.segments[0]!, 'm', own)).toHaveLength(2)
    expect(readdirSync(join(directory, 'segments/all'))).toHaveLength(3)
  })
})
