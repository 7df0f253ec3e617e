/** The envelope of a result as text: head, rows, exactly one ending. Numbers in brackets are invariants of result-text.ts. */
import { describe, expect, test } from 'vitest'
import type { Batch, Schema } from '../src/columnar/batch.ts'
import { textChunks } from '../src/engine/queries/result-text.ts'
import { SydraError } from '../src/lib/errors.ts'
import type { QueryStatistics, TextOptions } from '../src/types.ts'

const schema: Schema = [
  { name: 'time', type: 'timestamp', nullable: false },
  { name: 'value', type: 'float', nullable: true },
]
const stats = { rows_emitted: 2, trace_id: 'x' } as QueryStatistics
const failure = new SydraError('memory_limit', 'too\nmuch', { hint: 'ask for less' })

function batchOf(...rows: readonly (readonly [timeUs: number, value: number | null])[]): Batch {
  return {
    length: rows.length,
    columns: [
      { type: 'timestamp', values: Float64Array.from(rows, row => row[0]), valid: undefined },
      {
        type: 'float',
        values: Float64Array.from(rows, row => row[1] ?? 7),
        valid: Uint8Array.from(rows, row => Number(row[1] !== null)),
      },
    ],
    selection: undefined,
  }
}

async function* source(batches: readonly (Batch | Error)[], closed = () => {}) {
  try {
    for (const batch of batches) {
      if (batch instanceof Error) throw batch
      yield batch
    }
  } finally {
    closed()
  }
}

async function collect(batches: readonly (Batch | Error)[], options: TextOptions) {
  const chunks: string[] = []
  const failures: SydraError[] = []
  for await (const chunk of textChunks(
    schema,
    source(batches),
    () => stats,
    options,
    error => failures.push(error),
  ))
    chunks.push(new TextDecoder().decode(chunk))
  return { chunks, text: chunks.join(''), failures }
}

const columns = '[{"name":"time","type":"timestamp","nullable":false},{"name":"value","type":"float","nullable":true}]'
const rows = [batchOf([0, 1.5]), batchOf([1_000_000, null])]

describe('a whole result', () => {
  test('as json', async () => {
    const { text } = await collect(rows, { format: 'json' })
    expect(text).toBe(
      `{"columns":${columns},"rows":[["1970-01-01T00:00:00Z",1.5],["1970-01-01T00:00:01Z",null]],"stats":{"rows_emitted":2,"trace_id":"x"}}`,
    )
  })

  test('as ndjson', async () => {
    const { text } = await collect(rows, { format: 'ndjson', epoch: 'ms' })
    expect(text.split('\n')).toEqual([
      `{"columns":${columns}}`,
      '{"time":0,"value":1.5}',
      '{"time":1000,"value":null}',
      '{"stats":{"rows_emitted":2,"trace_id":"x"}}',
      '',
    ])
  })

  test('as csv', async () => {
    const { text } = await collect(rows, { format: 'csv' })
    expect(text).toBe('time,value\r\n1970-01-01T00:00:00Z,1.5\r\n1970-01-01T00:00:01Z,\r\n')
  })

  test('as a bare array of objects', async () => {
    const { text } = await collect(rows, { format: 'json', bare: true, epoch: 's' })
    expect(text).toBe('[{"time":0,"value":1.5},{"time":1,"value":null}]')
    expect((await collect([], { format: 'json', bare: true })).text).toBe('[]')
    const failed = await collect([rows[0]!, failure], { format: 'json', bare: true, epoch: 's' })
    expect(JSON.parse(failed.text)).toMatchObject([{ time: 0 }, { error: { code: 'memory_limit' } }])
  })

  test('without rows', async () => {
    expect((await collect([], { format: 'json' })).chunks).toEqual([
      `{"columns":${columns},"rows":[],"stats":{"rows_emitted":2,"trace_id":"x"}}`,
    ])
    expect((await collect([batchOf()], { format: 'csv' })).text).toBe('time,value\r\n')
  })
})

