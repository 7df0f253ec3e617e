/**
 * Walking and rewriting typed expressions.
 *
 * Invariant: a rewrite that changes nothing returns the very node it was given, so that `===` tells whether it did.
 */
import type { Call, Case, ColumnRef, Expr } from './expression.ts'

/** Rewrites children first, then the node itself. */
export function rewrite(expr: Expr, change: (expr: Expr) => Expr): Expr {
  return change(mapChildren(expr, child => rewrite(child, change)))
}

/** The node with its direct children replaced. */
export function mapChildren(expr: Expr, change: (expr: Expr) => Expr): Expr {
  switch (expr.kind) {
    case 'call': {
      const args = mapSame(expr.args, change)
      return args === expr.args ? expr : { ...expr, args }
    }
    case 'case': {
      const branches = mapSame(expr.branches, branch => {
        const when = change(branch.when)
        const result = change(branch.then)
        // biome-ignore lint/suspicious/noThenProperty: the language's own word
        return when === branch.when && result === branch.then ? branch : { when, then: result }
      })
      const otherwise = expr.otherwise === undefined ? undefined : change(expr.otherwise)
      return branches === expr.branches && otherwise === expr.otherwise ? expr : { ...expr, branches, otherwise }
    }
    default:
      return expr
  }
}

/** `array.map`, but the same array when no element changed. */
export function mapSame<T>(array: readonly T[], change: (element: T) => T): readonly T[] {
  let changed: T[] | undefined
  for (let i = 0; i < array.length; i++) {
    const before = array[i]!
    const after = change(before)
    if (after === before) continue
    changed ??= array.slice()
    changed[i] = after
  }
  return changed ?? array
}

/** Calls `visit` on the node and all below it, parents first. */
export function walk(expr: Expr, visit: (expr: Expr) => void): void {
  visit(expr)
  if (expr.kind === 'call') {
    for (const arg of expr.args) walk(arg, visit)
  } else if (expr.kind === 'case') {
    for (const branch of expr.branches) {
      walk(branch.when, visit)
      walk(branch.then, visit)
    }
    if (expr.otherwise !== undefined) walk(expr.otherwise, visit)
  }
}

export function someNode(expr: Expr, test: (expr: Expr) => boolean): boolean {
  if (test(expr)) return true
  if (expr.kind === 'call') return expr.args.some(arg => someNode(arg, test))
  if (expr.kind !== 'case') return false
  if (expr.otherwise !== undefined && someNode(expr.otherwise, test)) return true
  return expr.branches.some(branch => someNode(branch.when, test) || someNode(branch.then, test))
}

/** Adds the names of the columns that the expression reads. */
export function collectColumns(expr: Expr, into: Set<string>): void {
  walk(expr, node => {
    if (node.kind === 'column') into.add(node.name)
  })
}

/** Replaces column references. */
export const substituteColumns = (expr: Expr, replace: (column: ColumnRef) => Expr): Expr =>
  rewrite(expr, node => (node.kind === 'column' ? replace(node) : node))

/** Equal but for spans. */
export function sameExpr(a: Expr, b: Expr): boolean {
  if (a === b) return true
  if (a.kind !== b.kind || a.type !== b.type) return false
  switch (a.kind) {
    case 'literal':
      return Object.is(a.value, (b as typeof a).value)
    case 'column':
      return a.name === (b as typeof a).name
    case 'parameter':
      return a.index === (b as typeof a).index
    case 'now':
      return true
    case 'call':
      return a.name === (b as Call).name && sameList(a.args, (b as Call).args)
    case 'case': {
      const other = b as Case
      if (a.branches.length !== other.branches.length) return false
      if ((a.otherwise === undefined) !== (other.otherwise === undefined)) return false
      if (a.otherwise !== undefined && !sameExpr(a.otherwise, other.otherwise!)) return false
      return a.branches.every((branch, i) => {
        const { when, then } = other.branches[i]!
        return sameExpr(branch.when, when) && sameExpr(branch.then, then)
      })
    }
  }
}

const sameList = (a: readonly Expr[], b: readonly Expr[]): boolean =>
  a.length === b.length && a.every((expr, i) => sameExpr(expr, b[i]!))

/** The parts of a chain of `and`. */
export function conjuncts(expr: Expr): Expr[] {
  const found: Expr[] = []
  const collect = (part: Expr): void => {
    if (part.kind === 'call' && part.name === 'and') part.args.forEach(collect)
    else found.push(part)
  }
  collect(expr)
  return found
}

/**
 * Joins with `and` or `or` as a balanced tree, so that a chain of thousands stays shallow; undefined for none.
 * Both are associative in three-valued logic.
 */
export function joined(name: 'and' | 'or', parts: readonly Expr[]): Expr | undefined {
  if (parts.length === 0) return undefined
  if (parts.length === 1) return parts[0]!
  const middle = parts.length >> 1
  const left = joined(name, parts.slice(0, middle))!
  const right = joined(name, parts.slice(middle))!
  const span = { start: Math.min(left.span.start, right.span.start), end: Math.max(left.span.end, right.span.end) }
  return { kind: 'call', type: 'boolean', name, args: [left, right], span }
}
