/** The columns of one source by their own names: of metrics, and of a sub-select. */
import type { ColumnInfo, Schema } from '../../columnar/batch.ts'
import { didYouMean, didYouMeanHint } from '../../lib/did-you-mean.ts'
import type { ColumnRef, Span } from '../expression.ts'
import { formatName } from '../format.ts'
import type { Report } from '../problem.ts'
import type { SeriesColumns } from '../schema.ts'
import { columnRef, type LocalScope, listHint } from './scope.ts'

const time: ColumnInfo = { name: 'time', type: 'timestamp', nullable: false }

/** A metric's columns, or those that the metrics of a pattern have together. */
export class SeriesScope implements LocalScope {
  readonly #columns: SeriesColumns
  /** Columns that were read, beside `time` and `series`. */
  readonly used = new Set<string>()

  constructor(columns: SeriesColumns) {
    this.#columns = columns
  }

  find(parts: readonly string[]): ColumnInfo | undefined {
    const { byName } = this.#columns
    if (parts.length === 1) {
      const name = parts[0]!
      if (name === 'time') return time
      if (name === 'series' || name === 'series_id') return byName.get(name)
      return byName.get(`field.${name}`)
    }
    const name = parts.join('.')
    return parts[0] === 'tag' || parts[0] === 'field' ? byName.get(name) : byName.get(`field.${name}`)
  }

  resolve(parts: readonly string[], span: Span, report: Report): ColumnRef {
    const found = this.find(parts)
    if (found !== undefined) return this.#use(found, span)
    const [first, ...rest] = parts
    const isTag = rest.length > 0 && first === 'tag'
    if (isTag) throw this.#unknownTag(rest.join('.'), span, report)
    const name = rest.length > 0 && first === 'field' ? rest.join('.') : parts.join('.')
    const conflict = this.#columns.conflicts.get(name)
    if (conflict !== undefined) throw report('type_mismatch', conflict, span, conflictHint)
    const sole = name === 'value' && rest.length === 0 ? this.#soleNumericField(span, report) : undefined
    if (sole !== undefined) return this.#use(sole, span)
    throw this.#unknown(name, span, report)
  }

  star(span: Span, report: Report): readonly ColumnRef[] {
    const { tags, fields, byName, conflicts } = this.#columns
    for (const conflict of conflicts.values()) throw report('type_mismatch', conflict, span, conflictHint)
    return [
      this.#use(time, span),
      ...tags.map(key => this.#use(byName.get(`tag.${key}`)!, span)),
      ...fields.map(name => this.#use(byName.get(`field.${name}`)!, span)),
    ]
  }

  names(): readonly string[] {
    const { tags, fields } = this.#columns
    return ['time', 'series', 'series_id', ...fields, ...tags.map(key => `tag.${key}`)]
  }

  #use({ name, type }: ColumnInfo, span: Span): ColumnRef {
    this.used.add(name)
    return columnRef(name, type, span)
  }

  /** `value` stands for the one numeric field of a source that has no field of that name. */
  #soleNumericField(span: Span, report: Report): ColumnInfo | undefined {
    const { byName, fields, title } = this.#columns
    const infos = fields.map(name => byName.get(`field.${name}`)!)
    const numeric = infos.filter(({ type }) => type === 'float' || type === 'integer')
    if (numeric.length <= 1) return numeric[0]
    const shown = numeric.slice(0, shownFieldsMax).map(({ name }) => name.slice('field.'.length))
    const names = `${shown.join(', ')}${numeric.length > shownFieldsMax ? ', …' : ''}`
    const message = `${title} has no field "value" and several numeric ones: ${names}`
    throw report('unknown_field', message, span, 'name the field')
  }

  #unknownTag(key: string, span: Span, report: Report) {
    const { tags, title } = this.#columns
    const close = didYouMean(key, tags)
    const hint = close === undefined ? listHint('its tags are', tags) : `did you mean tag.${formatName(close)}?`
    return report('unknown_tag', `no series of ${title} has a tag "${key}"`, span, hint)
  }

  #unknown(name: string, span: Span, report: Report) {
    const { tags, fields, title } = this.#columns
    const message = `${title} has no field "${name}"`
    if (tags.includes(name)) return report('unknown_field', message, span, `did you mean tag.${formatName(name)}?`)
    const hint = didYouMeanHint(name, this.names()) ?? listHint('its fields are', fields)
    return report('unknown_field', message, span, hint)
  }
}

/** Fields that a message lists at most. */
const shownFieldsMax = 50

const conflictHint = 'choose metrics that agree, or read one of them'

/** The output columns of a sub-select, by their names there. */
export class OutputScope implements LocalScope {
  readonly #schema: Schema
  readonly #byName: ReadonlyMap<string, ColumnInfo>

  constructor(schema: Schema) {
    this.#schema = schema
    this.#byName = new Map(schema.map(column => [column.name, column]))
  }

  find(parts: readonly string[]): ColumnInfo | undefined {
    return this.#byName.get(parts.join('.'))
  }

  resolve(parts: readonly string[], span: Span, report: Report): ColumnRef {
    const found = this.find(parts)
    if (found !== undefined) return columnRef(found.name, found.type, span)
    const name = parts.join('.')
    const names = this.names()
    const hint = didYouMeanHint(name, names) ?? listHint('its columns are', names)
    throw report('unknown_field', `the sub-select has no column "${name}"`, span, hint)
  }

  star(span: Span): readonly ColumnRef[] {
    return this.#schema.map(({ name, type }) => columnRef(name, type, span))
  }

  names(): readonly string[] {
    return this.#schema.map(column => column.name)
  }
}
