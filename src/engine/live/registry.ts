/**
 * The registry: which live queries there are, and which read what.
 *
 * Invariants:
 * 1. A metric is followed by the frontier exactly while some query reads it.
 */
import type { MetricInfo, Version } from '../../storage/types.ts'
import type { Frontier } from './frontier.ts'
import type { SharedQuery } from './shared-query.ts'

export class Registry {
  readonly #frontier: Frontier
  readonly #byKey = new Map<string, SharedQuery>()
  readonly #keys = new Map<SharedQuery, string>()
  /** As they were registered. */
  readonly #metrics = new Map<SharedQuery, readonly MetricInfo[]>()
  readonly #readers = new Map<number, Set<SharedQuery>>()

  constructor(frontier: Frontier) {
    this.#frontier = frontier
  }

  get size(): number {
    return this.#keys.size
  }
  get queries(): Iterable<SharedQuery> {
    return this.#keys.keys()
  }

  get(key: string): SharedQuery | undefined {
    return this.#byKey.get(key)
  }

  /** Those that read the metric; undefined: none does. */
  readersOf(metric: number): ReadonlySet<SharedQuery> | undefined {
    return this.#readers.get(metric)
  }

  /** `version`: that of now, on which the query stands. */
  add(key: string, query: SharedQuery, version: Version): void {
    this.#byKey.set(key, query)
    this.#keys.set(query, key)
    this.#read(query, version)
  }

  /** It may read other metrics than before. */
  update(query: SharedQuery, version: Version): void {
    if (!this.#keys.has(query) || this.#metrics.get(query) === query.metrics) return
    const before = this.#metrics.get(query)!
    this.#read(query, version)
    this.#drop(
      query,
      before.filter(({ id }) => query.metrics.every(metric => metric.id !== id)),
    )
  }

  remove(query: SharedQuery): void {
    const key = this.#keys.get(query)
    if (key === undefined) return
    this.#keys.delete(query)
    this.#byKey.delete(key)
    this.#drop(query, this.#metrics.get(query)!)
    this.#metrics.delete(query)
  }

  /** All rows were replaced. */
  followAnew(version: Version): void {
    for (const metrics of this.#metrics.values()) for (const metric of metrics) this.#frontier.follow(metric, version)
  }

  #read(query: SharedQuery, version: Version): void {
    this.#metrics.set(query, query.metrics)
    for (const metric of query.metrics) {
      const readers = this.#readers.get(metric.id)
      if (readers !== undefined) readers.add(query)
      else {
        this.#readers.set(metric.id, new Set([query]))
        this.#frontier.follow(metric, version)
      }
    }
  }

  #drop(query: SharedQuery, metrics: readonly MetricInfo[]): void {
    for (const { id } of metrics) {
      const readers = this.#readers.get(id)!
      readers.delete(query)
      if (readers.size > 0) continue
      this.#readers.delete(id)
      this.#frontier.forget(id)
    }
  }
}
