/**
 * Names to columns: what a name means over sources, over a catalog listing, or without any source.
 *
 * A source knows its columns by their own names (`LocalScope`); `FromScope` adds what stands before a dot: an alias, or the
 * metric's own name. In a join it stands in the column's name too: `a.time`, `b.field.usage`.
 */
import type { ColumnInfo, Schema, ValueType } from '../../columnar/batch.ts'
import { didYouMeanHint } from '../../lib/did-you-mean.ts'
import type { NameSyntax } from '../ast.ts'
import type { ColumnRef, Expr, Span } from '../expression.ts'
import type { Sequence } from '../plan.ts'
import type { Report } from '../problem.ts'
import { failed } from './surroundings.ts'

export interface StarColumn {
  /** In the result. */
  readonly name: string
  readonly column: ColumnRef
}

export interface Scope {
  /** Throws `unknown_field`, `unknown_tag`. */
  resolve(name: NameSyntax, report: Report): Expr
  /** The columns of `*`; undefined where there is none. */
  star(span: Span, report: Report): readonly StarColumn[] | undefined
  /** How a result calls the column that the name resolved to. */
  title(name: NameSyntax, column: ColumnRef): string
}

/** One source's columns, by names without a qualifier. */
export interface LocalScope {
  /** The column with exactly this name. */
  find(parts: readonly string[]): ColumnInfo | undefined
  /** As `find`, with sugar. Throws `unknown_field`, `unknown_tag`, `type_mismatch`. */
  resolve(parts: readonly string[], span: Span, report: Report): ColumnRef
  star(span: Span, report: Report): readonly ColumnRef[]
  /** What may be written, for hints. */
  names(): readonly string[]
}

/** A source of a `from` clause. */
export interface Side {
  /** What stands before its columns: an alias, or the words of its metric's name. Empty: nothing may. */
  readonly qualifier: readonly string[]
  readonly scope: LocalScope
  readonly sequence: Sequence
}

export const columnRef = (name: string, type: ValueType, span: Span): ColumnRef => ({
  kind: 'column',
  type,
  name,
  span,
})

/** How a column is called in a result: fields by their bare name. */
export const resultName = (column: string): string => (column.startsWith('field.') ? column.slice(6) : column)

export const joinedName = (qualifier: readonly string[], column: string): string => `${qualifier.join('.')}.${column}`

const written = (name: NameSyntax): string => name.parts.join('.')

/** The columns of one source, or of several that are joined. */
export class FromScope implements Scope {
  readonly #sides: readonly Side[]
  readonly #isJoin: boolean
  /** Columns read of each side, by their own names. */
  readonly #used: readonly Set<string>[]

