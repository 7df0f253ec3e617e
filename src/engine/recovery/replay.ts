/**
 * Replay: what the WAL has after the flushed LSN, into a memtable, as far as the catalog understands it.
 *
 * Invariants:
 * 1. A frame is applied whole or not at all. One that refers to what the catalog lacks — a damaged frame announced it — is
 *    passed over and reported.
 */
import type { Ports } from '../../lib/ports.ts'
import type { Catalog } from '../../storage/catalog/catalog.ts'
import type { LayeredMemtable } from '../../storage/memtable/layers.ts'
import { setAside } from '../../storage/set-aside.ts'
import { FrameMemory } from '../../storage/wal/row-columns.ts'
import { NotUnderstood, understand } from '../../storage/wal/understand.ts'
import { openWal, type WalRecovery, walDefaults } from '../../storage/wal/wal.ts'
import type { EngineEvent } from '../../types.ts'

export interface Replayed {
  readonly frames: number
  /** Whether frames are missing: what they announced may be series whose ordinals go to others now. */
  readonly isDamaged: boolean
  /** Files in which frames were damaged, or could not be understood. */
  readonly damagedFiles: ReadonlySet<string>
}

/** Reads the log to its end, a frame a step. Throws `corrupt_wal` for a frame of a type that a later version has, `io_error`. */
export function* replay(
  recovery: WalRecovery,
  catalog: Catalog,
  memtable: LayeredMemtable,
  emit: (event: EngineEvent) => void,
): Generator<void, Replayed> {
  let frames = 0
  const damagedFiles = new Set<string>()
  // The memtable copies what it takes.
  const memory = new FrameMemory()
  for (const frame of recovery.frames()) {
    yield
    frames++
    const { lsn, path, offset } = frame
    memory.clear()
    try {
      const { deletion, batches } = understand(frame, catalog, records => catalog.applyRecords(records), memory)
      if (deletion !== undefined) memtable.delete({ ...deletion, lsn }, catalog.metricAt(deletion.metric))
      for (const batch of batches) memtable.append(batch, lsn)
    } catch (error) {
      if (!(error instanceof NotUnderstood)) throw error
      damagedFiles.add(path)
      emit({ kind: 'wal-corruption', path, offset, lostFrom: lsn, lostTo: lsn })
    }
  }
  const isDamaged = recovery.isDamaged || damagedFiles.size > 0
  return { frames, isDamaged, damagedFiles: new Set([...damagedFiles, ...recovery.damagedFiles]) }
}

/** The catalog records of every frame that is left of the log, flushed or not. Damage is passed over. */
export function* catalogBatches(ports: Ports, directory: string): Generator<Uint8Array, void> {
  const { firstLsn } = openWal(ports, directory, 0, walDefaults, () => {})
  for (const { payload } of openWal(ports, directory, firstLsn - 1, walDefaults, () => {}).frames()) {
    if (payload.length < 4) continue
    const length = new DataView(payload.buffer, payload.byteOffset, 4).getUint32(0, true)
    if (length > 0 && length <= payload.length - 4) yield payload.slice(4, 4 + length)
  }
}

/** Takes files out of the log whose rows, as far as they could be read, are in segments. */
export function setAsideLogs({ files, log }: Ports, paths: ReadonlySet<string>): void {
  for (const path of paths) {
    if (!files.exists(path)) continue
    log('error', 'a log file is damaged: what can be read of it is in segments', {
      path,
      keptAs: setAside(files, path),
    })
  }
}
