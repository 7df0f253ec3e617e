import { defer, EMPTY, of, throwError } from 'rxjs'
import { type RunHelpers, TestScheduler } from 'rxjs/testing'
import { describe, expect, test } from 'vitest'
import { type FlushPorts, flush, freezes } from '../../src/pipeline/flush.ts'

interface Frozen {
  readonly maxLsn: number
}
const marbles = (run: (helpers: RunHelpers) => void): void =>
  new TestScheduler((actual, expected) => expect(actual).toEqual(expected)).run(run)

const a: Frozen = { maxLsn: 10 }
const b: Frozen = { maxLsn: 20 }
const done = (frozen: Frozen) => ({ kind: 'flushed', frozen, segments: [], elapsedMs: 0 })
const settings = { flushRetriesMax: 2, flushRetryBaseMs: 4 }

function ports(overrides: Partial<FlushPorts<Frozen>> = {}, log: string[] = []): FlushPorts<Frozen> {
  return {
    publish: frozen => {
      log.push(`publish ${frozen.maxLsn}`)
      return of([])
    },
    commit: frozen => {
      log.push(`commit ${frozen.maxLsn}`)
      return EMPTY
    },
    releaseWal: lsn => {
      log.push(`release ${lsn}`)
      return EMPTY
    },
    nowMs: () => 0,
    isTransient: error => (error as Error).message === 'ENOSPC',
    ...overrides,
  }
}

describe('flush', () => {
  test('one at a time, in freeze order (invariant 1)', () => {
    marbles(({ cold, hot, expectObservable }) => {
      const slow = ports({ publish: () => cold('---(x|)', { x: [] }) })
      expectObservable(flush(hot('ab', { a, b }), slow, settings)).toBe('---x--y', { x: done(a), y: done(b) })
    })
  })

  test('publish, commit, release (invariant 2)', () => {
    const log: string[] = []
    flush(of(a, b), ports({}, log), settings).subscribe()
    expect(log).toEqual(['publish 10', 'commit 10', 'release 10', 'publish 20', 'commit 20', 'release 20'])
  })

  test('the WAL stays when the commit fails (invariants 2, 3)', () => {
    const log: string[] = []
    const errors: unknown[] = []
    const broken = ports({ commit: () => throwError(() => new Error('EIO')) }, log)
    flush(of(a), broken, settings).subscribe({ error: error => errors.push(error) })
    expect(log).toEqual(['publish 10'])
    expect(errors).toEqual([new Error('EIO')])
  })

  test('a full disk is tried again with growing pauses, then gives up (invariant 3)', () => {
    marbles(({ hot, expectObservable }) => {
      let failures = 2
      const full = new Error('ENOSPC')
      const flaky = ports({ publish: () => defer(() => (failures-- > 0 ? throwError(() => full) : of([]))) })
      expectObservable(flush(hot('a', { a }), flaky, settings)).toBe('------------x', { x: done(a) })
    })
    marbles(({ hot, expectObservable }) => {
      const full = new Error('ENOSPC')
      const never = ports({ publish: () => throwError(() => full) })
      expectObservable(flush(hot('a', { a }), never, settings)).toBe('------------#', undefined, full)
    })
  })
})

describe('freezes', () => {
  const memtable = { isEmpty: () => false, isFull: () => false, ageMs: () => 100 }

  test('by size', () => {
    marbles(({ hot, expectObservable }) => {
      let bytes = 0
      const sized = { ...memtable, isFull: () => (bytes += 40) >= 100 }
      const reasons = freezes({ committed: hot('c-c-c'), requests: EMPTY, shortages: EMPTY }, sized, {
        flushIntervalMs: 0,
      })
      expectObservable(reasons).toBe('----s', { s: 'size' })
    })
  })

  test('by age of the first row, once', () => {
    marbles(({ hot, expectObservable }) => {
      let age = 0
      const aged = { ...memtable, ageMs: () => age++ * 10 }
      const reasons = freezes({ committed: hot('ccc------'), requests: EMPTY, shortages: EMPTY }, aged, {
        flushIntervalMs: 10,
      })
      expectObservable(reasons).toBe('----------a', { a: 'age' })
    })
  })

  test('a younger memtable is given its time', () => {
    marbles(({ hot, expectObservable }) => {
      // Set at 0 for 10 ms; then the age is 4 (frozen by size meanwhile), so 6 ms more.
      const ages = [0, 4, 4, 10]
      const young = { ...memtable, ageMs: () => ages.shift()! }
      const reasons = freezes({ committed: hot('c---'), requests: EMPTY, shortages: EMPTY }, young, {
        flushIntervalMs: 10,
      })
      expectObservable(reasons).toBe('----------------a', { a: 'age' })
    })
  })

  test('not by age when empty', () => {
    marbles(({ hot, expectObservable }) => {
      const empty = { ...memtable, isEmpty: () => true, ageMs: () => 0 }
      const reasons = freezes({ committed: hot('c---'), requests: EMPTY, shortages: EMPTY }, empty, {
        flushIntervalMs: 5,
      })
      expectObservable(reasons).toBe('-')
    })
  })

  test('by request', () => {
    marbles(({ hot, expectObservable }) => {
      const reasons = freezes({ committed: EMPTY, requests: hot('-r'), shortages: EMPTY }, memtable, {
        flushIntervalMs: 10,
      })
      expectObservable(reasons).toBe('-r', { r: 'request' })
    })
  })
})
