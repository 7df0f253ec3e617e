/**
 * Interprets a line's shape once: what each of its slots means for every line that has the same one.
 *
 *   {"series":"cpu","ts":17,"fields":{"a":1,"b":"x"},"tags":{"host":"a"}}
 *   {"series":"cpu","ts":[0],"fields":{"a":[1],"b":[2]},"tags":[3]}
 *
 * Each slot is replaced by an array of its number, and `JSON.parse` says where it ends up: it decides duplicate keys,
 * escapes, order, nesting. A legal row has no array where it counts, so none can be mistaken for a slot.
 */
import { type LineSlot, type SlotOp, slotOps } from '../../kernels/scan.ts'
import { assert } from '../../lib/assert.ts'
import { readUtf8 } from '../../lib/text.ts'
import type { FieldInfo } from '../types.ts'
import type { LayoutColumn } from './layout.ts'
import { type Draft, specialNumbers } from './row-rules.ts'

export interface ShapeMeaning {
  /** One a slot, in line order. */
  readonly ops: readonly SlotOp[]
  readonly columns: readonly LayoutColumn[]
}

/**
 * `line` is a row that was settled as `draft`, its slots as the scanner cut them. Undefined when the line's time is
 * part of the skeleton (a string with escapes), so that a shape would be of no use, or its tags are not where they seem to be.
 */
export function interpretShape(line: Uint8Array, slots: readonly LineSlot[], draft: Draft): ShapeMeaning | undefined {
  const row = JSON.parse(withMarkers(line, slots)) as Record<string, unknown>
  const ops: SlotOp[] = slots.map(slot => defaultOps[slot.kind])
  const time = row['ts']
  if (Array.isArray(time)) ops[slotOf(time)] = slots[slotOf(time)]!.kind === 'string' ? slotOps.isoTime : slotOps.time
  else if (time !== undefined && time !== null) return undefined
  const tags = row['tags']
  const tagsSlot = slots.findIndex(({ kind }) => kind === 'tags')
  if (tagsSlot >= 0 && !(Array.isArray(tags) && slotOf(tags) === tagsSlot)) return undefined

  const fields = new Map<string, FieldInfo>(draft.fields.map(field => [field.name, field]))
  const present: { field: FieldInfo; content: unknown }[] = []
  const add = (name: string, content: unknown): void => {
    if (content === undefined || content === null) return
    const field = fields.get(name)
    assert(field !== undefined, 'the template has the fields of the row')
    present.push({ field, content })
    if (Array.isArray(content)) ops[slotOf(content)] = fieldOp(field, slots[slotOf(content)]!)
  }
  add('value', row['value'])
  for (const [name, content] of Object.entries((row['fields'] ?? {}) as Record<string, unknown>)) add(name, content)
  assert(present.length === draft.fields.length, 'the row has the fields of the template')

  // values are staged in the order of their slots
  const valueSlots = present.flatMap(({ content }) => (Array.isArray(content) ? [slotOf(content)] : []))
  valueSlots.sort((a, b) => a - b)
  const columns = present.map(
    ({ field, content }): LayoutColumn =>
      Array.isArray(content)
        ? { field, slot: valueSlots.indexOf(slotOf(content)), constant: 0 }
        : { field, slot: -1, constant: constantOf(field, content) },
  )
  return { ops, columns }
}

function withMarkers(line: Uint8Array, slots: readonly LineSlot[]): string {
  let text = ''
  let from = 0
  slots.forEach((slot, i) => {
    const quote = slot.kind === 'string' ? 1 : 0
    text += `${readUtf8(line, from, slot.offset - quote)}[${i}]`
    from = slot.offset + slot.length + quote
  })
  return text + readUtf8(line, from, line.length)
}

const defaultOps = { number: slotOps.skipNumber, string: slotOps.skipString, tags: slotOps.tags } as const

const slotOf = (marker: unknown[]): number => marker[0] as number

function fieldOp(field: FieldInfo, slot: LineSlot): SlotOp {
  if (slot.kind === 'number') return slotOps.float
  return field.type === 'string' ? slotOps.string : slotOps.special
}

function constantOf(field: FieldInfo, content: unknown): number | boolean | string {
  assert(typeof content === 'string' || typeof content === 'boolean', 'numbers are slots')
  if (field.type !== 'float') return content
  const special = specialNumbers.get(content as string)
  assert(special !== undefined, 'the row was settled')
  return special
}
