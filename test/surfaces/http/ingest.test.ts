/** `POST /api/v1/ingest` over real sockets. Numbers in brackets are invariants of ingest-route.ts. */
import { brotliCompressSync, constants, gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { SydraError } from '../../../src/lib/errors.ts'
import { openRequest, rawExchange, start, until } from './harness.ts'

const line = (value: number) => `${JSON.stringify({ series: 'cpu', ts: value, value })}\n`
const lines = (count: number) => Array.from({ length: count }, (_, i) => line(i)).join('')
const ndjson = { 'content-type': 'application/x-ndjson' }
const json = { 'content-type': 'application/json' }

describe('NDJSON', () => {
  test('is counted', async () => {
    const { post, fake } = await start()
    const { status, json } = await post('/api/v1/ingest', lines(1000), ndjson)
    expect([status, json]).toEqual([200, { ingested: 1000 }])
    expect(fake.rows).toHaveLength(1000)
  })

  test('a last line without newline counts, blank lines do not; an empty body is no row', async () => {
    const { post } = await start()
    expect((await post('/api/v1/ingest', `\n${line(1)}\n${line(2).trim()}`)).json).toEqual({ ingested: 2 })
    expect((await post('/api/v1/ingest', '')).json).toEqual({ ingested: 0 })
  })

  test('options reach the database; unknown and wrong ones are refused with a hint', async () => {
    const { post, fake } = await start()
    await post('/api/v1/ingest?precision=ms&on_error=abort', line(1))
    expect(fake.ingestOptions[0]).toMatchObject({ precision: 'ms', onError: 'abort' })
    const misspelt = await post('/api/v1/ingest?precison=ms', line(1))
    expect([misspelt.status, misspelt.json.error]).toMatchObject([
      400,
      { code: 'bad_request', hint: 'did you mean "precision"?' },
    ])
    expect((await post('/api/v1/ingest?precision=min', line(1))).json.error?.message).toContain('s, ms, us, ns')
    expect((await post('/api/v1/ingest?ack=stream&ack=stream', line(1))).status).toBe(400)
  })

  test('bad lines are reported, the good ones stored [2]', async () => {
    const { post, fake } = await start()
    const { status, json } = await post('/api/v1/ingest', `${line(1)}oops\n${line(2)}{}\n`)
    expect(status).toBe(400)
    expect(json).toMatchObject({
      ingested: 2,
      rejected: 2,
      errors: [
        { line: 2, code: 'invalid_json' },
        { line: 4, code: 'invalid_row' },
      ],
    })
    expect(json).not.toHaveProperty('error')
    expect(fake.rows).toHaveLength(2)
  })

  test('abort stops at the first bad line [2]', async () => {
    const { post } = await start()
    const { status, json } = await post('/api/v1/ingest?on_error=abort', `${line(1)}oops\n${line(2)}`)
    expect(status).toBe(400)
    expect(json).toMatchObject({ ingested: 1, rejected: 1, error: { code: 'invalid_json' } })
  })

  test('a line over 1 MiB is 413, what was before it stored and counted, and the client sees it [3]', async () => {
    const { post, fake } = await start()
    const long = `{"series":"${'x'.repeat(3 << 20)}"}\n`
    const { status, json, headers } = await post('/api/v1/ingest', lines(10) + long.repeat(3))
    expect([status, json.error?.code, json.ingested, json.rejected]).toEqual([413, 'line_too_long', 10, 0])
    expect(headers.get('connection')).toBe('close')
    expect(fake.rows).toHaveLength(10)
  })

  test('the source waits while the database does [1]', async () => {
    const { fake, port } = await start()
    fake.writeMs = 1500
    const { outgoing } = openRequest(port, '/api/v1/ingest')
    let accepted = 0
    const chunk = Buffer.from(lines(1000))
    const feed = (): void => {
      while (accepted < 64 << 20) {
        accepted += chunk.length
        if (!outgoing.write(chunk)) {
          outgoing.once('drain', feed)
          return
        }
      }
    }
    feed()
    await until(() => fake.writes.length === 1)
    const before = await stable(() => accepted)
    expect(fake.writes).toHaveLength(1)
    expect(before).toBeLessThan(32 << 20)
    outgoing.on('error', () => {}).destroy()
  })

  test('content types that are not rows are refused', async () => {
    const { post } = await start()
    const { status, json } = await post('/api/v1/ingest', 'x', { 'content-type': 'image/png' })
    expect([status, json.error?.code]).toEqual([415, 'unsupported_media_type'])
  })

  test('a database that takes nothing answers with its reason', async () => {
    const { post, fake } = await start()
    fake.refuse = new SydraError('overloaded', 'too many writers')
    const { status, headers, json } = await post('/api/v1/ingest', line(1))
    expect([status, headers.get('retry-after'), json.error?.code]).toEqual([503, '1', 'overloaded'])
  })
})

async function stable(read: () => number): Promise<number> {
  let last = -1
  while (read() !== last) {
    last = read()
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  return last
}

describe('Content-Encoding', () => {
  const packers = {
    gzip: gzipSync,
    zstd: zstdCompressSync,
    br: (data: string | Buffer) => brotliCompressSync(data, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }),
  } as const
  test.each(Object.entries(packers))('%s', async (encoding, pack) => {
    const { post, fake } = await start()
    const { status, json } = await post('/api/v1/ingest', pack(lines(20_000)), { 'content-encoding': encoding })
    expect([status, json]).toEqual([200, { ingested: 20_000 }])
    expect(fake.rows).toHaveLength(20_000)
  })

  test.each(Object.entries(packers))('%s cut off: what was good is stored [2]', async (encoding, pack) => {
    const { post, fake } = await start()
    const packed = pack(Buffer.from(Array.from({ length: 50_000 }, (_, i) => line((i * 7919) % 100_003)).join('')))
    const half = packed.subarray(0, packed.length >> 1)
    const { status, json } = await post('/api/v1/ingest', half, { 'content-encoding': encoding })
    expect([status, json.error?.code]).toEqual([400, 'truncated_body'])
    expect(json.ingested).toBeGreaterThan(1000)
    expect(json.ingested).toBe(fake.rows.length)
  })

  test('what a decoder gave before the damage is stored, even while the source waits [2]', async () => {
    const { post, fake } = await start()
    fake.writeMs = 5
    const good = gzipSync(lines(20_000))
    const damaged = Buffer.concat([good.subarray(0, good.length - 8), Buffer.alloc(8)])
    const { json } = await post('/api/v1/ingest', damaged, { 'content-encoding': 'gzip' })
    expect([json.error?.code, json.ingested]).toEqual(['truncated_body', fake.rows.length])
    // zlib keeps to itself what it decoded in the call that failed: at most a chunk of 64 KiB
    expect(json.ingested).toBeGreaterThan(18_000)
  })

  test('that is none of ours is 415, and garbage is 400', async () => {
    const { post } = await start()
    const compress = await post('/api/v1/ingest', line(1), { 'content-encoding': 'compress' })
    expect([compress.status, compress.json.error?.code]).toEqual([415, 'unsupported_encoding'])
    expect(compress.headers.get('accept-encoding')).toBe('gzip, zstd, br')
    const garbage = await post('/api/v1/ingest', line(1), { 'content-encoding': 'gzip' })
    expect([garbage.status, garbage.json.error?.code, garbage.json.ingested]).toEqual([400, 'truncated_body', 0])
    const long = await post('/api/v1/ingest', line(1).repeat(500_000), { 'content-encoding': 'gzip' })
    expect([long.status, long.json.error?.code]).toEqual([400, 'truncated_body'])
  })

  test('a bomb is a line too long, not memory [1]', async () => {
    const { post, fake } = await start()
    const bomb = gzipSync(Buffer.alloc(64 << 20, 32))
    const { status, json } = await post('/api/v1/ingest', bomb, { 'content-encoding': 'gzip' })
    expect([status, json.error?.code]).toEqual([413, 'line_too_long'])
    expect(fake.writes.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(2 << 20)
  })
})

describe('application/json', () => {
  test('one row, or an array of any length', async () => {
    const { post, fake } = await start()
    expect((await post('/api/v1/ingest', line(1), json)).json).toEqual({ ingested: 1 })
    const many = JSON.stringify(
      Array.from({ length: 5000 }, (_, i) => ({ series: 'a"\n', value: i, tags: { h: 'ä\u0000' } })),
    )
    expect((await post('/api/v1/ingest', many, json)).json).toEqual({ ingested: 5000 })
    expect(fake.rows.at(-1)).toEqual({ series: 'a"\n', value: 4999, tags: { h: 'ä\u0000' } })
    expect((await post('/api/v1/ingest', ' [ ] ', json)).json).toEqual({ ingested: 0 })
  })

  test('rows are counted by their index', async () => {
    const { post } = await start()
    const { json: answer } = await post('/api/v1/ingest', '[{"series":"a"}, 5, {"x":[1,{"y":null}]}]', json)
    expect(answer).toMatchObject({ ingested: 1, rejected: 2, errors: [{ line: 2 }, { line: 3 }] })
  })

  test('that breaks ends with its reason, the rows before it stored [2]', async () => {
    const { post } = await start()
    const rows = Array.from({ length: 1000 }, (_, i) => line(i).trim()).join(',')
    for (const [body, code] of [
      [`[${rows},oops]`, 'invalid_json'],
      [`[${rows},{"series":`, 'truncated_body'],
      [`[${rows}`, 'truncated_body'],
      [`[${rows}] []`, 'invalid_json'],
      [`[${rows},${'['.repeat(100)}`, 'invalid_json'],
      [Buffer.concat([Buffer.from(`[${rows},"`), Buffer.of(0xff, 0xfe), Buffer.from('"]')]), 'invalid_utf8'],
    ] as const) {
      const { status, json: answer } = await post('/api/v1/ingest', body, json)
      expect([status, answer.error?.code]).toEqual([400, code])
      expect(answer.ingested).toBeGreaterThan(900)
    }
    expect((await post('/api/v1/ingest', '', json)).json.error?.code).toBe('invalid_json')
  })

  test('one endless element is refused, not gathered [1]', async () => {
    const { post, fake } = await start()
    for (const endless of ['"'.padEnd(8 << 20, 'x'), '1'.repeat(8 << 20), `{"a":[${'1,'.repeat(4 << 20)}`]) {
      const { status, json: answer } = await post('/api/v1/ingest', `[{"series":"a"},${endless}`, json)
      expect([status, answer.error?.code, answer.ingested]).toEqual([413, 'line_too_long', 1])
    }
    expect(fake.rows).toHaveLength(3)
  })
})

describe('endless pipes', () => {
  test('every read commits; ack=stream tells how far', async () => {
    const { fake, port } = await start()
    const { outgoing, received, answered } = openRequest(port, '/api/v1/ingest?ack=stream')
    outgoing.write(line(1) + line(2))
    await until(() => received.join('').includes('"lines":2'))
    outgoing.write(line(3) + line(4).slice(0, 5))
    await until(() => received.join('').includes('"lines":3'))
    expect(fake.rows).toHaveLength(3)
    outgoing.end(line(4).slice(5))
    const { status, text } = await answered
    expect(status).toBe(200)
    expect(
      text
        .trim()
        .split('\n')
        .map(one => JSON.parse(one)),
    ).toEqual([{ lines: 2, lsn: 2 }, { lines: 3, lsn: 3 }, { lines: 4, lsn: 4 }, { ingested: 4 }])
  })

  test('cut off half way: complete lines are stored, the torn one is not [2]', async () => {
    const { fake, port } = await start()
    const head = 'POST /api/v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n'
    await rawExchange(port, head + lines(5) + line(6).slice(0, -3), 'destroy')
    await until(() => fake.cuts === 1)
    expect(fake.rows).toHaveLength(5)
    expect(await rawExchange(port, head + lines(5), 'end')).toMatch(/^HTTP\/1.1 400 .*truncated_body/s)
    await until(() => fake.cuts === 2)
    expect(fake.rows).toHaveLength(10)
  })

  test('a broken-off compressed body is cut too [2]', async () => {
    const { fake, port } = await start()
    const { outgoing } = openRequest(port, '/api/v1/ingest', { 'content-encoding': 'gzip' })
    const packed = gzipSync(Array.from({ length: 50_000 }, (_, i) => line((i * 7919) % 100_003)).join(''))
    outgoing.write(packed.subarray(0, packed.length - 100))
    await until(() => fake.rows.length > 40_000)
    outgoing.on('error', () => {}).destroy()
    await until(() => fake.cuts === 1)
  })

  test('closing the server answers open bodies with their counts [2]', async () => {
    const { fake, server, port } = await start()
    const { outgoing, answered } = openRequest(port, '/api/v1/ingest')
    outgoing.write(lines(7))
    await until(() => fake.rows.length === 7)
    const closed = server.close()
    const { status, text } = await answered
    expect(status).toBe(503)
    expect(JSON.parse(text)).toMatchObject({ ingested: 7, error: { code: 'shutting_down' } })
    await closed
  })
})
