import { EMPTY, NEVER, of, Subject, throwError } from 'rxjs'
import { type RunHelpers, TestScheduler } from 'rxjs/testing'
import { describe, expect, test } from 'vitest'
import { SydraError } from '../../src/lib/errors.ts'
import { type CommittedGroup, type IngestPorts, ingest, type RefusedGroup } from '../../src/pipeline/ingest.ts'
import type { RowBatch } from '../../src/storage/types.ts'

interface Row {
  readonly name: string
  readonly batch: RowBatch
}
const row = (name: string, byteLength = 10): Row => ({ name, batch: { metrics: [], rowCount: 1, byteLength } })

const marbles = (run: (helpers: RunHelpers) => void): void =>
  new TestScheduler((actual, expected) => expect(actual).toEqual(expected)).run(run)

/** `c` is a commit of the named rows at an LSN, `r` a refusal: short enough for a marble diagram's values. */
const brief = (event: CommittedGroup<Row> | RefusedGroup<Row>): string =>
  `${event.kind === 'committed' ? event.lsn : (event.error as Error).message}:${event.group.map(item => item.name).join('')}`

function portsLogging(log: string[], overrides: Partial<IngestPorts> = {}): IngestPorts {
  let lsn = 0
  return {
    room: () => EMPTY,
    append: batches => {
      log.push(`append ${batches.length}`)
      return of(++lsn)
    },
    sync: () => {
      log.push('sync')
      return EMPTY
    },
    apply: at => {
      log.push(`apply ${at}`)
    },
    ...overrides,
  }
}

describe('ingest', () => {
  const values = { a: row('a'), b: row('b'), c: row('c'), d: row('d') }

  test('what arrives during a sync becomes the next group (invariant 1)', () => {
    marbles(({ cold, hot, expectObservable }) => {
      const ports = portsLogging([], { sync: () => cold('---|') })
      const events = ingest(hot('ab-c--------|', values), ports, { groupBytesMax: 1000 })
      expectObservable(events).toBe('---x--y-----|', {
        x: { kind: 'committed', lsn: 1, group: [values.a] },
        y: { kind: 'committed', lsn: 2, group: [values.b, values.c] },
      })
    })
  })

  test('the order is append, sync, apply, event (invariant 2)', () => {
    const log: string[] = []
    const submissions = new Subject<Row>()
    ingest(submissions, portsLogging(log), { groupBytesMax: 1000 }).subscribe(event => log.push(brief(event)))
    submissions.next(row('a'))
    submissions.next(row('b'))
    expect(log).toEqual(['append 1', 'sync', 'apply 1', '1:a', 'append 1', 'sync', 'apply 2', '2:b'])
  })

  test('a failed append refuses its group only (invariant 3)', () => {
    const log: string[] = []
    const submissions = new Subject<Row>()
    let failing = true
    const ports = portsLogging(log, {
      append: () => (failing ? throwError(() => new SydraError('disk_full', 'full')) : of(7)),
    })
    ingest(submissions, ports, { groupBytesMax: 1000 }).subscribe(event => log.push(brief(event)))
    submissions.next(row('a'))
    failing = false
    submissions.next(row('b'))
    expect(log).toEqual(['full:a', 'sync', 'apply 7', '7:b'])
  })

  test('a failed sync is never applied (invariant 3)', () => {
    const log: string[] = []
    const submissions = new Subject<Row>()
    const ports = portsLogging(log, { sync: () => throwError(() => new Error('EIO')) })
    ingest(submissions, ports, { groupBytesMax: 1000 }).subscribe(event => log.push(brief(event)))
    submissions.next(row('a'))
    expect(log).toEqual(['append 1', 'EIO:a'])
  })

  test('a group is cut at groupBytesMax but always takes one (invariant 4)', () => {
    marbles(({ cold, hot, expectObservable }) => {
      const big = { a: row('a'), b: row('b', 60), c: row('c', 60), d: row('d', 500) }
      const events = ingest(hot('(abcd)', big), portsLogging([], { sync: () => cold('--|') }), { groupBytesMax: 100 })
      expectObservable(events).toBe('--w-x-y-z', {
        w: { kind: 'committed', lsn: 1, group: [big.a] },
        x: { kind: 'committed', lsn: 2, group: [big.b] },
        y: { kind: 'committed', lsn: 3, group: [big.c] },
        z: { kind: 'committed', lsn: 4, group: [big.d] },
      })
    })
  })

  test('nothing is written while the memtable has no room', () => {
    const log: string[] = []
    const submissions = new Subject<Row>()
    ingest(submissions, portsLogging(log, { room: () => NEVER }), { groupBytesMax: 1000 }).subscribe()
    submissions.next(row('a'))
    expect(log).toEqual([])
  })

  test('completes after the last group', () => {
    marbles(({ cold, hot, expectObservable }) => {
      const events = ingest(hot('a|', values), portsLogging([], { sync: () => cold('-----|') }), { groupBytesMax: 1 })
      expectObservable(events).toBe('-----(x|)', { x: { kind: 'committed', lsn: 1, group: [values.a] } })
    })
  })

  test('100,000 groups that complete at once do not grow the stack', () => {
    const submissions = new Subject<Row>()
    let events = 0
    const one = row('a')
    ingest(submissions, portsLogging([], { append: () => of(1), sync: () => EMPTY, apply: () => {} }), {
      groupBytesMax: 1,
    }).subscribe(() => {
      if (++events < 100_000) submissions.next(one)
    })
    submissions.next(one)
    expect(events).toBe(100_000)
  })
})