describe('an error', () => {
  test('before the first row rejects, also after empty batches [1]', async () => {
    await expect(collect([failure], { format: 'json' })).rejects.toBe(failure)
    await expect(collect([batchOf(), failure], { format: 'csv' })).rejects.toBe(failure)
  })

  test('after it takes the place of the stats [1]', async () => {
    const json = await collect([rows[0]!, failure], { format: 'json' })
    expect(JSON.parse(json.text)).toMatchObject({
      rows: [['1970-01-01T00:00:00Z', 1.5]],
      error: { code: 'memory_limit' },
    })
    expect(JSON.parse(json.text)).not.toHaveProperty('stats')
    expect(json.failures).toEqual([failure])
    const ndjson = await collect([rows[0]!, failure], { format: 'ndjson' })
    expect(JSON.parse(ndjson.text.trimEnd().split('\n').at(-1)!)).toEqual({
      error: { code: 'memory_limit', message: 'too\nmuch', hint: 'ask for less' },
    })
    const csv = await collect([rows[0]!, failure], { format: 'csv' })
    expect(csv.text).toMatch(/,1\.5\r\n# error memory_limit too much\r\n$/)
  })

  test('that is not a SydraError is an internal one', async () => {
    const { text, failures } = await collect([rows[0]!, new TypeError('oops')], { format: 'json' })
    expect(JSON.parse(text).error).toEqual({ code: 'internal_error', message: 'oops' })
    expect(failures[0]?.cause).toBeInstanceOf(TypeError)
  })
})

describe('chunks', () => {
  const many = Array.from({ length: 50 }, (_, i) =>
    batchOf(...Array.from({ length: 40 }, (_, j) => [i * j, j] as const)),
  )

  test('the first leaves with the first batch, later ones have the size asked for [2]', async () => {
    const { chunks, text } = await collect(many, { format: 'json', epoch: 'us', chunkBytes: 1000 })
    const alone = await collect(many.slice(0, 1), { format: 'json', epoch: 'us', chunkBytes: 1000 })
    expect(chunks[0]).toBe(alone.chunks[0])
    expect(chunks.slice(1, -1).every(chunk => chunk.length === 1000)).toBe(true)
    expect(JSON.parse(text).rows).toHaveLength(2000)
  })

  test('are the consumer’s own [3]', async () => {
    const kept: Uint8Array[] = []
    for await (const chunk of textChunks(schema, source(many), () => stats, { format: 'csv', chunkBytes: 100 }))
      kept.push(chunk)
    const again = await collect(many, { format: 'csv' })
    expect(Buffer.concat(kept).toString()).toBe(again.text)
  })

  test('that are borrowed stay until the second after is pulled, in the memory of two [3]', async () => {
    const again = await collect(many, { format: 'csv' })
    const memory = new Set<ArrayBufferLike>()
    let text = ''
    let before: Uint8Array | undefined
    const options = { format: 'csv', chunkBytes: 100, borrow: true } as const
    for await (const chunk of textChunks(schema, source(many), () => stats, options)) {
      // One behind, as who sends it is.
      if (before !== undefined) text += Buffer.from(before).toString()
      before = chunk
      memory.add(chunk.buffer)
    }
    expect(text + Buffer.from(before!).toString()).toBe(again.text)
    expect(memory.size).toBe(2)
  })

  test('the first batch is written before the second is pulled [2]', async () => {
    let pulled = 0
    async function* counting() {
      for (const batch of many) {
        pulled++
        yield batch
      }
    }
    const chunks = textChunks(schema, counting(), () => stats, { format: 'json' })
    await chunks.next()
    expect(pulled).toBe(1)
    await chunks.return()
  })

  test('returning early closes the source [4]', async () => {
    let closed = false
    const chunks = textChunks(
      schema,
      source(many, () => {
        closed = true
      }),
      () => stats,
      { format: 'json', chunkBytes: 64 },
    )
    await chunks.next()
    await chunks.return()
    expect(closed).toBe(true)
  })
})
