/**
 * Pinned versions that several live queries stand on together: one pin a round instead of one a query.
 *
 * Invariants:
 * 1. The version is released with the last that retained it.
 * 2. Whoever shares one is told through `onExpired` when its memory is needed, and is to let go of it soon.
 */
import { assert } from '../../lib/assert.ts'
import type { Version } from '../../storage/types.ts'
import type { Versions } from '../../storage/versions.ts'

export class PinnedVersion {
  readonly version: Version
  /** Its memory is needed. */
  isExpired = false
  #retains = 1

  /** Retained once, by the caller. */
  constructor(versions: Versions, onExpired: (pin: PinnedVersion) => void) {
    this.version = versions.pin(() => {
      this.isExpired = true
      onExpired(this)
    })
  }

  retain(): this {
    assert(this.#retains > 0, 'a version that was let go cannot be retained')
    this.#retains++
    return this
  }

  release(): void {
    assert(this.#retains > 0, 'a version is released as often as it was retained')
    if (--this.#retains === 0) this.version.release()
  }
}
