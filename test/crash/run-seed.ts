/** Runs a seed; when it fails, finds the shortest list of its steps that does. */

import { SeededRandom } from '../simulated/random.ts'
import { busyDay } from './busy-day.ts'
import { inWords, type Plan, planOf } from './plan.ts'
import { shortest } from './shrink.ts'
import { Simulation } from './simulation.ts'
import { count, type Tally } from './tally.ts'

export const stepsDefault = 20

/** Every so-many-th seed is a busy day with a crash somewhere in it. */
const busyShare = 8
/** About as many calls of the disk as it has. */
const busyCallsMax = 3000

export interface Failure {
  readonly seed: number
  readonly message: string
  /** Numbers of the steps that were taken, of the seed's plan. */
  readonly kept: readonly number[]
  readonly plan: Plan
}

/** `only`: numbers of the steps to take, instead of all. */
export async function runSeed(
  seed: number,
  tally: Tally,
  stepCount: number = stepsDefault,
  only?: readonly number[],
): Promise<Failure | undefined> {
  const plan =
    seed % busyShare === 0 ? busyDay(1 + new SeededRandom(seed).below(busyCallsMax)) : planOf(seed, stepCount)
  const kept = only ?? plan.steps.map((_, i) => i)
  const steps = kept.map(i => plan.steps[i]!)
  let taken = 0
  try {
    await new Simulation(seed, { ...plan, steps }, tally).run(() => taken++)
    return undefined
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { seed, message, kept: kept.slice(0, taken), plan }
  }
}

/** The same failure, or another, with as few steps as can be. */
export async function shrunk(failure: Failure, stepCount: number = stepsDefault): Promise<Failure> {
  let least = failure
  await shortest(failure.kept, async kept => {
    const found = await runSeed(failure.seed, new Map(), stepCount, kept)
    if (found !== undefined && found.kept.length <= least.kept.length) least = found
    return found !== undefined
  })
  return least
}

/** What to read, and what to type to see it again. */
export function failureText({ seed, message, kept, plan }: Failure, stepCount: number = stepsDefault): string {
  const steps = kept.map(i => `  ${String(i).padStart(3)}  ${inWords(plan.steps[i]!)}`).join('\n')
  const replay = `npm run simulate -- --from ${seed} --seeds 1 --steps ${stepCount} --only ${kept.join(',') || 'none'}`
  return `seed ${seed}: ${message}\n\n${JSON.stringify(plan.settings)}\n${steps}\n\n${replay}`
}

/** A busy day that crashes at the n-th call; says whether there were so many. */
export async function crashAtCall(call: number, tally: Tally): Promise<boolean> {
  const own: Tally = new Map()
  await new Simulation(call * 4 + 1, busyDay(call), own).run()
  for (const [what, times] of own) count(tally, what, times)
  // one is at the end in any case
  return (own.get('power loss') ?? 0) + (own.get('kill') ?? 0) > 1
}
