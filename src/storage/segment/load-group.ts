/**
 * Loading what a read of a row group needs: head, times and the wanted fields, from the cache or the file.
 *
 * Invariants:
 * 1. What is missing and lies side by side is read at once; what lies between wanted chunks is not read.
 */
import { type FieldChunk, parseField, parseTimes, type TimeChunk } from './decode-column.ts'
import type { SegmentEnvironment } from './environment.ts'
import type { ChunkEntry, ColumnEntry, FooterMetric, GroupEntry } from './footer.ts'
import { decodeHead, type GroupHead, headBytes } from './group-head.ts'
import type { LoadedField, LoadedGroup } from './read-group.ts'
import type { SegmentFile } from './segment-file.ts'

/** What an entry of the cache takes beside its bytes. */
const entryBytes = 256

/** The head alone: which series the group holds, and when. */
export function loadHead(
  { cache, kernels }: SegmentEnvironment,
  file: SegmentFile,
  firstKey: number,
  group: GroupEntry,
  onRead: (bytes: number) => void,
): GroupHead {
  const key = firstKey + group.firstChunk
  const cached = cache.get<GroupHead>(key)
  if (cached !== undefined) return cached
  const chunk = group.head === undefined ? undefined : file.chunks([group.head], onRead)[0]
  const head = file.guard(group.head?.at ?? group.time.at, 'group head', () => decodeHead(chunk, group, kernels))
  cache.set(key, head, headBytes(head) + entryBytes)
  return head
}

/** `columns`: the wanted ones in any order, undefined for a field no row has. `onRead` is told the bytes read. */
export function loadGroup(
  environment: SegmentEnvironment,
  file: SegmentFile,
  firstKey: number,
  metric: FooterMetric,
  group: GroupEntry,
  columns: readonly (ColumnEntry | undefined)[],
  onRead: (bytes: number) => void,
): LoadedGroup {
  const { cache, kernels } = environment
  const headKey = firstKey + group.firstChunk
  let head = cache.get<GroupHead>(headKey)
  let time = cache.get<TimeChunk>(headKey + 1)
  const fields = columns.map(column => column && cache.get<LoadedField>(headKey + 2 + column.index))
  const isMissing = (column: ColumnEntry | undefined, i: number): boolean =>
    column !== undefined && fields[i] === undefined
  if (head !== undefined && time !== undefined && !columns.some(isMissing)) return { head, time, fields }

  const missing = [...new Set(columns.filter(isMissing))].map(column => column!).sort((a, b) => a.at - b.at)
  const wanted: ChunkEntry[] = []
  if (head === undefined && group.head !== undefined) wanted.push(group.head)
  if (time === undefined) wanted.push(group.time)
  wanted.push(...missing)
  const bytes = file.chunks(wanted, onRead)

  let next = 0
  if (head === undefined) {
    const chunk = group.head === undefined ? undefined : bytes[next++]
    head = file.guard(group.head?.at ?? group.time.at, 'group head', () => decodeHead(chunk, group, kernels))
    cache.set(headKey, head, headBytes(head) + entryBytes)
  }
  const shape = head
  if (time === undefined) {
    const chunk = bytes[next++]!
    time = file.guard(group.time.at, 'time column', () => parseTimes(chunk, group, kernels))
    cache.set(headKey + 1, time, chunk.length + group.blockCount * 20 + entryBytes)
  }
  const loaded = new Map<ColumnEntry, LoadedField>()
  for (const column of missing)
    loaded.set(column, parsed(environment, file, headKey, metric, group, column, shape, bytes[next++]!))
  return { head, time, fields: fields.map((field, i) => field ?? loaded.get(columns[i]!)) }
}

/** One column of a group whose head is loaded. */
export function loadField(
  environment: SegmentEnvironment,
  file: SegmentFile,
  firstKey: number,
  metric: FooterMetric,
  group: GroupEntry,
  column: ColumnEntry,
  head: GroupHead,
  onRead: (bytes: number) => void,
): LoadedField {
  const headKey = firstKey + group.firstChunk
  const cached = environment.cache.get<LoadedField>(headKey + 2 + column.index)
  if (cached !== undefined) return cached
  return parsed(environment, file, headKey, metric, group, column, head, file.chunks([column], onRead)[0]!)
}

/** The column of these bytes, which the cache has from then on. */
function parsed(
  { cache, kernels, ports }: SegmentEnvironment,
  file: SegmentFile,
  headKey: number,
  metric: FooterMetric,
  group: GroupEntry,
  column: ColumnEntry,
  head: GroupHead,
  bytes: Uint8Array,
): LoadedField {
  const { type } = metric.fields[column.field]!
  const { statistics } = column
  const parse = (): FieldChunk => parseField(bytes, type, head, statistics.count, kernels, ports.zstd)
  const chunk = file.guard(column.at, 'column', parse)
  const field = { chunk, statistics: statistics.kind === 'number' ? statistics : undefined }
  cache.set(headKey + 2 + column.index, field, bytes.length + group.blockCount * 32 + entryBytes)
  return field
}
