/** Verifying the manifest: every line, and that what it says of its segments can be. */
import type { Ports } from '../../lib/ports.ts'
import { readWhole } from '../../lib/read-whole.ts'
import { decodeManifest } from '../manifest/log.ts'
import { manifestName } from '../manifest/manifest.ts'
import type { ManifestState } from '../manifest/state.ts'
import { damage, note, problemOf } from './problems.ts'
import type { FileProblem, VerifiedFile } from './types.ts'

export interface VerifiedManifest {
  readonly file: VerifiedFile
  /** undefined when it cannot be read. */
  readonly state: ManifestState | undefined
}

/** Throws `unsupported_version`, file system errors. */
export function verifyManifest(
  { files, checksums }: Pick<Ports, 'files' | 'checksums'>,
  dataDir: string,
): VerifiedManifest {
  const path = `${dataDir}/${manifestName}`
  const report = (bytes: number, checked: VerifiedFile['checked'], problems: readonly FileProblem[]): VerifiedFile => ({
    path: manifestName,
    kind: 'manifest',
    bytes,
    checked,
    problems,
  })
  if (!files.exists(path)) return { file: report(0, {}, [damage('it is missing', rebuiltAdvice)]), state: undefined }
  const bytes = readWhole(files, path)
  try {
    const { state, edits, end } = decodeManifest(bytes, path, checksums)
    const problems = [...state.segments.flatMap(contradictions)]
    if (end < bytes.length) problems.push(note('its last line was cut off while it was written', 'opening cuts it'))
    const checked = { lines: edits + 1, segments: state.segments.length, tombstones: state.tombstones.length }
    return { file: report(bytes.length, checked, problems), state }
  } catch (error) {
    return { file: report(bytes.length, {}, [problemOf(error, ['corrupt_manifest'], rebuiltAdvice)]), state: undefined }
  }
}

const rebuiltAdvice = 'opening makes it anew from its good lines and the segments; `verify --repair` does it now'

function contradictions({ id, path, minTimeUs, maxTimeUs, minLsn, maxLsn, rows }: ManifestState['segments'][number]) {
  const fits = minTimeUs <= maxTimeUs && minLsn <= maxLsn && rows > 0 && path.endsWith(`/${id}.seg`)
  return fits ? [] : [damage(`what it says of segment ${id} cannot be`)]
}
