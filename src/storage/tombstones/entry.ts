/**
 * Tombstones as the manifest holds them: by what does not change when the catalog is rebuilt, the metric's name and the
 * series' ids.
 */
import type { Catalog } from '../catalog/catalog.ts'
import type { Lsn } from '../types.ts'
import type { Tombstone } from './tombstones.ts'

export interface TombstoneEntry {
  readonly lsn: Lsn
  readonly metric: string
  /** null: since ever. */
  readonly fromUs: number | null
  /** Exclusive; null: for ever. */
  readonly toUs: number | null
  /** Base64 of the ids, eight bytes each, the low first; absent: all series. */
  readonly series?: string
}

export function entryOf({ lsn, metric, fromUs, toUs, series }: Tombstone, catalog: Catalog): TombstoneEntry {
  return {
    lsn,
    metric: catalog.metricAt(metric).name,
    fromUs: fromUs === Number.NEGATIVE_INFINITY ? null : fromUs,
    toUs: toUs === Number.POSITIVE_INFINITY ? null : toUs,
    ...(series === undefined ? {} : { series: toBase64(catalog.idBytes(series)) }),
  }
}

/** undefined when the catalog has nothing that it concerns. */
export function tombstoneOf(entry: TombstoneEntry, catalog: Catalog): Tombstone | undefined {
  const metric = catalog.metric(entry.metric)
  const series = entry.series === undefined ? undefined : catalog.ordinalsOf(fromBase64(entry.series)).sort()
  if (metric === undefined || series?.length === 0) return undefined
  return {
    lsn: entry.lsn,
    metric: metric.id,
    fromUs: entry.fromUs ?? Number.NEGATIVE_INFINITY,
    toUs: entry.toUs ?? Number.POSITIVE_INFINITY,
    series,
  }
}

/** Bytes that become one piece of text: as many as a function takes arguments, and a multiple of three. */
const pieceBytes = 24_576

function toBase64(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += pieceBytes)
    text += btoa(String.fromCharCode(...bytes.subarray(at, at + pieceBytes)))
  return text
}

const fromBase64 = (text: string): Uint8Array => Uint8Array.from(atob(text), unit => unit.charCodeAt(0))
