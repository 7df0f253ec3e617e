/**
 * Tags as UTF-8 where they lie in a line: how a series is found or registered without a text for each of its parts.
 *
 *   bytes   {"host":"a","dc":"x"}      spans   name from, to, value from, to, … of each tag, in the given order
 *   plan    the tags' keys in canonical order, and where each is among those given
 *
 * Invariants:
 * 1. A plan is used for tags only after all their names have been compared with its.
 * 2. What cannot be done here — unknown keys, keys given twice — is left to `useSeries`, which says what is wrong.
 */
import { compareUtf8, readUtf8 } from '../../lib/text.ts'
import { tagsMax } from './identity.ts'
import type { CatalogTables, KeyEntry, MetricEntry } from './tables.ts'

export interface Utf8Tags {
  readonly bytes: Uint8Array
  /** Four words a tag. Values are printable without escapes, and of legal length. */
  readonly spans: Uint32Array
  readonly count: number
}

export interface TagPlan {
  /** In the order in which tags are given. */
  readonly given: readonly KeyEntry[]
  /** In canonical order. */
  readonly keys: readonly KeyEntry[]
  /** Of each of `keys`, the index of its spans. */
  readonly at: readonly number[]
  /** Of each of `keys`, the value that came last and its posting, for the metric it came for; -1 before the first. */
  readonly values: Int32Array
  readonly postings: Int32Array
}

/** Plans kept, by metric: rows of one metric mostly give the same tags in one order. */
const plansMax = 256

export class TagPlans {
  readonly #plans: (TagPlan | undefined)[] = []

  /** The plan for these tags; undefined when a name is new or given twice. */
  of(metric: MetricEntry, tags: Utf8Tags, tables: CatalogTables): TagPlan | undefined {
    const slot = metric.info.id % plansMax
    const known = this.#plans[slot]
    if (known !== undefined && fits(known, tags)) return known
    const made = planOf(tags, tables)
    if (made !== undefined) this.#plans[slot] = made
    return made
  }
}

function fits({ given }: TagPlan, { bytes, spans, count }: Utf8Tags): boolean {
  if (given.length !== count) return false
  for (let i = 0; i < count; i++)
    if (!sameBytes(given[i]!.nameBytes, bytes, spans[4 * i]!, spans[4 * i + 1]!)) return false
  return true
}

function planOf({ bytes, spans, count }: Utf8Tags, tables: CatalogTables): TagPlan | undefined {
  if (count > tagsMax) return undefined
  const given: KeyEntry[] = []
  for (let i = 0; i < count; i++) {
    const key = tables.keysByName.get(readUtf8(bytes, spans[4 * i]!, spans[4 * i + 1]!))
    if (key === undefined || given.includes(key)) return undefined
    given.push(key)
  }
  const at = given.map((_, i) => i)
  at.sort((a, b) => compareUtf8(given[a]!.name, given[b]!.name))
  const noneYet = () => new Int32Array(at.length).fill(-1)
  return { given, keys: at.map(i => given[i]!), at, values: noneYet(), postings: noneYet() }
}

export function sameBytes(text: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  if (text.length !== to - from) return false
  for (let i = 0; i < text.length; i++) if (text[i] !== bytes[from + i]) return false
  return true
}
