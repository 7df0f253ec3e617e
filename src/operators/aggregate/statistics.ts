/**
 * Answers from piece statistics: a piece that is whole, overlaps no other and falls into one group adds its statistics to
 * that group unread.
 */
import type { ColumnInfo } from '../../columnar/batch.ts'
import type { FieldInfo, FieldStatistics, Piece } from '../../storage/types.ts'
import type { Expr } from '../../sydraql/expression.ts'
import type { OpenScan } from '../scan/scan.ts'
import type { Aggregator, Slot } from './aggregator.ts'
import { EarliestState } from './earliest.ts'
import type { PartOfSeries } from './runs.ts'
import { CountState, SummaryState } from './summary.ts'

/** A piece whose statistics stand for its rows. */
export interface KnownPiece {
  /** Its index in the scan. */
  readonly piece: number
  readonly minTimeUs: number
  /** Adds it to its group. */
  add(): void
}

export interface Answers {
  /** By time. */
  readonly known: KnownPiece[]
  /** Indexes of the pieces that must be read. */
  readonly unread: number[]
}

type Argument =
  | { readonly kind: 'rows' }
  | { readonly kind: 'time' }
  | { readonly kind: 'field'; readonly field: number }
  /** Always null, as the fields are that only other metrics of a pattern have: there is nothing to add. */
  | { readonly kind: 'null' }

/** `said`: over the scan's columns. undefined: some aggregate cannot be answered from statistics at all. */
export function answerFromStatistics(
  aggregator: Aggregator,
  scan: OpenScan,
  partOf: PartOfSeries,
  said: (expr: Expr) => Expr,
): Answers | undefined {
  const questions: Argument[] = []
  for (const slot of aggregator.slots) {
    const argument = argumentOf(slot, scan.fields, said)
    if (argument === undefined) return undefined
    questions.push(argument)
  }
  const known: KnownPiece[] = []
  const unread: number[] = []
  scan.pieces.forEach((piece, index) => {
    const answer = scan.isolated[index] === 1 ? knownPiece(aggregator, piece, index, questions, partOf) : undefined
    if (answer === undefined) unread.push(index)
    else known.push(answer)
  })
  known.sort((a, b) => a.minTimeUs - b.minTimeUs)
  return { known, unread }
}

function argumentOf(
  { kind, argument: over, secondArgument }: Slot,
  fields: readonly FieldInfo[],
  said: (expr: Expr) => Expr,
): Argument | undefined {
  if (over === undefined) return { kind: 'rows' }
  const argument = withoutWidening(said(over))
  // A row may win by its second argument, and then be null.
  if (argument.kind === 'literal' && argument.value === null && secondArgument === undefined) return { kind: 'null' }
  if (argument.kind !== 'column') return undefined
  // The sum of times is not known; no function of the language asks for it.
  if (argument.name === 'time') return kind === 'summary' ? { kind: 'time' } : undefined
  const field = fields.findIndex(info => `field.${info.name}` === argument.name)
  if (field < 0 || !isNumber(fields[field]!.type)) return undefined
  return kind === 'summary' || kind === 'first' || kind === 'last' ? { kind: 'field', field } : undefined
}

/** An integer is a float as it is. */
function withoutWidening(expr: Expr): Expr {
  if (expr.kind !== 'call' || expr.name !== 'cast_float') return expr
  const [widened] = expr.args
  return widened!.type === 'integer' ? widened! : expr
}

const isNumber = (type: ColumnInfo['type']): boolean => type === 'float' || type === 'integer'

function knownPiece(
  aggregator: Aggregator,
  piece: Piece,
  index: number,
  questions: readonly Argument[],
  partOf: PartOfSeries,
): KnownPiece | undefined {
  const { bucket, keys, slots, table } = aggregator
  const { series, minTimeUs, maxTimeUs, rows } = piece
  if (!piece.whole || (keys.length > 0 && series === undefined)) return undefined
  const startUs = bucket?.functions.floor(minTimeUs) ?? 0
  if (bucket !== undefined && bucket.functions.floor(maxTimeUs) !== startUs) return undefined
  const facts: (FieldStatistics | undefined)[] = []
  for (let s = 0; s < questions.length; s++) {
    const question = questions[s]!
    const statistics = question.kind === 'field' ? piece.statistics(question.field) : undefined
    if (question.kind === 'field' && statistics === undefined) return undefined
    // Which series the first and last value belong to decides ties: known only where there is one.
    if (slots[s]!.kind !== 'summary' && question.kind === 'field' && series === undefined) return undefined
    facts.push(statistics)
  }
  return {
    piece: index,
    minTimeUs,
    add() {
      const group = table.group(keys.length === 0 ? 0 : partOf(series!), startUs)
      aggregator.reserve()
      for (let s = 0; s < slots.length; s++) {
        const { state, kind } = slots[s]!
        const statistics = facts[s]
        if (questions[s]!.kind === 'null') continue
        if (state instanceof CountState) state.addCount(group, rows)
        else if (state instanceof SummaryState)
          state.addSummary(group, statistics ?? { count: rows, nanCount: 0, min: minTimeUs, max: maxTimeUs, sum: NaN })
        else if (state instanceof EarliestState && statistics !== undefined && statistics.count > 0) {
          const isFirst = kind === 'first'
          const timeUs = isFirst ? statistics.firstTimeUs : statistics.lastTimeUs
          state.addKnown(group, isFirst ? statistics.first : statistics.last, timeUs, series!, aggregator)
        }
      }
    },
  }
}
