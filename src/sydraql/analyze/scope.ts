/** Names to columns: what a name means over a metric, over a catalog listing, or without any source. */
import type { ColumnInfo, Schema, ValueType } from '../../columnar/batch.ts'
import { didYouMean, didYouMeanHint } from '../../lib/did-you-mean.ts'
import type { FieldInfo, MetricInfo } from '../../storage/types.ts'
import type { NameSyntax } from '../ast.ts'
import type { ColumnRef, Span } from '../expression.ts'
import type { Report } from '../problem.ts'
import { type QuerySchema, sortedFields } from '../schema.ts'

export interface Scope {
  /** Throws `unknown_field`, `unknown_tag`. */
  resolve(name: NameSyntax, report: Report): ColumnRef
  /** The columns of `*`, each with its name in the result; undefined where there is none. */
  star(span: Span): readonly ColumnRef[] | undefined
}

export const columnRef = (name: string, type: ValueType, span: Span): ColumnRef => ({
  kind: 'column',
  type,
  name,
  span,
})

/** How a column is called in a result: fields by their bare name. */
export const resultName = (column: string): string => (column.startsWith('field.') ? column.slice(6) : column)

const written = (name: NameSyntax): string => name.parts.join('.')

export class MetricScope implements Scope {
  readonly #metric: MetricInfo
  readonly #tags: readonly string[]
  /** The alias, or the metric's own name: may stand before a column. */
  readonly #qualifier: readonly string[]

  constructor(metric: MetricInfo, schema: QuerySchema, alias: string | undefined) {
    this.#metric = metric
    this.#tags = schema.tagKeys(metric.id)
    this.#qualifier = alias === undefined ? metric.name.split('.') : [alias]
  }

  resolve(name: NameSyntax, report: Report): ColumnRef {
    const { parts } = name
    const isQualified =
      parts.length > this.#qualifier.length && this.#qualifier.every((part, index) => part === parts[index])
    const local = isQualified ? parts.slice(this.#qualifier.length) : parts
    const [first, ...rest] = local
    const { span } = name
    if (rest.length > 0 && first === 'tag') return this.#tag(rest.join('.'), span, report)
    if (rest.length > 0 && first === 'field') return this.#field(rest.join('.'), span, report)
    const text = local.join('.')
    if (text === 'time') return columnRef('time', 'timestamp', span)
    if (text === 'series' || text === 'series_id') return columnRef(text, 'string', span)
    const field = this.#find(text) ?? (text === 'value' ? this.#soleNumericField(span, report) : undefined)
    if (field !== undefined) return fieldRef(field, span)
    throw this.#unknown(text, span, report)
  }

  star(span: Span): readonly ColumnRef[] {
    return [
      columnRef('time', 'timestamp', span),
      ...this.#tags.map(key => columnRef(`tag.${key}`, 'string', span)),
      ...sortedFields(this.#metric).map(field => fieldRef(field, span)),
    ]
  }

  #find(name: string): FieldInfo | undefined {
    return this.#metric.fields.find(field => field.name === name)
  }

  /** `value` stands for the one numeric field of a metric that has no field of that name. */
  #soleNumericField(span: Span, report: Report): FieldInfo | undefined {
    const numeric = this.#metric.fields.filter(field => field.type === 'float' || field.type === 'integer')
    if (numeric.length <= 1) return numeric[0]
    const names = numeric.map(field => field.name).join(', ')
    const message = `${this.#metric.name} has no field "value" and several numeric ones: ${names}`
    throw report('unknown_field', message, span, 'name the field')
  }

  #tag(key: string, span: Span, report: Report): ColumnRef {
    if (this.#tags.includes(key)) return columnRef(`tag.${key}`, 'string', span)
    const close = didYouMean(key, this.#tags)
    const hint = close === undefined ? listHint('its tags are', this.#tags) : `did you mean tag.${quoted(close)}?`
    throw report('unknown_tag', `no series of ${this.#metric.name} has a tag "${key}"`, span, hint)
  }

  #field(name: string, span: Span, report: Report): ColumnRef {
    const field = this.#find(name)
    if (field !== undefined) return fieldRef(field, span)
    throw this.#unknown(name, span, report)
  }

  #unknown(name: string, span: Span, report: Report) {
    const message = `${this.#metric.name} has no field "${name}"`
    if (this.#tags.includes(name)) return report('unknown_field', message, span, `did you mean tag.${quoted(name)}?`)
    const fields = this.#metric.fields.map(field => field.name)
    const hint =
      didYouMeanHint(name, ['time', 'series', 'series_id', ...fields, ...this.#tags.map(key => `tag.${key}`)]) ??
      listHint('its fields are', fields)
    return report('unknown_field', message, span, hint)
  }
}

const fieldRef = (field: FieldInfo, span: Span): ColumnRef => columnRef(`field.${field.name}`, field.type, span)

const quoted = (key: string): string => (/^[A-Za-z_]\w*$/.test(key) ? key : `"${key.replaceAll('"', '""')}"`)

/** Names in a hint at most. */
const listedMax = 20

function listHint(lead: string, names: readonly string[]): string | undefined {
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
}

/** `select 1`: there is nothing to name. */
export const emptyScope: Scope = {
  resolve(name, report) {
    throw report('unknown_field', `there is no "${written(name)}" without a from clause`, name.span)
  },
  star: () => undefined,
}
