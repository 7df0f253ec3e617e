/**
 * What a seed stands for: settings, and steps as plain data. Steps are made before any of them is taken and each has its own
 * chances in it, so that a list without some of them is a run of its own: that is how a failure shrinks.
 *
 * Invariants:
 * 1. The plan of a seed depends on the seed and the number of steps alone.
 */
import type { SettingsInput } from '../../src/lib/settings.ts'
import { SeededRandom } from '../simulated/random.ts'
import { type Deletion, markMetric } from './model.ts'
import { type Question, randomQuestion } from './questions.ts'
import { dayUs, type PlainRow, RandomRows } from './rows.ts'

/** Armed, it hits the n-th such call. */
export interface PlannedFault {
  readonly call: 'write' | 'dataSync' | 'truncate' | 'rename' | 'syncDirectory' | 'open' | 'remove' | 'read' | 'link'
  readonly nth: number
  readonly times: number
  readonly code: 'EIO' | 'ENOSPC' | 'EMFILE'
  /** Of a write that fails. */
  readonly writtenBytes: number
  /** What the paths of such calls have in them. */
  readonly path: string
}

/** `seed` decides what power loss leaves of un-synced changes. */
interface Loss {
  readonly power: boolean
  readonly seed: number
}

export type Action =
  | { readonly kind: 'ingest'; readonly batches: readonly (readonly PlainRow[])[]; readonly wait: boolean }
  | { readonly kind: 'ingest-objects'; readonly rows: readonly PlainRow[] }
  | { readonly kind: 'delete'; readonly deletions: readonly Deletion[]; readonly wait: boolean }
  | { readonly kind: 'flush'; readonly wait: boolean }
  | { readonly kind: 'compact'; readonly wait: boolean }
  | { readonly kind: 'time'; readonly ms: number }
  | { readonly kind: 'clock'; readonly us: number }
  | { readonly kind: 'snapshot'; readonly during: readonly PlainRow[] }
  | { readonly kind: 'restore' | 'forget' | 'read-past'; readonly pick: number }
  | { readonly kind: 'gc' | 'verify' | 'check' | 'close' | 'hold-syncs' | 'read-on' }
  | { readonly kind: 'read-slowly'; readonly metric: string }
  | { readonly kind: 'fault'; readonly fault: PlannedFault }
  | ({ readonly kind: 'crash-at'; readonly calls: number } & Loss)
  | ({ readonly kind: 'crash' } & Loss)
  | {
      readonly kind: 'rot'
      readonly file: string
      readonly pick: number
      readonly at: number
      readonly bit: number
      readonly last: readonly (readonly PlainRow[])[]
    }

/** With a question to be asked afterwards. */
export type Step = Action & { readonly asks: Question }

export interface Plan {
  readonly settings: SettingsInput & { readonly fsync: 'always' | 'interval' | 'none' }
  /** Somebody looks at `committed$`; without, the memory of row batches is used again. */
  readonly isWatched: boolean
  readonly steps: readonly Step[]
}

export const dataDir = 'data'

export function planOf(seed: number, stepCount: number): Plan {
  const random = new SeededRandom(seed)
  const fsync = seed % 4 === 0 ? 'interval' : seed % 13 === 0 ? 'none' : 'always'
  const isKept = random.chance(0.5)
  const settings = {
    dataDir,
    fsync,
    memtableMaxBytes: 64 * 1024,
    flushIntervalMs: 5000,
    walKeepBytes: 0,
    duplicates: random.chance(0.15) ? 'first' : 'last',
    retentionDays: isKept || random.chance(0.5) ? 0 : 30,
    ...(!isKept && { retention: { [markMetric]: 0, m1: 5 + random.below(20) } }),
  } satisfies SettingsInput
  const steps = new Steps(random, fsync === 'always')
  return { settings, isWatched: seed % 2 === 0, steps: steps.take(stepCount, random.chance(0.2)) }
}

type Kind = Step['kind']

/** How likely each is among the others. Each seed leaves some out and has more of others ("swarm testing", Groce et al., ISSTA 2012). */
const weights: Readonly<Record<Exclude<Kind, 'rot'>, number>> = {
  ingest: 6,
  'ingest-objects': 2,
  delete: 3,
  flush: 3,
  compact: 2,
  time: 2,
  clock: 1,
  snapshot: 1.5,
  restore: 1,
  forget: 0.3,
  'read-past': 0.7,
  gc: 0.4,
  verify: 0.5,
  check: 1,
  close: 0.8,
  'hold-syncs': 0.6,
  'read-slowly': 0.8,
  'read-on': 0.3,
  fault: 1.5,
  'crash-at': 1.5,
  crash: 1,
}

class Steps {
  readonly #random: SeededRandom
  readonly #rows: RandomRows
  readonly #isSynced: boolean
  readonly #weights: readonly (readonly [Exclude<Kind, 'rot'>, number])[]

