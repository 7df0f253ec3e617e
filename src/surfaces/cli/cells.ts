/**
 * A column of cells as texts for eyes: six significant digits, points below each other, short times, and no control
 * characters — what somebody wrote into a tag does not steer the terminal. Other formats print every digit.
 */
export type Cell = string | number | boolean | null

/** Shows a column's cells; what they have in common decides about each. */
export function showColumn(type: string, cells: readonly Cell[]): string[] {
  if (type === 'timestamp' && cells.every(isMomentOrNull)) return showTimes(cells)
  if (type === 'float') return showFloats(cells)
  return cells.map(plain)
}

const plain = (cell: Cell): string => (cell === null ? '' : escaped(String(cell)))

/** As in JSON: `\n`, `\u001b`. */
const escaped = (text: string): string =>
  text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, character => {
    const json = JSON.stringify(character).slice(1, -1)
    return json === character ? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}` : json
  })

const isMomentOrNull = (cell: Cell): cell is string | null => cell === null || typeof cell === 'string'

/** `2024-03-01T12:30:00Z` as `2024-03-01 12:30:00Z`; where every time is midnight, dates. */
function showTimes(cells: readonly (string | null)[]): string[] {
  const areDates = cells.every(cell => cell === null || cell.endsWith('T00:00:00Z'))
  return cells.map(cell => plain(cell === null ? null : areDates ? cell.slice(0, -10) : cell.replace('T', ' ')))
}

const digits = 6
/** A column shows at most so many decimals, as many in each cell — unless it has numbers too small for that. */
const decimalsMax = 4
const alignedMin = 0.01

function showFloats(cells: readonly Cell[]): string[] {
  const texts = cells.map(cell => (typeof cell === 'number' ? shortNumber(cell) : plain(cell)))
  const isAligned = (cell: Cell, index: number): boolean =>
    typeof cell !== 'number' || cell === 0 || (Math.abs(cell) >= alignedMin && !texts[index]!.includes('e'))
  if (!cells.every(isAligned)) return texts
  const decimals = Math.max(0, ...texts.map(text => (/\.(\d+)$/.exec(text)?.[1] ?? '').length))
  return cells.map((cell, index) =>
    typeof cell === 'number' ? cell.toFixed(Math.min(decimals, decimalsMax)) : texts[index]!,
  )
}

/** Six digits, but never fewer than an integer has. */
function shortNumber(value: number): string {
  const size = Math.abs(value)
  if (size >= 10 ** (digits - 1) && size < 1e15) return String(Number(value.toFixed(1)))
  return String(Number(value.toPrecision(digits)))
}
