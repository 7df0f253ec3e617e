/**
 * Damage that the open database knows of: what `events$` and `stats` tell of it.
 *
 * Invariants:
 * 1. A segment is told once: as left out when opening, or as found damaged by whoever read it first.
 */
import type { FileSystem } from '../../lib/ports.ts'
import { filesSetAside } from '../../storage/data-files.ts'
import type { EngineEvent } from '../../types.ts'

export class Damage {
  /** Segments that could not be read when opening, with the reason. */
  readonly quarantined: { readonly path: string; readonly message: string }[] = []
  /** Segments that were found damaged later: path -> reason. */
  readonly found = new Map<string, string>()
  /** Files kept as `*.damaged` when the database was opened. */
  setAside = 0
  readonly #emit: (event: EngineEvent) => void
  /** While the database is being opened, damage is told as what opening makes of it. */
  #isOpen = false

  constructor(emit: (event: EngineEvent) => void) {
    this.#emit = emit
  }

  quarantine(path: string, message: string): void {
    this.quarantined.push({ path, message })
    this.#emit({ kind: 'segment-quarantined', path, message })
  }

  opened(files: FileSystem, directory: string): void {
    this.#isOpen = true
    this.setAside = filesSetAside(files, directory).length
  }

  /** A query or a merge met it. `path` is relative to the data directory. */
  report(path: string, message: string): void {
    if (!this.#isOpen || this.found.has(path) || this.quarantined.some(each => each.path === path)) return
    this.found.set(path, message)
    this.#emit({ kind: 'segment-damaged', path, message })
  }
}
