/** Equalities between the two sides of a join become its keys, so that only partitions that match are looked into. */
import type { Expr } from '../expression.ts'
import type { JoinNode } from '../plan.ts'
import { conjuncts, joined } from '../rewrite.ts'
import { hasColumn, settledBySequence } from './columns.ts'
import { bottomUp, type Rule } from './rule.ts'

/** Only columns that are the same throughout a partition: any other would change which row is the newest. */
export const joinKeys: Rule = {
  name: 'join-keys',
  apply: plan =>
    bottomUp(plan, node => {
      if (node.kind !== 'filter' || node.input.kind !== 'join') return node
      const join = node.input
      const keyOf = keyFinder(join)
      const parts = conjuncts(node.predicate)
      const found = parts.map(keyOf)
      const keys = found.filter(key => key !== undefined)
      if (keys.length === 0) return node
      const input: JoinNode = { ...join, keys: [...join.keys, ...keys] }
      const rest = parts.filter((_, index) => found[index] === undefined)
      const predicate = joined('and', rest)
      return predicate === undefined ? input : { ...node, input, predicate }
    }),
}

type Key = JoinNode['keys'][number]

function keyFinder({ left, right, leftSequence, rightSequence }: JoinNode): (part: Expr) => Key | undefined {
  const ofLeft = settledBySequence(leftSequence, left)
  const ofRight = settledBySequence(rightSequence, right)
  const isLeft = (expr: Expr) => expr.kind === 'column' && hasColumn(left, expr.name) && ofLeft(expr.name)
  const isRight = (expr: Expr) => expr.kind === 'column' && hasColumn(right, expr.name) && ofRight(expr.name)
  return part => {
    if (part.kind !== 'call' || part.name !== 'eq') return undefined
    const [a, b] = [part.args[0]!, part.args[1]!]
    if (a.type !== b.type) return undefined
    if (isLeft(a) && isRight(b)) return { left: a, right: b }
    return isLeft(b) && isRight(a) ? { left: b, right: a } : undefined
  }
}