  constructor(random: SeededRandom, isSynced: boolean) {
    this.#random = random
    this.#rows = new RandomRows(random)
    this.#isSynced = isSynced
    this.#weights = (Object.keys(weights) as (keyof typeof weights)[]).map(kind => [
      kind,
      kind === 'ingest' ? weights[kind] : weights[kind] * [0, 0.5, 1, 1, 3][random.below(5)]!,
    ])
  }

  take(count: number, rots: boolean): Step[] {
    const steps = Array.from({ length: count }, () => this.#step(this.#kind()))
    if (rots) steps.push(this.#step('rot'))
    return steps
  }

  #kind(): Kind {
    const sum = this.#weights.reduce((total, [, weight]) => total + weight, 0)
    let left = this.#random.below(1000) * (sum / 1000)
    for (const [kind, weight] of this.#weights) if ((left -= weight) < 0) return kind
    return 'ingest'
  }

  /** What a delete concerned is asked for more often. */
  #step(kind: Kind): Step {
    const action = this.#action(kind)
    const asks = randomQuestion(this.#random, this.#rows)
    const deletion = action.kind === 'delete' && this.#random.chance(0.7) ? action.deletions[0] : undefined
    return { ...action, asks: deletion === undefined ? asks : { ...asks, metric: deletion.metric } }
  }

  #action(kind: Kind): Action {
    const random = this.#random
    const rows = this.#rows
    const pick = random.below(1000)
    switch (kind) {
      case 'ingest': {
        const wait = random.chance(0.6)
        const size = random.below(20)
        if (size === 0) return { kind, wait, batches: Array.from({ length: 20 }, () => [rows.large(60_000)]) }
        if (size < 7) return { kind, wait, batches: [rows.steady(40 + random.below(200))] }
        const batches = Array.from({ length: 1 + random.below(3) }, () => rows.take(1 + random.below(12)))
        return { kind, wait, batches }
      }
      case 'ingest-objects':
        return { kind, rows: rows.take(1 + random.below(20)) }
      case 'delete': {
        const deletions = Array.from({ length: random.chance(0.3) ? 3 : 1 }, () => rows.deletion())
        return { kind, deletions, wait: random.chance(0.5) }
      }
      case 'flush':
      case 'compact':
        return { kind, wait: random.chance(0.7) }
      case 'time':
        return { kind, ms: random.below(20_000) }
      case 'clock': {
        const us = (1 + random.below(20)) * (random.chance(0.5) ? 3600e6 : dayUs)
        rows.pass(us)
        return { kind, us }
      }
      case 'snapshot':
        return { kind, during: random.chance(0.5) ? rows.take(5) : [] }
      case 'restore':
      case 'forget':
      case 'read-past':
        return { kind, pick }
      case 'read-slowly':
        return { kind, metric: random.chance(0.5) ? markMetric : randomQuestion(random, rows).metric }
      case 'fault':
        return { kind, fault: this.#fault() }
      case 'crash-at':
        return { kind, calls: 1 + random.below(random.chance(0.5) ? 12 : 80), ...this.#loss(0.8) }
      case 'crash':
        return { kind, ...this.#loss(0.6) }
      case 'rot': {
        const files = ['segments/', 'segments/', 'MANIFEST', 'catalog.', 'wal/', 'objects/', 'refs/']
        const last = Array.from({ length: 4 }, () => rows.take(3))
        return { kind, file: files[random.below(files.length)]!, pick, at: random.next32(), bit: random.below(8), last }
      }
      default:
        return { kind }
    }
  }

  /** Where rows are acknowledged before they are durable, only the process dies, never the machine. */
  #loss(powerShare: number): Loss {
    return { power: this.#isSynced && this.#random.chance(powerShare), seed: this.#random.next32() }
  }

  #fault(): PlannedFault {
    const random = this.#random
    const pick = <T>(values: readonly T[]): T => values[random.below(values.length)]!
    const call = pick([
      'write',
      'write',
      // a sync that fails may lose what was acknowledged before it
      this.#isSynced ? 'dataSync' : 'write',
      'truncate',
      'rename',
      'syncDirectory',
      'open',
      'remove',
      'read',
      'link',
    ] as const)
    return {
      call,
      nth: 1 + random.below(4),
      times: pick([1, 1, 2, 5]),
      code: call === 'read' ? 'EIO' : call === 'open' ? pick(['EMFILE', 'EIO']) : pick(['ENOSPC', 'EIO']),
      writtenBytes: random.below(2) * random.below(300),
      path: pick(['wal', 'segments', 'catalog', 'MANIFEST', 'objects', 'refs', '']),
    }
  }
}

/** A step in a line. */
export function inWords({ asks: _asks, ...step }: Step): string {
  const { kind, ...rest } = step
  const details = Object.entries(rest).map(([name, value]) => {
    if (name === 'batches' || name === 'last')
      return `of ${(value as unknown[][]).map(({ length }) => length).join(' + ')} rows`
    if (name === 'rows' || name === 'during') return `${name}: ${(value as unknown[]).length}`
    return `${name}: ${JSON.stringify(value)}`
  })
  return [kind, ...details].join(' ')
}
