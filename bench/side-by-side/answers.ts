/** Whether two engines have answered the same: in any order, but for the rounding of sums. */
import type { Cell, Rows, Sums } from './engine.ts'

/** Engines add up in different orders, and one keeps 15 digits. */
const tolerance = 1e-9

const isSums = (answer: Rows | Sums): answer is Sums => !Array.isArray(answer)
const isClose = (a: Cell, b: Cell): boolean =>
  a === b ||
  (typeof a === 'number' &&
    typeof b === 'number' &&
    Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(a), Math.abs(b)))

/** undefined: they are the same. */
export function compareAnswers(wanted: Rows | Sums, found: Rows | Sums): string | undefined {
  if (isSums(wanted) || isSums(found)) {
    if (!isSums(wanted) || !isSums(found)) return 'one is an export, one is not'
    const isSame = wanted.rows === found.rows && wanted.sums.every((sum, column) => isClose(sum, found.sums[column]!))
    return isSame ? undefined : `${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`
  }
  if (wanted.length !== found.length) return `${found.length} rows instead of ${wanted.length}`
  const [a, b] = [inOrder(wanted), inOrder(found)]
  const place = a.findIndex(
    (row, i) => row.length !== b[i]!.length || !row.every((cell, column) => isClose(cell, b[i]![column]!)),
  )
  return place < 0 ? undefined : `[${b[place]!.join(', ')}] instead of [${a[place]!.join(', ')}]`
}

/** By the first columns: times and texts, which are exact. */
const inOrder = (rows: Rows): Rows =>
  rows.toSorted((a, b) => {
    for (const [column, cell] of a.entries()) {
      const other = b[column]!
      if (cell !== other) return (cell ?? '') < (other ?? '') ? -1 : 1
    }
    return 0
  })
