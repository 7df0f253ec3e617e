/** The widths that rollups may have, as settings write them. */
export type RollupWidth = '1s' | '10s' | '1m' | '5m' | '15m' | '30m' | '1h' | '6h' | '1d'

export const rollupWidthNames = [
  '1s',
  '10s',
  '1m',
  '5m',
  '15m',
  '30m',
  '1h',
  '6h',
  '1d',
] as const satisfies readonly RollupWidth[]
