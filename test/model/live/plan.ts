/**
 * What a seed stands for: settings, queries, and steps as plain data. Each step has its chances in it, so that a list without
 * some of them is a run of its own: that is how a failure shrinks.
 *
 * Invariant: the plan of a seed depends on the seed and the number of commits alone.
 */
import type { SettingsInput } from '../../../src/lib/settings.ts'
import { SeededRandom } from '../../simulated/random.ts'
import { PlannedRows, type Written } from './rows.ts'
import { Chooser, type LiveQueryText, type Scale } from './shape.ts'
import { shapes } from './shapes.ts'

export interface PlannedQuery extends LiveQueryText {
  readonly shape: string
}

export interface PlannedDelete {
  readonly metric: string
  /** In steps of the scale, from its start. */
  readonly from: number
  readonly to: number
  readonly host: string | undefined
}

/** How a subscriber takes events: as they come, or when it is asked to. `recent`: without the rows of before. */
export type Manner = 'push' | 'pull' | 'recent'

export type Step =
  /** Commits begun in one turn, one a turn, or one when the last is done. `at`: the clock is moved there first. */
  | {
      readonly kind: 'rows'
      readonly at: number
      readonly commits: readonly (readonly Written[])[]
      readonly pace: 'turn' | 'turns' | 'done'
    }
  | { readonly kind: 'insert'; readonly rows: readonly Written[] }
  | { readonly kind: 'delete'; readonly deletion: PlannedDelete; readonly wait: boolean }
  | { readonly kind: 'flush' | 'compact'; readonly wait: boolean }
  | { readonly kind: 'time'; readonly ms: number }
  /** Time passes of which no timer knows: the machine slept. */
  | { readonly kind: 'later'; readonly at: number }
  | { readonly kind: 'snapshot' | 'check' }
  | { readonly kind: 'restore'; readonly pick: number }
  /** The process ends, in order or not, and another begins. */
  | { readonly kind: 'restart'; readonly how: 'close' | 'kill' | 'power' }
  | { readonly kind: 'subscribe'; readonly query: number; readonly manner: Manner }
  | { readonly kind: 'leave' | 'reconnect' | 'take'; readonly pick: number }

export interface Plan {
  readonly settings: SettingsInput & { readonly retention?: { readonly m: number } }
  readonly scale: Scale
  readonly queries: readonly PlannedQuery[]
  readonly steps: readonly Step[]
  /** Queries that are asked for at some commits, to be compared with what subscribers know then. */
  readonly looks: number
}

/** Queries of a run. With every ten seeds each shape has its turn. */
const queriesPerSeed = Math.ceil(shapes.length / 10)

const minuteUs = 60e6
const seconds: Scale = {
  startUs: Date.UTC(2026, 0, 1, 12) * 1000,
  stepUs: 1e6,
  widths: ['7s', '10s', '1m'],
  wide: '1m',
  short: '5s',
  long: '1m',
}
/** Into the night in which clocks in Amsterdam go forward. */
const hours: Scale = {
  startUs: Date.UTC(2026, 2, 27, 18) * 1000,
  stepUs: 20 * minuteUs,
  widths: ['1h', '6h', '1d'],
  wide: '6h',
  short: '1h',
  long: '1d',
}

export function planOf(seed: number, commits: number): Plan {
  const random = new SeededRandom(seed)
  const scale = random.chance(0.6) ? seconds : hours
  const values = (['quarters', 'quarters', 'decimals', 'special'] as const)[random.below(4)]!
  const isKept = random.chance(0.7)
  const settings = {
    dataDir: 'data',
    fsync: (['none', 'always', 'interval'] as const)[random.below(3)]!,
    duplicates: random.chance(0.2) ? 'first' : 'last',
    memtableMaxBytes: 64 * 1024,
    flushIntervalMs: random.chance(0.5) ? 0 : 20_000,
    walKeepBytes: random.chance(0.5) ? 0 : 2 ** 20,
    ...(!isKept && { retention: { m: (scale === seconds ? 240 : 2 * 86_400) / 86_400 } }),
    compaction: { enabled: random.chance(0.5) },
    live: {
      tickMs: 500,
      rerunMs: random.chance(0.5) ? 0 : 200,
      progressMs: 100,
      changesMax: random.chance(0.3) ? 20 : 100_000,
      ...(random.chance(0.1) && { pendingMaxBytes: 2 ** 20 }),
    },
  } satisfies SettingsInput
  const choose = new Chooser(random, scale)
  const queries = queriesOf(seed, choose, values !== 'quarters')
  const rows = new PlannedRows(random, values)
  const steps = new Steps(random, rows, queries.length, settings.fsync === 'always').take(commits)
  return { settings, scale, queries, steps, looks: 6 }
}

