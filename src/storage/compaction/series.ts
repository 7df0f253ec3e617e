/**
 * The series of several segments in one order, that of their printed forms, and what they are called.
 *
 *   source 0   a b   d        merged       a b c d
 *   source 1     b c d        places of 1    1 2 3
 *
 * Invariants:
 * 1. One catalog ordinal is one series. Printed forms are made only where two sources differ: runs of one window mostly
 *    have the same series.
 * 2. Of dictionary pages at most `pagesMax` are held.
 */
import { SydraError } from '../../lib/errors.ts'
import { compareUtf8 } from '../../lib/text.ts'
import { printSeries } from '../catalog/identity.ts'
import type { SeriesKey, SeriesKeys } from '../segment/dictionary.ts'
import type { Tags } from '../types.ts'
import type { MergeSource, SourceMetric } from './source.ts'

const pagesMax = 16

/** Ids and tags by catalog ordinal: of each series from the first source that has it. */
export class SourceKeys implements SeriesKeys {
  readonly ids: { readonly size: number; at(ordinal: number): string }
  readonly #sources: readonly MergeSource[]
  /** Indexed by ordinal. */
  readonly #sourceOf: Uint16Array
  readonly #localOf: Uint32Array
  /** By source and page, least recently used first. */
  readonly #pages = new Map<number, readonly SeriesKey[]>()

  constructor(sources: readonly MergeSource[]) {
    let size = 0
    for (const { ordinals } of sources) for (const ordinal of ordinals) if (ordinal >= size) size = ordinal + 1
    this.#sources = sources
    this.#sourceOf = new Uint16Array(size)
    this.#localOf = new Uint32Array(size)
    for (let source = sources.length - 1; source >= 0; source--) {
      const { ordinals } = sources[source]!
      for (let local = 0; local < ordinals.length; local++) {
        this.#sourceOf[ordinals[local]!] = source
        this.#localOf[ordinals[local]!] = local
      }
    }
    this.ids = { size, at: ordinal => this.#key(ordinal).id }
  }

  tagsOf(ordinal: number): Tags {
    return this.#key(ordinal).tags
  }

  #key(ordinal: number): SeriesKey {
    const source = this.#sourceOf[ordinal]!
    const local = this.#localOf[ordinal]!
    const { page: number, first } = this.#sources[source]!.pageWith(local)
    const name = source * 2 ** 32 + number
    let page = this.#pages.get(name)
    if (page === undefined) page = this.#sources[source]!.page(number)
    else this.#pages.delete(name)
    this.#pages.set(name, page)
    if (this.#pages.size > pagesMax) this.#pages.delete(this.#pages.keys().next().value!)
    return page[local - first]!
  }
}

/** Ordinals of all series that any of the sources has of a metric, in the order of their printed forms. */
export function mergeSeries(metric: string, sources: readonly SourceMetric[], keys: SourceKeys): Uint32Array {
  let lists = sources.map(({ ordinals }) => ordinals)
  while (lists.length > 1) {
    const halved: Uint32Array[] = []
    for (let i = 0; i < lists.length; i += 2)
      halved.push(i + 1 === lists.length ? lists[i]! : mergeTwo(metric, lists[i]!, lists[i + 1]!, keys))
    lists = halved
  }
  return lists[0]!
}

function mergeTwo(metric: string, a: Uint32Array, b: Uint32Array, keys: SourceKeys): Uint32Array {
  if (a.length === b.length && a.every((ordinal, i) => ordinal === b[i])) return a
  const merged = new Uint32Array(a.length + b.length)
  const printed = (ordinal: number): string => printSeries(metric, keys.tagsOf(ordinal))
  let length = 0
  let i = 0
  let j = 0
  let keyA: string | undefined
  let keyB: string | undefined
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) {
      merged[length++] = a[i++]!
      j++
      keyA = keyB = undefined
      continue
    }
    keyA ??= printed(a[i]!)
    keyB ??= printed(b[j]!)
    if (compareUtf8(keyA, keyB) < 0) {
      merged[length++] = a[i++]!
      keyA = undefined
    } else {
      merged[length++] = b[j++]!
      keyB = undefined
    }
  }
  for (; i < a.length; i++) merged[length++] = a[i]!
  for (; j < b.length; j++) merged[length++] = b[j]!
  return merged.slice(0, length)
}

/** Of each of the source's series its place among the merged. */
export function placesIn(merged: Uint32Array, { ordinals, source }: SourceMetric): Uint32Array {
  const places = new Uint32Array(ordinals.length)
  let next = 0
  for (let place = 0; place < merged.length && next < ordinals.length; place++)
    if (merged[place] === ordinals[next]) places[next++] = place
  if (next < ordinals.length)
    throw new SydraError('corrupt_segment', `segment ${source.input.path} is damaged: its series are out of order`)
  return places
}
