/**
 * Merging sorted runs: a tree of losers over one cursor per run (Knuth, The Art of Computer Programming 3, 5.4.1).
 *
 *   runs (in the order of their rows' arrival)  ->  at most `fanInMax` at once, in passes  ->  batches in order
 *
 * Invariants:
 * 1. Stable: of equal rows those of the earlier run come first. A pass merges neighbouring runs, so that it stays so.
 * 2. Memory is a block per run and an output batch.
 * 3. A run is removed as soon as it is read.
 */
import type { Batch, Schema } from '../../columnar/batch.ts'
import type { Execution } from '../execution.ts'
import { blockBytes, RunWriter, type SpillRun } from '../spill/run.ts'
import { Cursor, precedes } from './cursor.ts'
import { Gatherer } from './gatherer.ts'
import type { SortColumn } from './key-words.ts'

/** Runs merged at once, where memory allows: each has a block in memory, in bytes and decoded. */
const fanInMax = 64
const fanInMin = 4
const blocksPerRun = 4

const fanIn = (execution: Execution): number =>
  Math.max(fanInMin, Math.min(fanInMax, Math.floor(execution.memoryMaxBytes / (blocksPerRun * blockBytes(execution)))))

/** Yields the rows of all runs in order, and removes the runs. Each batch is borrowed until the next is pulled. */
export async function* mergeRuns(
  runs: SpillRun[],
  schema: Schema,
  keys: readonly SortColumn[],
  execution: Execution,
): AsyncGenerator<Batch, void, undefined> {
  const width = fanIn(execution)
  while (runs.length > width) {
    // As few as make the rest fit: what need not be merged twice is not.
    const count = Math.min(width, runs.length - width + 1)
    let smallest = 0
    let least = Infinity
    for (let from = 0; from + count <= runs.length; from++) {
      const bytes = runs.slice(from, from + count).reduce((sum, run) => sum + run.bytes, 0)
      if (bytes >= least) continue
      least = bytes
      smallest = from
    }
    const merged = await mergedRun(runs.slice(smallest, smallest + count), schema, keys, execution)
    runs.splice(smallest, count, merged)
  }
  yield* mergeAtOnce(runs, schema, keys, execution)
}

async function mergedRun(
  runs: readonly SpillRun[],
  schema: Schema,
  keys: readonly SortColumn[],
  execution: Execution,
): Promise<SpillRun> {
  const writer = new RunWriter(schema, execution.spill!, execution)
  try {
    for await (const batch of mergeAtOnce(runs, schema, keys, execution)) writer.append(batch)
    return writer.finish()
  } catch (error) {
    writer.remove()
    throw error
  }
}

async function* mergeAtOnce(
  runs: readonly SpillRun[],
  schema: Schema,
  keys: readonly SortColumn[],
  execution: Execution,
): AsyncGenerator<Batch, void, undefined> {
  const owner = {}
  const cursors = runs.map((run, index) => new Cursor(run, index, keys))
  try {
    execution.memory.tryHold(owner, cursors.length * blocksPerRun * blockBytes(execution))
    const tree = new LoserTree(cursors)
    const out = new Gatherer(schema, cursors, execution.batchRows)
    for (;;) {
      const cursor = tree.winner
      if (cursor === undefined) break
      out.add(cursor.index, cursor.row)
      const atBlockEnd = cursor.row + 1 === cursor.rows
      // The rows of a block are taken before the next block replaces them.
      if (atBlockEnd) out.gather()
      if (out.isFull) {
        yield out.take()
        await execution.pace()
      }
      cursor.advance()
      tree.replay()
    }
    if (out.length > 0) yield out.take()
  } finally {
    for (const cursor of cursors) cursor.close()
    for (const run of runs) run.remove()
    execution.memory.release(owner)
  }
}

/**
 * `losers[1…]`: the cursor that lost at each inner node; the winner of all is kept apart. Leaf i is node n + i.
 * The first words of the cursors' rows stand side by side: they decide most matches.
 */
class LoserTree {
  readonly #cursors: readonly Cursor[]
  readonly #losers: Int32Array
  /** The first word of each cursor's row, or `ended`. */
  readonly #heads: Float64Array
  #winner: number

  constructor(cursors: readonly Cursor[]) {
    this.#cursors = cursors
    this.#losers = new Int32Array(cursors.length)
    this.#heads = Float64Array.from(cursors, headOf)
    this.#winner = cursors.length === 0 ? -1 : this.#play(1)
  }

  get winner(): Cursor | undefined {
    const cursor = this.#cursors[this.#winner]
    return cursor?.ended === false ? cursor : undefined
  }

  /** After the winner has moved on: it meets those who lost on its way. */
  replay(): void {
    const cursors = this.#cursors
    const losers = this.#losers
    const heads = this.#heads
    let best = this.#winner
    let head = headOf(cursors[best]!)
    heads[best] = head
    for (let node = (best + cursors.length) >>> 1; node > 0; node >>>= 1) {
      const other = losers[node]!
      const otherHead = heads[other]!
      if (otherHead > head || (otherHead === head && !precedes(cursors[other]!, cursors[best]!))) continue
      losers[node] = best
      best = other
      head = otherHead
    }
    this.#winner = best
  }

  #play(node: number): number {
    const count = this.#cursors.length
    if (node >= count) return node - count
    const left = this.#play(2 * node)
    const right = this.#play(2 * node + 1)
    const leftWins = precedes(this.#cursors[left]!, this.#cursors[right]!)
    this.#losers[node] = leftWins ? right : left
    return leftWins ? left : right
  }
}

/** Above every word. */
const ended = 2 ** 33

const headOf = (cursor: Cursor): number => {
  if (cursor.ended) return ended
  const [first] = cursor.keys
  return first === undefined ? 0 : first.high[cursor.row]!
}
