/**
 * Verifying the write-ahead log: every frame of every file, that LSNs follow each other, that what was known to be durable
 * only grows, and that frames which are not in segments yet refer to what the catalog has.
 */
import { SydraError } from '../../lib/errors.ts'
import { isFileSystemError, type Ports } from '../../lib/ports.ts'
import { readWhole } from '../../lib/read-whole.ts'
import type { TablesReader } from '../catalog/reader.ts'
import { namesIn } from '../data-files.ts'
import type { Lsn } from '../types.ts'
import { framesStart, hasBothHeaders, isWalName } from '../wal/format.ts'
import { FrameReader } from '../wal/frame-reader.ts'
import type { FoundFile } from '../wal/log-files.ts'
import { type WalEvent, type WalFrame, WalScan } from '../wal/scan.ts'
import { NotUnderstood, understand } from '../wal/understand.ts'
import { damage, note } from './problems.ts'
import type { FileProblem, VerifiedFile } from './types.ts'

export interface LogTruth {
  /** Rows up to here are in segments by now; undefined when that is not known. */
  flushedLsn(): Lsn | undefined
  /** undefined: it cannot be read, so that what frames refer to is not checked. */
  readonly catalog: TablesReader | undefined
  /** Is given the catalog records of the frames after `flushedLsn`. */
  readonly onCatalog: (records: Uint8Array) => void
  /** Of an open database, whose files are renamed and released meanwhile: frames after it are still being written. */
  readonly upTo?: Lsn
}

/** How often files may be renamed or released under a scan. */
const restartsMax = 100

const flushedAdvice = 'nothing is lost; `verify --repair` sets the file aside'
const lostAdvice = 'opening keeps the other frames and sets the file aside; `verify --repair` does it now'

interface Found {
  frames: number
  rows: number
  deletes: number
  readonly problems: FileProblem[]
}

/** One report a file. Yields between frames. Throws `corrupt_wal` for a later version's, `io_error`. */
export function* verifyLog(ports: Ports, dataDir: string, given: LogTruth): Generator<void, readonly VerifiedFile[]> {
  const directory = `${dataDir}/wal`
  if (!namesIn(ports.files, directory).some(isWalName)) return []
  const { upTo = Number.POSITIVE_INFINITY } = given
  const isOpen = given.upTo !== undefined
  const found = new FoundByPath()
  let after = 0
  let durableLsn = 0
  for (let restarts = 0; ; restarts++) {
    const { firstLsn } = new WalScan(ports, directory, 0, () => {})
    const truth = { ...given, flushedLsn: given.flushedLsn() ?? firstLsn - 1 }
    after = Math.max(after, Math.min(truth.flushedLsn, firstLsn - 1))
    const events: WalEvent[] = []
    const scan = new WalScan(ports, directory, after, event => events.push(event))
    try {
      for (const frame of scan.frames()) {
        if (frame.lsn > upTo) break
        const of = found.at(frame.path)
        if (frame.durableLsn < durableLsn)
          of.problems.push(
            damage(`frame ${frame.lsn} says that less was durable than the one before`, lostAdvice, frame.offset),
          )
        durableLsn = frame.durableLsn
        checkFrame(frame, of, truth)
        after = frame.lsn
        yield
      }
      // What was read of a file that is renamed or released by now may have been another's.
      if (isOpen && restarts < restartsMax && !isUnchanged(ports, directory, scan)) continue
      // A later frame may have been written after the place was read where it is missing.
      for (const event of events)
        if (event.kind === 'wal-corruption' && event.lostFrom <= upTo) tellLoss(event, found, truth.flushedLsn)
      return scan.files.map((file, i) =>
        fileReport(ports, dataDir, file, i > scan.keptFile, found.at(file.path), isOpen),
      )
    } catch (error) {
      const cause = error instanceof SydraError ? error.cause : error
      const isGone = isFileSystemError(cause) && cause.code === 'ENOENT'
      if (!isGone || !isOpen || restarts === restartsMax) throw error
    }
  }
}

/** Whether the files of the scan still have their names. */
function isUnchanged(ports: Ports, directory: string, { files }: WalScan): boolean {
  const present = new Map(new WalScan(ports, directory, 0, () => {}).files.map(({ path, salt }) => [path, salt]))
  return files.every(({ path, salt }) => present.get(path) === salt)
}

class FoundByPath {
  readonly #found = new Map<string, Found>()

  at(path: string): Found {
    const known = this.#found.get(path) ?? { frames: 0, rows: 0, deletes: 0, problems: [] }
    this.#found.set(path, known)
    return known
  }
}

function checkFrame(
  frame: WalFrame,
  found: Found,
  { flushedLsn, catalog, onCatalog }: Pick<LogTruth, 'catalog' | 'onCatalog'> & { readonly flushedLsn: Lsn },
): void {
  found.frames++
  if (frame.lsn <= flushedLsn || catalog === undefined) return
  try {
    const { deletion, batches } = understand(frame, catalog, onCatalog)
    if (deletion !== undefined) found.deletes++
    for (const { rowCount } of batches) found.rows += rowCount
  } catch (error) {
    if (!(error instanceof NotUnderstood)) throw error
    found.problems.push(damage(`frame ${frame.lsn}: ${error.message}`, lostAdvice, frame.offset))
  }
}

function tellLoss(event: WalEvent & { kind: 'wal-corruption' }, found: FoundByPath, flushedLsn: Lsn): void {
  const { path, offset, lostFrom, lostTo } = event
  const lsns = lostFrom === lostTo ? `frame ${lostFrom}` : `frames ${lostFrom} to ${lostTo}`
  if (lostTo > flushedLsn) found.at(path).problems.push(damage(`${lsns} cannot be read`, lostAdvice, offset))
  // A file that was set aside leaves a gap: what was in it is in segments.
  else if (offset > 0)
    found.at(path).problems.push(damage(`${lsns}, whose rows are in segments, cannot be read`, flushedAdvice, offset))
}

function fileReport(
  ports: Ports,
  dataDir: string,
  { path, salt, readable, end }: FoundFile,
  isBehind: boolean,
  { frames, rows, deletes, problems }: Found,
  isOpen: boolean,
): VerifiedFile {
  const reader = new FrameReader(ports, path, salt)
  const { size } = reader
  let used: number
  try {
    used = reader.usedEnd(framesStart)
  } finally {
    reader.close()
  }
  const all = [...problems, ...headerProblems(ports, path, readable, used)]
  const isTorn = readable && problems.length === 0 && used > (isBehind ? framesStart : end)
  if (isTorn && !isOpen) all.push(note('its end was cut off while it was written', 'opening cuts it'))
  return {
    path: path.slice(dataDir.length + 1),
    kind: 'wal',
    bytes: size,
    checked: { frames, rows, deletes },
    problems: all,
  }
}

function headerProblems(ports: Ports, path: string, readable: boolean, used: number): FileProblem[] {
  if (!readable)
    return used > framesStart
      ? [damage('its header cannot be read', lostAdvice, 0)]
      : [note('it is empty', 'opening removes it')]
  const header = readWhole(ports.files, path, framesStart)
  return hasBothHeaders(header, ports.checksums)
    ? []
    : [note('one of the two copies of its header is damaged', 'either is enough; opening writes both again')]
}
