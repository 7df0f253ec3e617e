/**
 * PageBodies: what dictionary pages that were written lately have behind their ids, for the segments that come next.
 *
 *   ordinals of a page's series  ->  body, compressed
 *
 * Segments of one time mostly hold the same series, and with a million of them their keys are half of what a flush writes. Bodies
 * are a quarter of a page: ids do not compress, and are at hand.
 *
 * Invariants:
 * 1. A body is found by the ordinals it was made of, all of them compared. What an ordinal stands for never changes, so
 *    neither do the bytes.
 * 2. At most `pageBodiesBytesMax` are kept. Those that none of the last `idleSegmentsMax` segments had go first; while all are in
 *    use, new ones are not taken: series that come round in turn, too many to be kept, would throw out each other.
 */
import { ByteWriter } from '../codecs/bytes.ts'

export const pageBodiesBytesMax = 8 * 2 ** 20
const idleSegmentsMax = 8
/** Estimated memory of an entry beside its arrays' contents. */
const entryBytes = 400

interface PageBody {
  /** What the ordinals are told by, in few bytes: most follow each other. */
  readonly series: Uint8Array
  readonly body: Uint8Array
  /** The segment that had it last. */
  segment: number
}

export class PageBodies {
  /** By the first ordinal, the least recently used first. */
  readonly #pages = new Map<number, PageBody>()
  readonly #bytesMax: number
  readonly #differences = new ByteWriter(0)
  #bytes = 0
  #segment = 0

  constructor(bytesMax = pageBodiesBytesMax) {
    this.#bytesMax = bytesMax
  }

  get byteLength(): number {
    return this.#bytes
  }

  /** The pages of another segment begin. */
  nextSegment(): void {
    this.#segment++
  }

  /** The body of the page of exactly these series; not to be written to. */
  find(ordinals: Uint32Array): Uint8Array | undefined {
    const first = ordinals[0]!
    const page = this.#pages.get(first)
    if (page === undefined || !equal(page.series, differences(ordinals, this.#differences))) return undefined
    page.segment = this.#segment
    this.#pages.delete(first)
    this.#pages.set(first, page)
    return page.body
  }

  /** Remembers the body of a page that was not found; both arrays are copied. */
  keep(ordinals: Uint32Array, body: Uint8Array): void {
    const first = ordinals[0]!
    this.#drop(first)
    const series = differences(ordinals, this.#differences)
    const bytes = bytesOf(series, body)
    for (const [oldest, { segment }] of this.#pages) {
      if (this.#bytes + bytes <= this.#bytesMax || this.#segment - segment <= idleSegmentsMax) break
      this.#drop(oldest)
    }
    if (this.#bytes + bytes > this.#bytesMax) return
    this.#pages.set(first, { series: series.slice(), body: body.slice(), segment: this.#segment })
    this.#bytes += bytes
  }

  #drop(first: number): void {
    const page = this.#pages.get(first)
    if (page === undefined) return
    this.#pages.delete(first)
    this.#bytes -= bytesOf(page.series, page.body)
  }
}

const bytesOf = (series: Uint8Array, body: Uint8Array): number => series.byteLength + body.byteLength + entryBytes

/** Each minus the one before, the sign in the lowest bit: of other ordinals other bytes. Borrowed until the next call. */
function differences(ordinals: Uint32Array, into: ByteWriter): Uint8Array {
  into.clear()
  let before = 0
  for (let i = 0; i < ordinals.length; i++) {
    const difference = ordinals[i]! - before
    before = ordinals[i]!
    into.varint(difference < 0 ? -2 * difference - 1 : 2 * difference)
  }
  return into.written()
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
