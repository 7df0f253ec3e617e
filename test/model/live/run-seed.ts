/** Runs a seed; when it fails, finds the fewest queries and steps that do. */
import { shortest } from '../../crash/shrink.ts'
import type { Tally } from '../../crash/tally.ts'
import { inWords, type Plan, planOf } from './plan.ts'
import { Difference, LiveRun } from './run.ts'

export interface Failure {
  readonly seed: number
  readonly commits: number
  readonly message: string
  /** Numbers of the queries and steps of the seed's plan that were taken. */
  readonly queries: readonly number[]
  readonly steps: readonly number[]
  readonly plan: Plan
}

/** What of the seed's plan is left out, by naming what is not. */
export interface Parts {
  readonly queries?: readonly number[] | undefined
  readonly steps?: readonly number[] | undefined
}

export async function runSeed(
  seed: number,
  commits: number,
  tally: Tally,
  parts: Parts = {},
): Promise<Failure | undefined> {
  const plan = planOf(seed, commits)
  const steps = parts.steps ?? plan.steps.keys().toArray()
  const queries = parts.queries ?? plan.queries.keys().toArray()
  const isAsked = new Set(queries)
  const own = steps.filter(step => {
    const planned = plan.steps[step]!
    return planned.kind !== 'subscribe' || isAsked.has(planned.query)
  })
  let taken = 0
  try {
    await new LiveRun(seed, { ...plan, steps: own.map(step => plan.steps[step]!) }, tally).run(() => taken++)
    return undefined
  } catch (error) {
    const message = error instanceof Difference ? error.message : error instanceof Error ? error.stack! : String(error)
    const only = error instanceof Difference ? [error.query] : queries
    return { seed, commits, message, queries: only, steps: own.slice(0, taken), plan }
  }
}

/** A failure with as few queries and steps as can be. */
export async function shrunk(failure: Failure): Promise<Failure> {
  const { seed, commits } = failure
  let least = failure
  const fails = async (parts: Parts): Promise<boolean> => {
    const found = await runSeed(seed, commits, new Map(), parts)
    if (found !== undefined) least = { ...found, queries: parts.queries ?? found.queries }
    return found !== undefined
  }
  const every = failure.plan.queries.keys().toArray()
  // Mostly it is the query alone that matters.
  const queries = (await fails({ queries: failure.queries, steps: failure.steps })) ? failure.queries : every
  if (queries === every && !(await fails({ steps: failure.steps }))) return failure
  const fewer =
    queries === every ? await shortest(every, some => fails({ queries: some, steps: failure.steps })) : queries
  await shortest(failure.steps, steps => fails({ queries: fewer, steps }))
  return least
}

/** A plan's steps that are fit to be read and typed. */
const listedMax = 60

/** What to read, and what to type to see it again. */
export function failureText({ seed, commits, message, queries, steps, plan }: Failure): string {
  const isListed = steps.length <= listedMax
  const listed = steps.map(step => `  ${String(step).padStart(4)}  ${inWords(plan.steps[step]!)}\n`).join('')
  const texts = queries.map(query => `  ${query}: ${plan.queries[query]!.text}`).join('\n')
  const only = ` --queries ${queries.join(',') || 'none'} --steps ${steps.join(',') || 'none'}`
  const replay = `npm run live:exactness -- --from ${seed} --seeds 1 --commits ${commits}${isListed ? only : ''}`
  return `seed ${seed}: ${message}\n\n${JSON.stringify(plan.settings)}\n${texts}\n${isListed ? listed : ''}\n${replay}`
}
