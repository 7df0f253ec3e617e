/** Lists of time spans: half-open, not empty, disjoint, ascending. */
import type { TimeSpan } from '../tombstones/ranges.ts'

export type Spans = readonly TimeSpan[]

export const spanOf = (fromUs: number, toUs: number): Spans => (fromUs < toUs ? [{ fromUs, toUs }] : [])

/** What of the spans lies in the range. */
export function clipped(spans: Spans, fromUs: number, toUs: number): Spans {
  return spans.flatMap(span => spanOf(Math.max(span.fromUs, fromUs), Math.min(span.toUs, toUs)))
}

/** The union of spans in any order, which may overlap. */
export function union(spans: readonly TimeSpan[]): Spans {
  const merged: TimeSpan[] = []
  for (const span of spans.toSorted((a, b) => a.fromUs - b.fromUs)) {
    const last = merged.at(-1)
    if (last === undefined || span.fromUs > last.toUs) merged.push(span)
    else if (span.toUs > last.toUs) merged[merged.length - 1] = { fromUs: last.fromUs, toUs: span.toUs }
  }
  return merged
}

/** What the holes leave of the spans. */
export function without(spans: Spans, holes: Spans): Spans {
  const left: TimeSpan[] = []
  let at = 0
  for (const { fromUs, toUs } of spans) {
    let from = fromUs
    while (at < holes.length && holes[at]!.toUs <= from) at++
    for (let i = at; i < holes.length && holes[i]!.fromUs < toUs; i++) {
      left.push(...spanOf(from, holes[i]!.fromUs))
      from = Math.max(from, holes[i]!.toUs)
    }
    left.push(...spanOf(from, toUs))
  }
  return left
}

export const floorTo = (timeUs: number, widthUs: number): number => Math.floor(timeUs / widthUs) * widthUs
export const ceilTo = (timeUs: number, widthUs: number): number => Math.ceil(timeUs / widthUs) * widthUs

/** The whole buckets of this width within each span. */
export function wholeBuckets(spans: Spans, widthUs: number): Spans {
  return spans.flatMap(({ fromUs, toUs }) => spanOf(ceilTo(fromUs, widthUs), floorTo(toUs, widthUs)))
}
