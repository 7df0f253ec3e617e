/**
 * Finds a series by metric and tags as rows give them, without making one text of them all.
 *
 *   texts   the metric, then name and value of each tag, in the row's order: cpu host a dc x
 *   trie    a branch says which text to look at next: the first one in which what is below it differs
 *
 *             #2 ─ a ─> cpu host a dc x
 *                ├ b ─> #4 ─ x ─> cpu host b dc x
 *                          └ y ─> cpu host b dc y
 *
 * After D. R. Morrison, "PATRICIA — Practical Algorithm To Retrieve Information Coded in Alphanumeric", JACM 15(4), 1968,
 * with texts for bits. Rows of one shape differ in a tag or two, so that a lookup is a map or two and one comparison.
 *
 * Invariants:
 * 1. What is found has been compared in full.
 * 2. Below a branch all texts before its own are equal, and its own differ between its children.
 * 3. It remembers at most `seriesAliasesMax`, then it forgets all.
 */
import { assert } from '../../lib/assert.ts'
import type { MetricInfo } from '../types.ts'
import { seriesAliasesMax } from './limits.ts'

export interface KnownSeries {
  readonly metric: MetricInfo
  readonly series: number
}

/** A leaf has texts and what they stand for, a branch children. */
interface Node {
  readonly texts: readonly string[]
  readonly known: KnownSeries | undefined
  /** Which text the children differ in. */
  readonly at: number
  /** By that text; undefined for those that have ended before. */
  readonly children: Map<string | undefined, Node>
}

const noTexts: readonly string[] = []
const noChildren = new Map<string | undefined, Node>()

export class SeriesLookup {
  /** What to find: the first `count` count. */
  readonly texts: string[] = []
  count = 0
  #root: Node | undefined
  #size = 0

  find(): KnownSeries | undefined {
    const { texts, count } = this
    let node = this.#root
    while (node !== undefined && node.known === undefined)
      node = node.children.get(node.at < count ? texts[node.at] : undefined)
    if (node === undefined || node.texts.length !== count) return undefined
    const found = node.texts
    for (let i = 0; i < count; i++) if (found[i] !== texts[i]) return undefined
    return node.known
  }

  /** Remembers what the texts stand for, which were not found. */
  add(known: KnownSeries): void {
    if (this.#size >= seriesAliasesMax) this.#clear()
    const texts = this.texts.slice(0, this.count).map(own)
    const leaf: Node = { texts, known, at: 0, children: noChildren }
    this.#size++
    if (this.#root === undefined) {
      this.#root = leaf
      return
    }
    const at = firstDifference(this.#nearest(this.#root).texts, texts)
    // the new leaf belongs where the texts below a node begin to differ from its own
    let above: Node | undefined
    let node = this.#root
    while (node.known === undefined && node.at < at) {
      above = node
      const child = node.children.get(texts[node.at])
      assert(child !== undefined, 'texts below a branch are equal before it')
      node = child
    }
    if (node.known === undefined && node.at === at) {
      node.children.set(texts[at], leaf)
      return
    }
    const other = this.#anyLeaf(node).texts[at]
    const children = new Map([
      [other, node],
      [texts[at], leaf],
    ])
    const branch: Node = { texts: noTexts, known: undefined, at, children }
    if (above === undefined) this.#root = branch
    else above.children.set(texts[above.at], branch)
  }

  /** A leaf that has as many texts in common with those given as any has. */
  #nearest(root: Node): Node {
    let node = root
    while (node.known === undefined) {
      const child = node.children.get(node.at < this.count ? this.texts[node.at] : undefined)
      if (child === undefined) return this.#anyLeaf(node)
      node = child
    }
    return node
  }

  #anyLeaf(node: Node): Node {
    let leaf = node
    while (leaf.known === undefined) leaf = leaf.children.values().next().value!
    return leaf
  }

  #clear(): void {
    this.#root = undefined
    this.#size = 0
  }
}

/** The text by itself: as cut from a longer one, it would keep that in memory. A key is, and most texts of rows are keys. */
const own = (text: string): string => Object.keys({ [text]: 0 })[0]!

function firstDifference(a: readonly string[], b: readonly string[]): number {
  let at = 0
  while (at < a.length && at < b.length && a[at] === b[at]) at++
  assert(at < a.length || at < b.length, 'texts that differ')
  return at
}