  constructor(sides: readonly Side[]) {
    this.#sides = sides
    this.#isJoin = sides.length > 1
    this.#used = sides.map(
      ({ sequence: { time, partition } }) => new Set(time === undefined ? partition : [time, ...partition]),
    )
  }

  /** Columns that were read of the side. */
  used(side: number): ReadonlySet<string> {
    return this.#used[side]!
  }

  resolve({ parts, span }: NameSyntax, report: Report): ColumnRef {
    const named = this.#qualified(parts)
    const isTime = named === undefined && parts.length === 1 && parts[0] === 'time'
    if (isTime) {
      const time = this.#time()
      if (time !== undefined) return this.#ref(0, time, span)
    }
    const side = named ?? (this.#isJoin ? this.#bare(parts, span, report) : 0)
    const { qualifier, scope } = this.#sides[side]!
    const local = named === undefined ? parts : parts.slice(qualifier.length)
    return this.#ref(side, scope.resolve(local, span, report), span)
  }

  star(span: Span, report: Report): readonly StarColumn[] {
    return this.#sides.flatMap(({ qualifier, scope }, side) =>
      scope.star(span, report).map(column => {
        const name = resultName(column.name)
        return { name: this.#isJoin ? joinedName(qualifier, name) : name, column: this.#ref(side, column, span) }
      }),
    )
  }

  title({ parts }: NameSyntax, column: ColumnRef): string {
    const side = this.#qualified(parts)
    const { qualifier } = this.#sides[side ?? 0]!
    const own = this.#isJoin ? this.#ownName(column.name) : column.name
    const isTime = side === undefined && parts.length === 1 && parts[0] === 'time'
    // A field reached as `value`, a sub-select's bucket reached as `time`: called as they are written.
    const name = isTime ? 'time' : own.startsWith('field.') ? (parts.at(-1) ?? own) : own
    return this.#isJoin && side !== undefined ? joinedName(qualifier, name) : name
  }

  /** The side whose qualifier the name begins with; the longest, where one begins with another. */
  #qualified(parts: readonly string[]): number | undefined {
    let found: number | undefined
    let length = 0
    for (let side = 0; side < this.#sides.length; side++) {
      const { qualifier } = this.#sides[side]!
      if (qualifier.length <= length || parts.length <= qualifier.length) continue
      if (!qualifier.every((part, index) => part === parts[index])) continue
      found = side
      length = qualifier.length
    }
    return found
  }

  /** Bare `time`: when a row of the first source is. */
  #time(): ColumnInfo | undefined {
    const { scope, sequence } = this.#sides[0]!
    if (!this.#isJoin) {
      const own = scope.find(['time'])
      if (own !== undefined) return own
    }
    return sequence.time === undefined ? undefined : { name: sequence.time, type: 'timestamp', nullable: false }
  }

  #bare(parts: readonly string[], span: Span, report: Report): number {
    const sides = this.#sides.flatMap(({ scope }, side) => (scope.find(parts) === undefined ? [] : [side]))
    if (sides.length === 1) return sides[0]!
    const name = parts.join('.')
    if (sides.length > 1) {
      const ways = sides.slice(0, listedMax).map(side => joinedName(this.#sides[side]!.qualifier, name))
      throw report('unknown_field', `${name} is ambiguous: ${ways.join(' or ')}`, span)
    }
    const qualifiers = this.#sides.map(side => side.qualifier.join('.'))
    const names = this.#sides.flatMap(({ scope, qualifier }) => scope.names().map(each => joinedName(qualifier, each)))
    const bare = this.#sides.flatMap(({ scope }) => scope.names())
    const hint = didYouMeanHint(name, names) ?? didYouMeanHint(name, bare) ?? listHint('columns begin with', qualifiers)
    throw report('unknown_field', `none of the joined sources has a column "${name}"`, span, hint)
  }

  #ref(side: number, column: { readonly name: string; readonly type: ValueType }, span: Span): ColumnRef {
    if (!this.#isJoin) return columnRef(column.name, column.type, span)
    this.#used[side]!.add(column.name)
    return columnRef(joinedName(this.#sides[side]!.qualifier, column.name), column.type, span)
  }

  #ownName(name: string): string {
    let own = name
    for (const { qualifier } of this.#sides) {
      const prefix = `${qualifier.join('.')}.`
      if (name.startsWith(prefix) && name.length - prefix.length < own.length) own = name.slice(prefix.length)
    }
    return own
  }
}

/** Names in a hint at most. */
const listedMax = 20

export function listHint(lead: string, names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined
  const more = names.length > listedMax ? ', …' : ''
  return `${lead} ${names.slice(0, listedMax).join(', ')}${more}`
}

/** Columns of a listing, by their names. */
export class ListingScope implements Scope {
  readonly #columns: Schema
  readonly #what: string
  constructor(columns: Schema, what: string) {
    this.#columns = columns
    this.#what = what
  }
  resolve(name: NameSyntax, report: Report): ColumnRef {
    const text = written(name)
    const found: ColumnInfo | undefined = this.#columns.find(column => column.name === text)
    if (found !== undefined) return columnRef(found.name, found.type, name.span)
    const names = this.#columns.map(column => column.name)
    const hint = didYouMeanHint(text, names) ?? listHint('its columns are', names)
    throw report('unknown_field', `${this.#what} has no column "${text}"`, name.span, hint)
  }
  star(): undefined {
    return undefined
  }
  title(name: NameSyntax): string {
    return written(name)
  }
}

/** `select 1`: there is nothing to name. */
export const emptyScope: Scope = {
  resolve(name, report) {
    throw report('unknown_field', `there is no "${written(name)}" without a from clause`, name.span)
  },
  star: () => undefined,
  title: written,
}

/** Of a source in error: nothing more is said about its columns. */
export const failedScope: Scope = { resolve: () => failed, star: () => [], title: written }
