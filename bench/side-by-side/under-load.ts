/**
 * A server that is written to and asked at once, from one process on many connections.
 *
 *   1. writers alone, as fast as acknowledgements come: the maximum
 *   2. writers alone at half of it
 *   3. readers alone
 *   4. both
 *
 * Writers send 1,000 rows of ten fields at a time; at half the maximum they send when it is time, however long the last takes,
 * and a time to acknowledgement counts from then (else a slow answer would hide the ones it delays). Readers ask one of four
 * questions after the other, the next when the answer is there.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { quantile } from '../harness.ts'
import { type Data, fields, followingOf, followingRows, stamp } from './data.ts'
import type { Engine } from './engine.ts'
import type { Question } from './questions.ts'

const writersAtMost = 4
export const readers = 8
export const readersAsk = ['Q1a', 'Q2', 'Q4', 'Q8'] as const
const phaseMs = 8000
/** Requests under way; more are a server that does not keep up. */
const underWayMax = 1000

export interface Times {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly count: number
}
export interface UnderLoad {
  readonly maxPointsPerSecond: number
  readonly acknowledgedAlone: Times
  readonly askedAlone: Times
  readonly acknowledged: Times
  readonly asked: Times
}

const timesOf = (times: readonly number[]): Times => ({
  p50Ms: quantile(times, 0.5),
  p99Ms: quantile(times, 0.99),
  count: times.length,
})

export async function underLoad(
  engine: Engine & Required<Pick<Engine, 'append' | 'form'>>,
  data: Data,
  questions: readonly Question[],
): Promise<UnderLoad> {
  let nextMs = data.endMs
  const template = followingOf(data, engine.form)
  const append = async (): Promise<void> => {
    nextMs = stamp(template, nextMs)
    await engine.append(Buffer.from(template.body))
  }

  const maximum = async (): Promise<number> => {
    const endMs = performance.now() + phaseMs
    const startedMs = performance.now()
    let bodies = 0
    const writer = async (): Promise<void> => {
      while (performance.now() < endMs) {
        await append()
        bodies++
      }
    }
    await Promise.all(Array.from({ length: writersAtMost }, writer))
    return (bodies * followingRows * fields.length * 1000) / (performance.now() - startedMs)
  }
  const paced = async (pointsPerSecond: number): Promise<Times> => {
    const everyMs = (followingRows * fields.length * 1000) / pointsPerSecond
    const times: number[] = []
    const underWay = new Set<Promise<unknown>>()
    const startMs = performance.now()
    for (let dueMs = startMs; dueMs < startMs + phaseMs; dueMs += everyMs) {
      const waitMs = dueMs - performance.now()
      if (waitMs > 0) await pause(waitMs)
      if (underWay.size >= underWayMax) await Promise.race(underWay)
      const sent = append().then(() => {
        times.push(performance.now() - dueMs)
        underWay.delete(sent)
      })
      underWay.add(sent)
    }
    await Promise.all(underWay)
    return timesOf(times)
  }
  const asking = async (): Promise<Times> => {
    const endMs = performance.now() + phaseMs
    const times: number[] = []
    const reader = async (first: number): Promise<void> => {
      for (let turn = first; performance.now() < endMs; turn++) {
        const askedMs = performance.now()
        await engine.ask(questions[turn % questions.length]!)
        times.push(performance.now() - askedMs)
      }
    }
    await Promise.all(Array.from({ length: readers }, (_, first) => reader(first)))
    return timesOf(times)
  }

  const maxPointsPerSecond = await maximum()
  const acknowledgedAlone = await paced(maxPointsPerSecond / 2)
  const askedAlone = await asking()
  const [acknowledged, asked] = await Promise.all([paced(maxPointsPerSecond / 2), asking()])
  return { maxPointsPerSecond, acknowledgedAlone, askedAlone, acknowledged, asked }
}
