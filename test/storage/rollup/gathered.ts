/** Rollups as bytes: what a builder's sinks have in the end. */
import type { RollupBuilder, RollupOptions } from '../../../src/storage/rollup/build.ts'
import type { SeriesKeys } from '../../../src/storage/segment/dictionary.ts'
import type { SegmentSink } from '../../../src/storage/segment/encode.ts'
import type { SegmentHeader } from '../../../src/storage/segment/format.ts'

export interface GatheredRollup {
  readonly widthUs: number
  readonly header: SegmentHeader
  readonly bytes: Uint8Array
}

export class GatheredRollups {
  /** Widths that a file was made for, and how long it ever was. */
  readonly longest = new Map<number, number>()
  readonly #files = new Map<number, Uint8Array>()

  readonly sink: RollupOptions['sink'] = (widthUs): SegmentSink => {
    if (this.#files.has(widthUs)) throw new Error('a sink is asked for once')
    this.#put(widthUs, new Uint8Array(0))
    return {
      write: (bytes, position) => {
        const before = this.#files.get(widthUs)!
        const after = new Uint8Array(Math.max(before.length, position + bytes.length))
        after.set(before)
        after.set(bytes, position)
        this.#put(widthUs, after)
      },
      truncate: length => this.#put(widthUs, this.#files.get(widthUs)!.slice(0, length)),
    }
  }

  close(builder: RollupBuilder, keys: SeriesKeys): GatheredRollup[] {
    return builder.close(keys).map(({ widthUs, closed }) => {
      const header = closed.seal(0)
      return { widthUs, header, bytes: this.#files.get(widthUs)! }
    })
  }

  #put(widthUs: number, bytes: Uint8Array): void {
    this.#files.set(widthUs, bytes)
    this.longest.set(widthUs, Math.max(this.longest.get(widthUs) ?? 0, bytes.length))
  }
}