/** Every so-many-th shape, from one that the seed says. */
function queriesOf(seed: number, choose: Chooser, isRounded: boolean): PlannedQuery[] {
  const queries: PlannedQuery[] = []
  const rounds = Math.ceil(shapes.length / queriesPerSeed)
  for (let k = 0; k < queriesPerSeed; k++) {
    const shape = shapes[(seed + k * rounds) % shapes.length]!
    const made = shape.make(choose)
    const query = typeof made === 'string' ? { text: made } : made
    if (!isRounded || query.needsExactSums !== true) queries.push({ ...query, shape: shape.name })
  }
  return queries
}

type Kind = Step['kind']

/** How likely each is among the others, but for commits, which are what a run has so many of. */
const weights: Readonly<Record<Exclude<Kind, 'rows' | 'insert' | 'delete'>, number>> = {
  flush: 4,
  compact: 1.5,
  time: 10,
  later: 0.7,
  snapshot: 0.7,
  restore: 0.4,
  restart: 0.5,
  check: 3,
  subscribe: 4,
  leave: 3,
  reconnect: 3,
  take: 12,
}

class Steps {
  readonly #random: SeededRandom
  readonly #rows: PlannedRows
  readonly #queries: number
  readonly #isDurable: boolean
  readonly #others: readonly (readonly [keyof typeof weights, number])[]

  /** `isDurable`: what is acknowledged survives the loss of power. */
  constructor(random: SeededRandom, rows: PlannedRows, queries: number, isDurable: boolean) {
    this.#random = random
    this.#rows = rows
    this.#queries = queries
    this.#isDurable = isDurable
    // Each seed has more of some and none of others ("swarm testing", Groce et al., ISSTA 2012).
    this.#others = Object.entries(weights).map(
      ([kind, weight]) => [kind as keyof typeof weights, kind === 'check' || !random.chance(0.2) ? weight : 0] as const,
    )
  }

  /** Steps with so many commits. */
  take(commits: number): Step[] {
    const random = this.#random
    const steps: Step[] = []
    for (let query = 0; query < this.#queries; query++)
      if (random.chance(0.8)) steps.push({ kind: 'subscribe', query, manner: this.#manner() })
    let done = 0
    while (done < commits) {
      if (random.chance(0.45)) {
        const step = this.#write(commits - done)
        done += step.kind === 'rows' ? step.commits.length : 1
        steps.push(step)
      } else steps.push(this.#other())
    }
    return steps
  }

  #manner(): Manner {
    return (['push', 'push', 'push', 'pull', 'pull', 'recent'] as const)[this.#random.below(6)]!
  }

  #write(countMax: number): Extract<Step, { kind: 'rows' | 'insert' | 'delete' }> {
    const random = this.#random
    const chance = random.below(100)
    if (chance < 8) return { kind: 'delete', deletion: this.#rows.deletion(), wait: random.chance(0.5) }
    if (chance < 16) return { kind: 'insert', rows: this.#rows.integers() }
    const count = Math.min(countMax, random.chance(0.6) ? 1 : 2 + random.below(5))
    const commits = Array.from({ length: count }, () => this.#rows.commit())
    const pace = (['turn', 'turns', 'done'] as const)[random.below(3)]!
    return { kind: 'rows', at: this.#rows.present - (random.chance(0.1) ? 3 : 0), commits, pace }
  }

  #other(): Step {
    const random = this.#random
    const total = this.#others.reduce((sum, [, weight]) => sum + weight, 0)
    let left = (random.below(1 << 20) / (1 << 20)) * total
    const kind = this.#others.find(([, weight]) => (left -= weight) < 0)?.[0] ?? 'check'
    const pick = random.below(1 << 20)
    switch (kind) {
      case 'flush':
      case 'compact':
        return { kind, wait: random.chance(0.5) }
      case 'time':
        return { kind, ms: 10 + random.below(1500) }
      case 'later':
        this.#rows.present += 5 + random.below(60)
        return { kind, at: this.#rows.present }
      case 'subscribe':
        return { kind, query: random.below(this.#queries), manner: this.#manner() }
      case 'restart':
        return { kind, how: (['close', 'kill', this.#isDurable ? 'power' : 'kill'] as const)[random.below(3)]! }
      case 'snapshot':
      case 'check':
        return { kind }
      default:
        return { kind, pick }
    }
  }
}

/** A step in a line. */
export function inWords(step: Step): string {
  switch (step.kind) {
    case 'rows': {
      const rows = step.commits.map(commit => commit.map(rowInWords).join(' ')).join(' | ')
      return `rows at ${step.at}, ${step.pace}: ${rows}`
    }
    case 'insert':
      return `insert ${step.rows.map(rowInWords).join(' ')}`
    default:
      return JSON.stringify(step)
  }
}

const rowInWords = ({ metric, tags, step, fields }: Written): string =>
  `${metric}{${Object.values(tags).join(',')}}@${step}${JSON.stringify(fields)}`
