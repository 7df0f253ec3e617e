/**
 * The bytes of `MANIFEST`; `docs/format/manifest.md` says the same in prose.
 *
 *   {"crc":"9a0b…","n":0,"version":1,"state":{…}}      a checkpoint, the first line
 *   {"crc":"17fe…","n":1,"edit":{…}}                   one line an edit
 *
 * Invariants:
 * 1. The CRC is of the line behind it, from `"n"` to the closing brace; lines are numbered without gaps.
 * 2. A line without its newline, or with zeros in it, at the very end is a write that was cut off. Anything else that does
 *    not check is damage: a write of text leaves nothing but its own bytes or zeros.
 */
import { SydraError } from '../../lib/errors.ts'
import type { Checksums } from '../../lib/ports.ts'
import type { TombstoneEntry } from '../tombstones/entry.ts'
import type { Lsn, SegmentMeta } from '../types.ts'
import { unsupportedVersion } from '../unsupported-version.ts'
import type { ManifestEdit, ManifestState } from './state.ts'
import { applyEdit } from './state.ts'

const version = 1
const crcStart = '{"crc":"'
const restStart = crcStart.length + 8 + 2
const newline = 10

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

const crcText = (rest: Uint8Array, checksums: Checksums) => checksums.crc32(rest).toString(16).padStart(8, '0')

function encodeLine(content: object, checksums: Checksums): Uint8Array {
  const rest = JSON.stringify(content).slice(1)
  return encoder.encode(`${crcStart}${crcText(encoder.encode(rest), checksums)}",${rest}\n`)
}

export const encodeCheckpoint = (state: ManifestState, checksums: Checksums): Uint8Array =>
  encodeLine({ n: 0, version, state }, checksums)

export const encodeEdit = (n: number, edit: ManifestEdit, checksums: Checksums): Uint8Array =>
  encodeLine({ n, edit }, checksums)

interface Line {
  readonly n: number
  readonly version?: number
  readonly state?: ManifestState
  readonly edit?: ManifestEdit
}

/** The line without its newline; undefined when it does not check. */
function decodeLine(bytes: Uint8Array, checksums: Checksums): Line | undefined {
  try {
    const start = decoder.decode(bytes.subarray(0, restStart))
    const rest = bytes.subarray(restStart)
    if (start !== `${crcStart}${crcText(rest, checksums)}",`) return undefined
    return JSON.parse(`{${decoder.decode(rest)}`) as Line
  } catch {
    return undefined
  }
}

export interface ReadManifest {
  readonly state: ManifestState
  /** Edits behind the checkpoint. */
  readonly edits: number
  /** Where the last good line ends; what is behind it was cut off while it was written. */
  readonly end: number
}

/** Throws `corrupt_manifest`, with the offset of the first line that does not check. */
export function decodeManifest(bytes: Uint8Array, path: string, checksums: Checksums): ReadManifest {
  let state: ManifestState | undefined
  let n = 0
  let at = 0
  while (at < bytes.length) {
    const found = bytes.indexOf(newline, at)
    const end = found < 0 ? bytes.length : found
    const line = found < 0 ? undefined : decodeLine(bytes.subarray(at, end), checksums)
    if (n === 0 && line?.version !== undefined && line.version !== version) {
      throw unsupportedVersion(path, line.version, version)
    }
    if (line === undefined || line.n !== n || (n === 0 ? line.state : line.edit) === undefined) {
      if (state !== undefined && line === undefined && isTorn(bytes, at, found)) break
      throw corrupt(path, at, `line ${n + 1} does not check`)
    }
    state =
      state === undefined
        ? { ...line.state!, tombstones: line.state!.tombstones ?? [] }
        : appliedTo(state, line.edit!, path, at)
    at = end + 1
    n++
  }
  if (state === undefined) throw corrupt(path, 0, 'it is empty')
  return { state, edits: n - 1, end: at }
}

const isTorn = (bytes: Uint8Array, at: number, lineEnd: number): boolean =>
  lineEnd < 0 || (lineEnd === bytes.length - 1 && bytes.subarray(at, lineEnd).includes(0))

function appliedTo(state: ManifestState, edit: ManifestEdit, path: string, offset: number): ManifestState {
  try {
    return applyEdit(state, edit)
  } catch (error) {
    throw corrupt(path, offset, error instanceof Error ? error.message : String(error))
  }
}

const rebuildHint = 'restore the file from a snapshot, or let SydraDB rebuild it from the segments'

const corrupt = (path: string, offset: number, what: string) =>
  new SydraError('corrupt_manifest', `${path} is damaged at byte ${offset}: ${what}`, { hint: rebuildHint })

/** What the lines of a damaged manifest that check still tell. */
export interface SalvagedManifest {
  /** The state that these lines alone make. */
  readonly state: Partial<ManifestState> & Pick<ManifestState, 'segments' | 'tombstones'>
  /** Ids of segments that others took the places of. */
  readonly removed: ReadonlySet<string>
  /** They may have told of more. */
  readonly damagedLines: number
}

/**
 * Reads what can be read: the newest numbers, segments that were added and not removed, and all tombstones. Segments that
 * a damaged line removed are among them, whose files are gone or replaced by others; tombstones that were removed, too: they
 * concern nothing any more, unless a segment comes back that had gone.
 */
export function salvageManifest(bytes: Uint8Array, checksums: Checksums): SalvagedManifest {
  const segments = new Map<string, SegmentMeta>()
  const tombstones = new Map<Lsn, TombstoneEntry>()
  const removed = new Set<string>()
  let told: Partial<ManifestState> = {}
  let damagedLines = 0
  for (let at = 0; at < bytes.length; ) {
    const found = bytes.indexOf(newline, at)
    const end = found < 0 ? bytes.length : found
    const line = decodeLine(bytes.subarray(at, end), checksums)
    if (line === undefined) damagedLines++
    at = end + 1
    const { add = [], remove = [], addTombstones = [], removeTombstones: _, ...rest } = line?.edit ?? {}
    told = { ...told, ...line?.state, ...rest }
    for (const id of remove) {
      segments.delete(id)
      removed.add(id)
    }
    for (const meta of [...(line?.state?.segments ?? []), ...add]) segments.set(meta.id, meta)
    for (const entry of [...(line?.state?.tombstones ?? []), ...addTombstones]) tombstones.set(entry.lsn, entry)
  }
  const state = { ...told, segments: [...segments.values()], tombstones: [...tombstones.values()] }
  return { state, removed, damagedLines }
}
