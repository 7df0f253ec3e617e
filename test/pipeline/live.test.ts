import { defer, EMPTY, NEVER, Subject, tap, timer } from 'rxjs'
import { TestScheduler } from 'rxjs/testing'
import { expect, test } from 'vitest'
import { type LivePorts, liveRounds, type RoundReason } from '../../src/pipeline/live.ts'

const scheduler = () => new TestScheduler((actual, expected) => expect(actual).toEqual(expected))
const set = (...reasons: RoundReason[]): ReadonlySet<RoundReason> => new Set(reasons)

/** Rounds that take `roundMs`, after turns of `turnMs`. */
function ports(turnMs: number, roundMs: number): LivePorts & { readonly began: ReadonlySet<RoundReason>[] } {
  const began: ReadonlySet<RoundReason>[] = []
  return {
    began,
    turn: () => timer(turnMs),
    round: reasons =>
      defer(() => {
        began.push(reasons)
        return roundMs === 0 ? EMPTY : timer(roundMs)
      }),
  }
}
const never = { committed: NEVER, storage: NEVER, wakes: NEVER, active: NEVER } as const
const timing = { tickMs: 0, progressMs: 0 }

test('a round begins a turn after what asked for it, for all that came until then', () => {
  scheduler().run(({ cold, expectObservable }) => {
    const inputs = {
      ...never,
      committed: cold('-aa--------a|'),
      storage: cold('  --b---------|'),
      wakes: cold('    ------------|'),
      active: cold('   ------------|', { t: true }),
    }
    const values = { x: set('commit', 'storage'), y: set('commit') }
    expectObservable(liveRounds(inputs, ports(3, 2), timing)).toBe('------x---------(y|)', values)
  })
})

test('one round at a time: what comes while it runs is for the next, and none is lost', () => {
  scheduler().run(({ cold, expectObservable, flush }) => {
    const at = ports(1, 4)
    const inputs = { ...never, committed: cold('a--a-a-a------') }
    const values = { x: set('commit') }
    expectObservable(liveRounds(inputs, at, timing), '----------------!').toBe('-----x----x----x', values)
    flush()
    expect(at.began).toEqual([set('commit'), set('commit'), set('commit')])
  })
})

test('a round that asks for another, from within or when it is told of, gets it', () => {
  scheduler().run(({ cold, expectObservable }) => {
    const wakes = new Subject<void>()
    let asked = 0
    const port = ports(1, 1)
    const asking: LivePorts = {
      ...port,
      round: reasons =>
        defer(() => {
          if (asked++ === 0) wakes.next()
          return port.round(reasons)
        }),
    }
    const rounds = liveRounds({ ...never, committed: cold('--a----'), wakes }, asking, timing).pipe(
      tap(() => {
        if (asked === 2) wakes.next()
      }),
    )
    expectObservable(rounds, '----------!').toBe('----x-y-y--', { x: set('commit'), y: set('wake') })
  })
})

test('the clock asks while someone is subscribed, and no longer', () => {
  scheduler().run(({ cold, expectObservable }) => {
    const active = cold('f-t---------f-----', { t: true, f: false })
    const values = { t: set('tick'), b: set('tick', 'progress') }
    const rounds = liveRounds({ ...never, active }, ports(0, 0), { tickMs: 3, progressMs: 6 })
    expectObservable(rounds, '-----------------!').toBe('-----t--(b)t-----', values)
  })
})

test('0 is never', () => {
  scheduler().run(({ cold, expectObservable }) => {
    const rounds = liveRounds({ ...never, active: cold('t', { t: true }) }, ports(0, 0), timing)
    expectObservable(rounds, '1s !').toBe('-')
  })
})

test('unsubscribing stops the round under way and the clock', () => {
  scheduler().run(({ cold, expectObservable, flush }) => {
    let stopped = 0
    const port: LivePorts = {
      turn: () => EMPTY,
      round: () => NEVER.pipe(tap({ unsubscribe: () => stopped++ })),
    }
    expectObservable(liveRounds({ ...never, committed: cold('-a---') }, port, timing), '---!').toBe('----')
    flush()
    expect(stopped).toBe(1)
  })
})

test('a failing round errors the graph', () => {
  scheduler().run(({ cold, expectObservable }) => {
    const port: LivePorts = { turn: () => EMPTY, round: () => cold('-#', {}, 'broken') }
    expectObservable(liveRounds({ ...never, committed: cold('-a') }, port, timing)).toBe('--#', {}, 'broken')
  })
})
