/** How a query would be kept if it were live, for `explain`. */
import { SydraError } from '../../lib/errors.ts'
import { formatDuration } from '../../sydraql/times.ts'
import type { LiveQuery, LiveStrategy } from './types.ts'

export interface LiveDescription {
  /** null: it cannot be live. */
  readonly strategy: LiveStrategy | null
  /** Why it runs again as a whole, or cannot be live; else null. */
  readonly obstacle: string | null
  /** How often it runs again at most; null where it does not. */
  readonly rerunMs: number | null
}

const ways: Readonly<Record<Exclude<LiveStrategy, 'rerun'>, string>> = {
  tail: 'rows that come are filtered, and nothing is kept',
  groups: 'rows that come are added to the states of their groups',
  top: 'the first rows are kept, and those that come compared with them',
  series: 'series that rows come for are continued from where they stood',
}

/** `plan`: makes the live query, or throws why it cannot. `rerunMs`: the setting. */
export function describeLive(plan: () => LiveQuery, rerunMs: number): LiveDescription {
  try {
    const { strategy, obstacle } = plan()
    const isRerun = strategy === 'rerun'
    return { strategy, obstacle: obstacle ?? null, rerunMs: isRerun ? rerunMs : null }
  } catch (error) {
    if (!(error instanceof SydraError) || error.code !== 'unsupported_feature') throw error
    return { strategy: null, obstacle: error.message, rerunMs: null }
  }
}

/** `live: tail: rows that come are filtered, and nothing is kept` */
export function liveLine({ strategy, obstacle, rerunMs }: LiveDescription): string {
  if (strategy === null) return `live: no: ${obstacle}`
  if (strategy !== 'rerun') return `live: ${strategy}: ${ways[strategy]}`
  return `live: rerun at most every ${formatDuration(rerunMs! * 1000)}: ${obstacle}`
}

export const liveJson = ({ strategy, obstacle, rerunMs }: LiveDescription) => ({
  strategy,
  obstacle,
  rerun_ms: rerunMs,
})
