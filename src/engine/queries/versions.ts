/**
 * The versions that one query reads: the present, and that of each snapshot it names with `as of`.
 *
 * Invariants:
 * 1. All are pinned before the first row is read and released together.
 * 2. A name is looked up when the query runs, not when it is prepared: it means what it names then.
 */
import { SydraError } from '../../lib/errors.ts'
import type { Version } from '../../storage/types.ts'
import type { AsOf } from '../../sydraql/ast.ts'
import type { LogicalPlan } from '../../sydraql/plan.ts'
import { problem } from '../../sydraql/problem.ts'
import { inputsOf } from '../../sydraql/rules/rule.ts'

export interface QueryVersions {
  readonly version: Version
  readonly versionAt: ((ref: string) => Version) | undefined
  release(): void
}

export interface VersionSource {
  pin(): Version
  /** Throws `not_found`, `corrupt_object`. */
  pinPast(ref: string): Version
}

/** Throws at the place in the text for a snapshot that is not there. */
export function pinVersions(plan: LogicalPlan, text: string, source: VersionSource): QueryVersions {
  const named: AsOf[] = []
  collect(plan, named)
  const past = new Map<string, Version>()
  const version = source.pin()
  const release = (): void => {
    version.release()
    for (const each of past.values()) each.release()
  }
  try {
    for (const { ref, span } of named) {
      if (past.has(ref)) continue
      try {
        past.set(ref, source.pinPast(ref))
      } catch (error) {
        if (!(error instanceof SydraError)) throw error
        throw problem(error.code, error.message, text, span, error.hint)
      }
    }
  } catch (error) {
    release()
    throw error
  }
  return { version, versionAt: named.length === 0 ? undefined : ref => past.get(ref)!, release }
}

function collect(plan: LogicalPlan, into: AsOf[]): void {
  if (plan.kind === 'scan' && plan.asOf !== undefined) into.push(plan.asOf)
  for (const input of inputsOf(plan)) collect(input, into)
}
