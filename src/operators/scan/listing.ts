/**
 * The pieces of a scan in the order of time, listed as far as it comes: what is never read is never looked at.
 *
 *   sources    ███████████████  ██████████████ ████████ █     segments and memtables: rows and times, known beforehand
 *   listings   │      64 n      │     8 n     │   n   │       from the end that is read first, of about so many rows
 *
 * Invariants:
 * 1. The spans of listings partition what was asked for, and a listing has every piece with rows of its span.
 * 2. A segment counts once: as scanned when a listing has pieces of it.
 */
import type { Piece, ReadRequest, ReadStatistics, SeriesSet, Version } from '../../storage/types.ts'
import { type TimeSpan, WindowPlan } from './windows.ts'

interface Listing {
  readonly span: TimeSpan
  /** In write order. */
  readonly pieces: readonly Piece[]
}

/** Each listing is of so many times the rows of the one before. */
const listingGrowth = 8

export class Listings {
  readonly #version: Version
  readonly #request: ReadRequest
  readonly #isDescending: boolean
  readonly #plan: WindowPlan | undefined
  readonly #segments: ReadonlySet<object>
  readonly #scanned = new Set<object>()
  #rows: number

  /** `rows`: about so many in the first. What listings pass over and pieces read is counted by the request. */
  constructor(version: Version, request: ReadRequest, isDescending: boolean, rows: number) {
    this.#version = version
    this.#request = request
    this.#isDescending = isDescending
    this.#rows = rows
    const sources = version.sources?.() ?? []
    this.#plan = version.sources && new WindowPlan(sources, request)
    this.#segments = new Set(sources.flatMap(({ segment }) => segment ?? []))
  }

  /** Where rows may be. */
  get extent(): TimeSpan {
    return this.#plan === undefined ? this.#request : (this.#plan.extent ?? { fromUs: 0, toUs: 0 })
  }

  /** The pieces at the end of `left` that is read first. `series`: undefined for all. */
  next(left: TimeSpan, series: SeriesSet | undefined): Listing {
    const { fromUs, toUs } = left
    const plan = this.#plan
    let span = left
    if (plan !== undefined && this.#isDescending)
      span = { fromUs: Math.max(fromUs, plan.beginBefore(toUs, this.#rows)), toUs }
    else if (plan !== undefined) span = { fromUs, toUs: Math.min(toUs, plan.endAfter(fromUs, this.#rows)) }
    this.#rows *= listingGrowth
    const pieces = this.#version.pieces({ ...this.#request, ...span, series })
    for (const { source } of pieces) if (source !== undefined && this.#segments.has(source)) this.#scanned.add(source)
    return { span, pieces }
  }

  /** Tells how many segments were scanned and how many were not. */
  countInto(statistics: ReadStatistics): void {
    statistics.segmentsScanned += this.#scanned.size
    statistics.segmentsPruned += this.#segments.size - this.#scanned.size
  }
}
