/**
 * A sort in memory against one that goes on in temporary files.
 *
 *   npx node bench/spill.ts [rows in millions]
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Batch, InterningDictionary, type Schema } from '../src/columnar/batch.ts'
import { referenceKernels } from '../src/kernels/reference-kernels.ts'
import { nodeFiles } from '../src/lib/node/files.ts'
import { startExecution } from '../src/operators/execution.ts'
import { sort } from '../src/operators/sort.ts'
import { spillSpace } from '../src/operators/spill/space.ts'
import { fakeCatalog, fakeContext } from '../test/operators/fake-database.ts'

const millions = Number(process.argv[2] ?? 8)
const batchRows = 8192
const batches = Math.round((millions * 1e6) / batchRows)
const MiB = 2 ** 20

const schema: Schema = [
  { name: 'time', type: 'timestamp', nullable: false },
  { name: 'value', type: 'float', nullable: false },
  { name: 'user', type: 'string', nullable: false },
]
const users = new InterningDictionary(Array.from({ length: 1e6 }, (_, i) => `user-${i}`))

/** The same pseudo-random rows each time. */
async function* rows(): AsyncGenerator<Batch, void, undefined> {
  let state = 12_345
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    return (state >>> 0) / 2 ** 32
  }
  const times = new Float64Array(batchRows)
  const values = new Float64Array(batchRows)
  const codes = new Uint32Array(batchRows)
  for (let n = 0; n < batches; n++) {
    for (let row = 0; row < batchRows; row++) {
      times[row] = 1.7e15 + (n * batchRows + row) * 1e6
      values[row] = random() * 100
      codes[row] = random() * 1e6
    }
    yield {
      length: batchRows,
      columns: [
        { type: 'timestamp', values: times, valid: undefined },
        { type: 'float', values, valid: undefined },
        { type: 'string', values: codes, dictionary: users, valid: undefined },
      ],
      selection: undefined,
    }
  }
}

async function sorted(by: 'value' | 'user', memoryMaxBytes: number, directory: string | undefined): Promise<void> {
  const { signal } = new AbortController()
  const limits = { memoryMaxBytes, bytesMax: 2 ** 36 }
  const spill = directory === undefined ? undefined : spillSpace(nodeFiles, directory, limits).open(signal)
  const database = { catalog: fakeCatalog({ cpu: { usage: 'float' } }, []), series: [], pieces: {} }
  const execution = startExecution(
    fakeContext(database, {
      kernels: referenceKernels,
      clock: { nowUs: () => 0, monotonicMs: () => performance.now() },
      memoryMaxBytes,
      spill,
      signal,
    }),
  )
  const { type } = schema.find(({ name }) => name === by)!
  const expr = { kind: 'column', name: by, type, span: { start: 0, end: 0 } } as const
  const node = {
    kind: 'sort',
    input: { kind: 'values', rows: [], schema },
    keys: [{ expr, descending: false, nulls: 'last' }],
    limit: undefined,
    schema,
  } as const
  const startedMs = performance.now()
  const cpu = process.cpuUsage()
  let count = 0
  for await (const batch of sort(node, schema, rows(), execution)) count += batch.length
  const seconds = (performance.now() - startedMs) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const cpuSeconds = (user + system) / 1e6
  const where =
    spill === undefined
      ? 'in memory'
      : `${memoryMaxBytes / MiB} MiB, ${(spill.writtenBytes / 1e6).toFixed(0)} MB written`
  console.log(
    `${(count / 1e6).toFixed(1)} M rows by ${by}, ${where}: ${seconds.toFixed(2)} s, ${cpuSeconds.toFixed(2)} s of CPU`,
  )
}

const startedMs = performance.now()
for await (const _ of rows());
console.log(`making the rows: ${((performance.now() - startedMs) / 1000).toFixed(2)} s`)
const directory = mkdtempSync(join(tmpdir(), 'sydradb-spill-'))
try {
  for (const by of ['value', 'user'] as const) {
    await sorted(by, 2 ** 33, undefined)
    await sorted(by, 64 * MiB, directory)
  }
  console.log(`files left: ${readdirSync(join(directory, 'tmp')).length}`)
} finally {
  rmSync(directory, { recursive: true })
}
