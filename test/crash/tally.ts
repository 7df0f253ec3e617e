/** What happened in simulations, by kind, so that it can be seen whether they reached everything. */
export type Tally = Map<string, number>

export function count(tally: Tally, what: string, times = 1): void {
  tally.set(what, (tally.get(what) ?? 0) + times)
}

/** A line each, in order. */
export const tallyText = (tally: Tally): string =>
  [...tally]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([what, times]) => `${String(times).padStart(9)}  ${what}`)
    .join('\n')
