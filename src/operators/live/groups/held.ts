/**
 * Operators over groups that look from row to row — fill, order, limits, row functions, groups of groups: all groups' rows are
 * held in the order of the aggregate, and the operators run over them when some have changed.
 *
 *   changed groups  ->  rows of all groups  ->  operators  ->  result  -  result before  =  delta
 */
import { compareScalars } from '../../../columnar/value.ts'
import type { LogicalPlan } from '../../../sydraql/plan.ts'
import { difference, rowKeyOf, tooManyRows } from '../difference.ts'
import type { LiveParts } from '../parts.ts'
import { bytesOfRows, tooMuchKept } from '../row-bytes.ts'
import { rowsAt } from '../run-at.ts'
import { sameButRanges } from '../same-plan.ts'
import { type LiveDelta, type LiveRow, type Moment, noChange, type Step } from '../types.ts'
import type { GroupChanges } from './cell.ts'
import type { GroupInput } from './input.ts'
import type { GroupKeeper } from './keeper.ts'
import { type GroupShape, placedOver } from './shape.ts'

interface Held {
  /** Of the aggregate, in its order. */
  readonly groups: readonly LiveRow[]
  readonly result: readonly LiveRow[]
}

export class HeldGroups {
  byteLength = 0
  readonly #parts: LiveParts
  readonly #keeper: GroupKeeper
  readonly #shapeAt: (nowUs: number) => GroupShape
  #held: Held | undefined

  constructor(parts: LiveParts, keeper: GroupKeeper, shapeAt: (nowUs: number) => GroupShape) {
    this.#parts = parts
    this.#keeper = keeper
    this.#shapeAt = shapeAt
  }

  async step(step: Step): Promise<LiveDelta> {
    const { before, after } = step
    const held = this.#held !== undefined && this.#keeper.isAt(before) ? this.#held : await this.#begin(before)
    this.#held = undefined
    const { input, above } = this.#shapeAt(after.nowUs)
    const changes = await this.#keeper.step(step)
    if (changes.length === 0 && isSame(above, this.#shapeAt(before.nowUs).above)) {
      this.#held = held
      return noChange
    }
    const groups = changes.length === 0 ? held.groups : merged(held.groups, changes, input)
    const result = await this.#run(groups, after)
    this.#hold({ groups, result })
    return difference(held.result, result, this.#parts.columns)
  }

  forget(): void {
    this.#held = undefined
    this.byteLength = 0
  }

  async #begin(at: Moment): Promise<Held> {
    const groups = await rowsAt(this.#shapeAt(at.nowUs).input.aggregate, at, this.#parts.context)
    return { groups, result: await this.#run(groups, at) }
  }

  #run(rows: readonly LiveRow[], at: Moment): Promise<LiveRow[]> {
    const { input, above } = this.#shapeAt(at.nowUs)
    return rowsAt(placedOver(above, { kind: 'values', rows, schema: input.aggregate.schema }), at, this.#parts.context)
  }

  #hold(held: Held): void {
    const { rowsMax, bytesMax } = this.#parts.context
    if (held.groups.length > rowsMax) throw tooManyRows(rowsMax)
    this.byteLength = bytesOfRows(held.groups) + bytesOfRows(held.result)
    if (this.byteLength + this.#keeper.byteLength > bytesMax) throw tooMuchKept(bytesMax)
    this.#held = held
  }
}

/** Operators that `now()` has not changed. */
const isSame = (a: readonly LogicalPlan[], b: readonly LogicalPlan[]): boolean =>
  a === b || a.every((node, i) => sameButRanges(withoutInput(node), withoutInput(b[i]!)))

const nothing: LogicalPlan = { kind: 'values', rows: [], schema: [] }
const withoutInput = (node: LogicalPlan): LogicalPlan => ('input' in node ? { ...node, input: nothing } : node)

/** The groups after the changes, in the order of the aggregate: by bucket, then by the keys, nulls last. */
function merged(groups: readonly LiveRow[], changes: GroupChanges, { aggregate }: GroupInput): LiveRow[] {
  const keys = [...aggregate.keys.keys()]
  const keyOf = rowKeyOf(keys)
  const concerned = new Set(changes.before.filter(row => row !== undefined).map(keyOf))
  const order = keys.toSorted(
    (a, b) => Number(aggregate.keys[a]!.bucket === undefined) - Number(aggregate.keys[b]!.bucket === undefined),
  )
  const compare = (a: LiveRow, b: LiveRow): number => {
    for (const key of order) {
      const [one, other] = [a[key]!, b[key]!]
      const sign =
        one === null || other === null ? Number(one === null) - Number(other === null) : compareScalars(one, other)
      if (sign !== 0) return sign
    }
    return 0
  }
  const came = changes.after.filter(row => row !== undefined)
  came.sort(compare)
  const out: LiveRow[] = []
  let next = 0
  for (const row of groups) {
    if (concerned.has(keyOf(row))) continue
    while (next < came.length && compare(came[next]!, row) < 0) out.push(came[next++]!)
    out.push(row)
  }
  while (next < came.length) out.push(came[next++]!)
  return out
}
