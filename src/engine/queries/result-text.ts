/**
 * A result as text in chunks: head, rows, exactly one ending.
 *
 *   json    {"columns":[{"name","type","nullable"}…],"rows":[[…],…],"stats":{…}}
 *   ndjson  {"columns":[…]}⏎ {"time":…,"value":…}⏎ … {"stats":{…}}⏎
 *   bare    [{"time":…,"value":…},…]   (an error is a last element {"error":{…}})
 *   csv     time,value⏎ …          (no ending but the end itself; an error is a last line `# error code message`)
 *
 * Invariants:
 * 1. Until the first row exists nothing leaves: an error until then rejects. After it, an error takes the place of the
 *    `stats`, is told to `onFailure`, and the text ends regularly.
 * 2. The first chunk leaves with the first batch that has rows; later ones have `chunkBytes`, the last what remains.
 * 3. Chunks are owned by the consumer, or borrowed until the second after is pulled. At most one is in the making, so memory is
 *    bounded by `chunkBytes`, twice when they are borrowed.
 * 4. Returning early closes the source and gives the row writer's memory back.
 */
import { type Batch, rowCount, type Schema } from '../../columnar/batch.ts'
import { type RowFormat, stringText } from '../../kernels/row-text.ts'
import { createRowWriter } from '../../kernels/write-rows.ts'
import { unreachable } from '../../lib/assert.ts'
import { type SydraError, toSydraError } from '../../lib/errors.ts'
import type { QueryStatistics, TextOptions } from '../../types.ts'

/** What a chunk aims at by default: twice the throughput of 4 to 16 KiB over HTTP. */
export const textChunkBytes = 256 * 1024
const chunkBytesMin = 64
/** What a chunk's memory has at first. */
const firstBytes = 4096

/**
 * @example
 * for await (const chunk of textChunks(schema, batches, stats, { format: 'csv' })) await write(chunk)
 */
export async function* textChunks(
  schema: Schema,
  batches: AsyncIterable<Batch>,
  stats: () => QueryStatistics,
  options: TextOptions,
  onFailure: (error: SydraError) => void = () => {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const { epoch } = options
  const format: RowFormat = options.format === 'json' && options.bare === true ? 'objects' : options.format
  const encoder = new TextEncoder()
  const chunks = new ChunkBuilder(
    Math.max(chunkBytesMin, options.chunkBytes ?? textChunkBytes),
    options.borrow ?? false,
  )
  const writer = createRowWriter(schema, { format, epoch })
  let failure: SydraError | undefined
  let begun = false
  try {
    try {
      for await (const batch of batches) {
        if (rowCount(batch) === 0) continue
        if (!begun) yield* chunks.add(encoder.encode(head(schema, format)))
        for (const piece of writer.write(batch)) yield* chunks.add(piece)
        if (!begun && chunks.length > 0) yield chunks.take()
        begun = true
      }
    } catch (error) {
      if (!begun) throw error
      failure = toSydraError(error)
      onFailure(failure)
    }
    if (!begun) yield* chunks.add(encoder.encode(head(schema, format)))
    yield* chunks.add(
      encoder.encode(failure === undefined ? statsEnding(stats(), format) : errorEnding(failure, format)),
    )
    if (chunks.length > 0) yield chunks.take()
  } finally {
    writer.close()
  }
}

function head(schema: Schema, format: RowFormat): string {
  if (format === 'objects') return '['
  if (format === 'csv') return `${schema.map(({ name }) => stringText(name, 'csv')).join(',')}\r\n`
  const columns = JSON.stringify(schema.map(({ name, type, nullable }) => ({ name, type, nullable })))
  return format === 'json' ? `{"columns":${columns},"rows":[` : `{"columns":${columns}}\n`
}

function statsEnding(stats: QueryStatistics, format: RowFormat): string {
  switch (format) {
    case 'objects':
      return ']'
    case 'csv':
      return ''
    case 'json':
      return `],"stats":${JSON.stringify(stats)}}`
    case 'ndjson':
      return `{"stats":${JSON.stringify(stats)}}\n`
    default:
      return unreachable(format)
  }
}

/** Rows came before it, always. */
function errorEnding(error: SydraError, format: RowFormat): string {
  switch (format) {
    case 'objects':
      return `,{"error":${JSON.stringify(error)}}]`
    case 'csv':
      return `# error ${error.code} ${error.message.replaceAll(/[\r\n]+/g, ' ')}\r\n`
    case 'json':
      return `],"error":${JSON.stringify(error)}}`
    case 'ndjson':
      return `{"error":${JSON.stringify(error)}}\n`
    default:
      return unreachable(format)
  }
}

/** Gathers pieces into chunks of one size. */
class ChunkBuilder {
  readonly #size: number
  readonly #borrowed: boolean
  #bytes: Uint8Array | undefined
  /** What the chunk before the last was in. */
  #free: Uint8Array | undefined
  #last: Uint8Array | undefined
  length = 0

  constructor(size: number, borrowed: boolean) {
    this.#size = size
    this.#borrowed = borrowed
  }

  /** Copies the piece, yielding each chunk that it completes. */
  *add(piece: Uint8Array): Generator<Uint8Array, void, undefined> {
    for (let from = 0; from < piece.length; ) {
      const bytes = this.#roomFor(piece.length - from)
      const count = Math.min(piece.length - from, bytes.length - this.length)
      bytes.set(piece.subarray(from, from + count), this.length)
      this.length += count
      from += count
      if (this.length === this.#size) yield this.take()
    }
  }

  /** Small for small results: memory of a whole chunk costs more than they do. */
  #roomFor(more: number): Uint8Array {
    const before = (this.#bytes ??= this.#free)
    if (before !== undefined && (before.length === this.#size || this.length + more <= before.length)) return before
    const bytes = new Uint8Array(Math.min(this.#size, Math.max(firstBytes, 4 * (this.length + more))))
    if (before !== undefined) bytes.set(before.subarray(0, this.length))
    return (this.#bytes = bytes)
  }

  /** Of what has been added there is something. */
  take(): Uint8Array {
    const bytes = this.#bytes!
    const chunk = bytes.subarray(0, this.length)
    this.#bytes = undefined
    this.length = 0
    if (this.#borrowed) {
      this.#free = this.#last
      this.#last = bytes
    }
    return chunk
  }
}
