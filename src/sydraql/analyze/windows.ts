/**
 * Row functions: takes their calls out of expressions, as columns that the window adds to the rows it runs on.
 *
 *   difference(v) / 2 + 1  ->  windows [difference(v)], expression column("difference(v)") / 2 + 1
 *
 * Invariant: calls that are equal but for spans are computed once.
 */
import type { ColumnInfo, Schema, ValueType } from '../../columnar/batch.ts'
import type { Call, Expr } from '../expression.ts'
import { formatExpr } from '../format.ts'
import type { Sequence, WindowCall } from '../plan.ts'
import { keep, type Report } from '../problem.ts'
import { mapChildren, sameExpr } from '../rewrite.ts'
import { isWindow, needsTime } from './expressions.ts'
import { append, UniqueNames } from './grouping.ts'
import { columnRef } from './scope.ts'
import { failed } from './surroundings.ts'

/** Those that only go from row to row: without a time, in the order in which rows come. */
const rowOrdered = new Set(['lag', 'lead', 'difference', 'cumulative_sum', 'row_number', 'fill_forward'])

interface Named {
  readonly call: Call
  readonly name: string
}

export class WindowBuilder {
  readonly #report: Report
  readonly #sequence: Sequence
  readonly #isGrouped: boolean
  readonly #found: Named[] = []
  /** By printed text, under which calls that print alike may lie together. */
  readonly #byText = new Map<string, Named[]>()
  readonly #names: UniqueNames

  /** `sequence`: of the rows that the window runs on; `taken`: names of their columns that a call could be called by. */
  constructor(report: Report, sequence: Sequence, isGrouped: boolean, taken: Iterable<string>) {
    this.#report = report
    this.#sequence = sequence
    this.#isGrouped = isGrouped
    this.#names = new UniqueNames(taken)
  }

  /** The expression over the rows' columns and the window's. */
  extract(expr: Expr): Expr {
    if (!isWindow(expr)) return mapChildren(expr, child => this.extract(child))
    const text = formatExpr(expr)
    let found = this.#byText.get(text)?.find(known => sameExpr(known.call, expr))
    if (found === undefined) {
      if (this.#lacksTime(expr.name)) {
        keep(this.#report, this.#timeless(expr))
        return failed
      }
      found = { call: expr, name: this.#names.add(text) }
      this.#found.push(found)
      append(this.#byText, text, found)
    }
    return columnRef(found.name, expr.type as ValueType, expr.span)
  }

  get calls(): readonly WindowCall[] {
    return this.#found.map(({ call, name }) => ({ name, function: call.name, args: call.args }))
  }
  get columns(): Schema {
    return this.#found.map(
      ({ call, name }): ColumnInfo => ({ name, type: call.type as ValueType, nullable: call.name !== 'row_number' }),
    )
  }

  #lacksTime(name: string): boolean {
    if (this.#sequence.time !== undefined) return false
    return this.#isGrouped ? name !== 'row_number' : !rowOrdered.has(name)
  }

  #timeless({ name, span }: Call) {
    if (!this.#isGrouped) return needsTime(name, span, this.#report)
    const hint = 'group by time_bucket(…) over time, or write it over the rows in a sub-select'
    return this.#report('wrong_argument', `${name} over groups needs a time: they have no bucket`, span, hint)
  }
}
