/** Snapshots as commands ask for them: of a directory that is opened, or of a running server. */

import type { Database, RestoreReport, SeriesDifference, Snapshot, SnapshotReport } from '../../index.ts'
import { SydraError } from '../../lib/errors.ts'
import { camelCase, snakeCase } from '../snake-case.ts'
import { fromWire, type WireError } from './wire-error.ts'

export type SnapshotTarget = Pick<Database, 'snapshot' | 'restore' | 'diff' | 'removeSnapshot' | 'gc'> & {
  snapshots(): Promise<readonly Snapshot[]>
}

export const ownSnapshots = ({ snapshot, snapshots, restore, diff, removeSnapshot, gc }: Database): SnapshotTarget => ({
  ...{ snapshot, restore, diff, removeSnapshot, gc },
  snapshots: async () => snapshots(),
})

/** What a server answers. */
export interface Wire {
  /** The answer's JSON; throws the error it tells. */
  call(path: string, init: RequestInit): Promise<unknown>
  lines(path: string, signal: AbortSignal | undefined): AsyncIterable<string>
}

export function remoteSnapshots({ call, lines }: Wire): SnapshotTarget {
  const post = (path: string, body: object, signal: AbortSignal | undefined) =>
    call(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(snakeCase(body)),
      signal: signal ?? null,
    })
  return {
    async snapshot(name, { message, to, signal } = {}) {
      if (to !== undefined)
        throw new SydraError('bad_request', 'a server takes snapshots in its own directory', {
          hint: 'run sydradb snapshot <directory> where the data directory is, while the server is stopped',
        })
      return camelCase(
        (await post('/api/v1/snapshots', { name, message }, signal)) as object,
      ) as unknown as SnapshotReport
    },
    async snapshots() {
      const found = (await call('/api/v1/snapshots', {})) as readonly object[]
      return found.map(each => camelCase(each) as unknown as Snapshot)
    },
    async restore(ref, { dryRun, signal } = {}) {
      const report = camelCase(
        (await post('/api/v1/restore', { ref, dryRun }, signal)) as object,
      ) as unknown as RestoreReport
      return { ...report, snapshot: camelCase(report.snapshot) as unknown as Snapshot }
    },
    async *diff(before, after, { signal } = {}) {
      const query = new URLSearchParams({ before, ...(after === undefined ? {} : { after }) })
      for await (const line of lines(`/api/v1/diff?${query}`, signal)) {
        const told = JSON.parse(line) as SeriesDifference & { readonly summary?: object; readonly error?: WireError }
        if (told.error !== undefined) throw fromWire(told.error)
        if (told.summary !== undefined) return
        yield told
      }
      throw new SydraError('io_error', 'the connection broke off: there may be more differences')
    },
    async removeSnapshot(name) {
      await call(`/api/v1/snapshots/${encodeURIComponent(name)}`, { method: 'DELETE' })
    },
    async gc({ signal } = {}) {
      const report = camelCase((await post('/api/v1/gc', {}, signal)) as object)
      return report as unknown as Awaited<ReturnType<Database['gc']>>
    },
  }
}
