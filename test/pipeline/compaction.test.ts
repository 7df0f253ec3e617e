/** Compaction and retention on virtual time: jobs are numbers, merges last a second. */
import { concat, defer, finalize, map, NEVER, type Observable, of, Subject, throwError, timer } from 'rxjs'
import { TestScheduler } from 'rxjs/testing'
import { describe, expect, test } from 'vitest'
import { type CompactionPorts, type CompactionStep, compaction, type MergeStep } from '../../src/pipeline/compaction.ts'
import { retention } from '../../src/pipeline/retention.ts'
import type { SegmentMeta } from '../../src/storage/types.ts'

type Job = number
const told = (step: CompactionStep<Job, string, string>): string =>
  step.kind === 'idle' ? 'idle' : `${step.kind} ${step.job}`

describe('compaction', () => {
  /** Runs work at its times, in ms; the graph is told of, in order. */
  const run = (
    ports: Partial<CompactionPorts<Job, string, string>>,
    at: Readonly<Record<number, (inputs: { trigger(): void; request(): void; cancel(): void }) => void>>,
    untilMs = 100_000,
  ): string[] => {
    const log: string[] = []
    const scheduler = new TestScheduler(() => {})
    scheduler.run(() => {
      const [triggers, requests, cancels] = [new Subject<void>(), new Subject<void>(), new Subject<void>()]
      const all: CompactionPorts<Job, string, string> = {
        choose: () => undefined,
        merge: job => mergeOf(job),
        commit: () => of(true),
        pauseMs: () => 5000,
        ...ports,
      }
      const subscription = compaction({ triggers, requests, cancels }, all).subscribe(step =>
        log.push(`${scheduler.now()} ${told(step)}`),
      )
      for (const [ms, work] of Object.entries(at))
        timer(Number(ms)).subscribe(() =>
          work({ trigger: () => triggers.next(), request: () => requests.next(), cancel: () => cancels.next() }),
        )
      timer(untilMs).subscribe(() => subscription.unsubscribe())
    })
    return log
  }
  const mergeOf = (job: Job): Observable<MergeStep<string, string>> =>
    concat(
      timer(500).pipe(map((): MergeStep<string, string> => ({ kind: 'progress', progress: `half of ${job}` }))),
      timer(500).pipe(map((): MergeStep<string, string> => ({ kind: 'merged', result: `all of ${job}` }))),
    )
  /** Gives these jobs, one after the other. */
  const jobs = (...left: Job[]) => ({ choose: () => left.shift() })

  test('goes on until there is nothing to choose, one merge at a time', () => {
    const log = run(jobs(1, 2), { 10: ({ trigger }) => trigger(), 600: ({ trigger }) => trigger() })
    expect(log).toEqual([
      '10 started 1',
      '510 progress 1',
      '1010 finished 1',
      '1010 started 2',
      '1510 progress 2',
      '2010 finished 2',
      '2010 idle',
    ])
  })

  test('a thousand merges that end at once neither nest nor stop', () => {
    const merge = (): Observable<MergeStep<string, string>> => of({ kind: 'merged', result: '' })
    const log = run({ ...jobs(...Array.from({ length: 1000 }, (_, i) => i)), merge }, { 1: ({ trigger }) => trigger() })
    expect(log.filter(line => line.includes('finished'))).toHaveLength(1000)
    expect(log.at(-1)).toBe('1 idle')
  })

  test('after a failure it pauses, unless someone asks, and goes on', () => {
    const merge = (job: Job): Observable<MergeStep<string, string>> =>
      job === 2 ? mergeOf(job) : throwError(() => new Error('no'))
    expect(run({ ...jobs(1, 2), merge }, { 10: ({ trigger }) => trigger() })).toEqual([
      '10 started 1',
      '10 failed 1',
      '5010 started 2',
      '5510 progress 2',
      '6010 finished 2',
      '6010 idle',
    ])
    const asked = run(
      { ...jobs(1, 3), merge },
      { 10: ({ trigger }) => trigger(), 100: ({ request }) => request() },
      300,
    )
    expect(asked).toEqual(['10 started 1', '10 failed 1', '100 started 3', '100 failed 3'])
  })

  test('what is called off changes nothing, and the next is chosen', () => {
    const commits: Job[] = []
    const commit = (job: Job) => defer(() => of(commits.push(job) > 0))
    const log = run({ ...jobs(1, 2), commit }, { 10: ({ trigger }) => trigger(), 700: ({ cancel }) => cancel() })
    expect(log.slice(0, 4)).toEqual(['10 started 1', '510 progress 1', '700 abandoned 1', '700 started 2'])
    expect(commits).toEqual([2])
  })

  test('a result whose inputs are gone is let go', () => {
    expect(run({ ...jobs(1), commit: () => of(false) }, { 10: ({ trigger }) => trigger() })).toEqual([
      '10 started 1',
      '510 progress 1',
      '1010 abandoned 1',
      '1010 idle',
    ])
  })

  test('unsubscribing stops the merge under way', () => {
    let stopped = false
    const watched = (): Observable<never> =>
      NEVER.pipe(
        finalize(() => {
          stopped = true
        }),
      )
    run({ ...jobs(1), merge: watched }, { 10: ({ trigger }) => trigger() }, 500)
    expect(stopped).toBe(true)
  })
})

test('retention looks at once and then each interval, one look at a time, and tells what failed', () => {
  const scheduler = new TestScheduler(() => {})
  const log: string[] = []
  scheduler.run(() => {
    let looks = 0
    const drop = (): Observable<readonly SegmentMeta[]> => {
      looks++
      if (looks === 1) return of([])
      if (looks === 2) return throwError(() => new Error('no room'))
      return timer(150).pipe(map(() => [{ id: String(looks) } as SegmentMeta]))
    }
    const subscription = retention({ drop }, { intervalMs: 100 }).subscribe(event =>
      log.push(`${scheduler.now()} ${event.kind === 'expired' ? event.segments[0]!.id : event.error}`),
    )
    timer(790).subscribe(() => subscription.unsubscribe())
  })
  expect(log).toEqual(['100 Error: no room', '350 3', '550 4', '750 5'])
})
