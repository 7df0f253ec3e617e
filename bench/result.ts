/** What a bench gives: named figures, beside those of peers or of a baseline; as a table for people, as JSON for `compare.ts`. */
import { readFileSync, writeFileSync } from 'node:fs'

/** What a figure is to reach: an absolute, or, where machines differ, how many times the best peer of the same run. */
export type Aim = { readonly atLeast: number } | { readonly atMost: number } | { readonly timesBest: number }

export interface Result {
  readonly name: string
  readonly unit: string
  readonly ours: number
  /** Of engines that were measured in the same run, or of ours under another condition. */
  readonly peers: Readonly<Record<string, number>>
  /** Without it there is no ratio. */
  readonly better?: 'more' | 'less'
  /** Above 1 where ours is better than the best peer, whatever the unit; absent: no peer, or too little to be judged. */
  readonly ratio_to_best?: number
  readonly aim?: Aim
}

export interface Run {
  readonly machine: string
  readonly versions: readonly string[]
  readonly options: Readonly<Record<string, unknown>>
  readonly results: readonly Result[]
}

export interface Comparison {
  readonly better: 'more' | 'less'
  /** The name of ours among the figures. */
  readonly ours: string
  /** Names that are ours too, in another form: shown, not compared with. */
  readonly alsoOurs?: readonly string[]
  /** Where ours and the best peer are below, the row is reported, not judged. */
  readonly judgedFrom?: number
  readonly aim?: Aim | undefined
}

/** Figures by engine as a result; undefined: ours has none. */
export function compared(
  name: string,
  unit: string,
  figures: ReadonlyMap<string, number>,
  { better, ours, alsoOurs = [], judgedFrom = 0, aim }: Comparison,
): Result | undefined {
  const own = figures.get(ours)
  if (own === undefined) return undefined
  const others = [...figures].filter(([engine]) => engine !== ours)
  const theirs = others.filter(([engine]) => !alsoOurs.includes(engine)).map(([, value]) => value)
  const best = better === 'more' ? Math.max(...theirs) : Math.min(...theirs)
  const isJudged = theirs.length > 0 && (own >= judgedFrom || best >= judgedFrom)
  return {
    name,
    unit,
    better,
    ours: own,
    peers: Object.fromEntries(others),
    ...(isJudged ? { ratio_to_best: better === 'more' ? own / best : best / own } : {}),
    ...(aim === undefined ? {} : { aim }),
  }
}

/** undefined: it has no aim, or nothing to be judged by. */
function isMet({ ours, ratio_to_best, aim }: Result): boolean | undefined {
  if (aim === undefined) return undefined
  if ('atLeast' in aim) return ours >= aim.atLeast
  if ('atMost' in aim) return ours <= aim.atMost
  return ratio_to_best === undefined ? undefined : ratio_to_best >= aim.timesBest
}

const aimText = (aim: Aim): string =>
  'atLeast' in aim ? `≥ ${aim.atLeast}` : 'atMost' in aim ? `≤ ${aim.atMost}` : `≥ ${shown(aim.timesBest)} ×`

const nameOf = ({ name, unit }: Result): string => `${name}${unit === '' ? '' : `, ${unit}`}`

export const shown = (value: number | undefined): string =>
  value === undefined ? '–' : value >= 100 ? value.toFixed(0) : value.toPrecision(3)

export function print(results: readonly Result[]): void {
  const peers = [...new Set(results.flatMap(result => Object.keys(result.peers)))]
  const hasRatio = results.some(({ ratio_to_best }) => ratio_to_best !== undefined)
  const hasAim = results.some(({ aim }) => aim !== undefined)
  const head = ['', 'ours', ...peers, ...(hasRatio ? ['times the best'] : []), ...(hasAim ? ['aim'] : [])]
  const rows = results.map(result => [
    nameOf(result),
    shown(result.ours),
    ...peers.map(peer => shown(result.peers[peer])),
    ...(hasRatio ? [shown(result.ratio_to_best)] : []),
    ...(hasAim ? [aimCell(result)] : []),
  ])
  process.stdout.write(`| ${head.join(' | ')} |\n|${head.map(() => '---').join('|')}|\n`)
  for (const row of rows) process.stdout.write(`| ${row.join(' | ')} |\n`)
  process.stdout.write('\n')
}

function aimCell(result: Result): string {
  if (result.aim === undefined) return ''
  return `${aimText(result.aim)}${isMet(result) === false ? ' **short**' : ''}`
}

export const writeRun = (path: string, run: Run): void => writeFileSync(path, `${JSON.stringify(run, undefined, 2)}\n`)
export const readRun = (path: string): Run => JSON.parse(readFileSync(path, 'utf8')) as Run
