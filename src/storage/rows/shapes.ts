/**
 * Shapes: which fields rows of a metric have, by their names in order, learnt from the rows themselves.
 *
 *   cpu ─ usr ─> ● ─ sys ─> ● fields [usr, sys]
 *         └ idle ─> ● fields [idle]
 *
 * A row walks along its names; where it ends, its fields are known, without a map or a list of its own. After the maps of
 * C. Chambers, D. Ungar, E. Lee, "An Efficient Implementation of SELF", OOPSLA 1989, section 3.1.
 *
 * Invariants:
 * 1. A shape's fields never change: whoever has the list may know by it which fields they are.
 * 2. All shapes together have about `shapeFieldsMax` steps and fields at most, then all are forgotten.
 */
import type { FieldInfo, FieldType } from '../types.ts'
import { shapeFieldsMax } from './limits.ts'

export interface Shape {
  /** Of the last name's field; undefined where no name was passed. */
  readonly type: FieldType | undefined
  /** Of rows that end here; undefined where none did so far. */
  fields: readonly FieldInfo[] | undefined
  readonly next: Map<string, Shape>
  /** The step that was last taken from here. */
  name: string
  shape: Shape | undefined
}

/** The shape after one more name; undefined where no row has gone so far. */
export function stepTo(from: Shape, name: string): Shape | undefined {
  if (from.name === name && from.shape !== undefined) return from.shape
  const shape = from.next.get(name)
  if (shape === undefined) return undefined
  from.name = name
  from.shape = shape
  return shape
}

export class Shapes {
  readonly #metrics = new Map<string, Shape>()
  #metric = ''
  #root: Shape | undefined
  #size = 0

  /** Where rows of this metric begin; undefined when none was learnt. */
  of(metric: string): Shape | undefined {
    if (this.#metric === metric) return this.#root
    const root = this.#metrics.get(metric)
    if (root !== undefined) {
      this.#metric = metric
      this.#root = root
    }
    return root
  }

  /** The fields as a shape's list, which rows with the same names in order will find. */
  learn(metric: string, fields: readonly FieldInfo[]): readonly FieldInfo[] {
    if (this.#size > shapeFieldsMax) this.#clear()
    let shape = this.#child(this.#metrics, metric, undefined)
    for (const { name, type } of fields) shape = this.#child(shape.next, name, type)
    if (shape.fields === undefined) {
      shape.fields = [...fields]
      this.#size += fields.length
    }
    return shape.fields
  }

  #child(of: Map<string, Shape>, name: string, type: FieldType | undefined): Shape {
    let shape = of.get(name)
    if (shape === undefined) {
      shape = { type, fields: undefined, next: new Map(), name: '', shape: undefined }
      of.set(name, shape)
      this.#size++
    }
    return shape
  }

  #clear(): void {
    this.#metrics.clear()
    this.#metric = ''
    this.#root = undefined
    this.#size = 0
  }
}
