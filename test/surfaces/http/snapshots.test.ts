/** Snapshots over HTTP, and as the command line asks a server for them. */
import { expect, onTestFinished, test } from 'vitest'
import { type Database, open } from '../../../src/index.ts'
import { parseSettings } from '../../../src/lib/settings.ts'
import { connect } from '../../../src/surfaces/cli/remote.ts'
import { createHttpServer } from '../../../src/surfaces/http/server.ts'

const row = (value: number, host = 'a') => ({ series: 'cpu', ts: 1_700_000_000 + value, value, tags: { host } })

async function start() {
  const db = await open(':memory:')
  const server = await createHttpServer(db, parseSettings({ httpPort: 0 }))
  onTestFinished(async () => {
    await server.close()
    await db.close()
  })
  const call = async (method: string, path: string, body?: object) => {
    const json =
      body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
    const response = await fetch(server.address + path, { method, ...json })
    return { status: response.status, text: await response.text() }
  }
  const json = async (method: string, path: string, body?: object) => {
    const { status, text } = await call(method, path, body)
    return { status, body: JSON.parse(text) }
  }
  return { db, server, call, json }
}

const count = async (db: Database): Promise<unknown> =>
  (await db.query<{ n: number }>('select count(*) n from cpu').first())?.n

test('taken, listed, compared, restored, forgotten', async () => {
  const { db, call, json } = await start()
  await db.ingest([row(1), row(2)])
  const first = await json('POST', '/api/v1/snapshots', { name: 'first', message: 'two rows' })
  expect(first).toMatchObject({ status: 200, body: { names: ['first'], is_head: true, rows: 2, message: 'two rows' } })
  expect(await json('POST', '/api/v1/snapshots', { name: 'first' })).toMatchObject({
    status: 409,
    body: { error: { code: 'already_exists' } },
  })
  await db.ingest([row(3), row(4, 'b')])
  const second = await json('POST', '/api/v1/snapshots')
  expect(second).toMatchObject({ status: 200, body: { rows: 4, parent: first.body.id } })
  const list = await json('GET', '/api/v1/snapshots')
  expect(list.body.map(({ id }: { id: string }) => id)).toEqual([second.body.id, first.body.id])

  const { text } = await call('GET', '/api/v1/diff?before=first')
  expect(
    text
      .trim()
      .split('\n')
      .map(line => JSON.parse(line)),
  ).toEqual([
    { metric: 'cpu', series: 'cpu{host="a"}', added: 1, removed: 0, changed: 0 },
    { metric: 'cpu', series: 'cpu{host="b"}', only: 'after', added: 1, removed: 0, changed: 0 },
    { summary: { series: 2, added: 2, removed: 0, changed: 0 } },
  ])
  expect(await json('POST', '/api/v1/restore', { ref: 'first', dry_run: true })).toMatchObject({
    body: { dry_run: true },
  })
  expect(await count(db)).toBe(4)
  expect(await json('POST', '/api/v1/restore', { ref: 'first' })).toMatchObject({ status: 200 })
  expect(await count(db)).toBe(2)

  expect((await json('DELETE', `/api/v1/snapshots/${second.body.names[0]}`)).status).toBe(200)
  expect((await json('POST', '/api/v1/gc')).body).toMatchObject({ removed: expect.any(Number) })
  expect((await json('GET', '/api/v1/snapshots')).body).toHaveLength(1)
})

test('wrong requests say what is wrong', async () => {
  const { db, json } = await start()
  await db.ingest([row(1)])
  for (const [method, path, body, code] of [
    ['POST', '/api/v1/snapshots', { name: 'a/b' }, 'bad_request'],
    ['POST', '/api/v1/snapshots', { nam: 'a' }, 'bad_request'],
    ['POST', '/api/v1/restore', {}, 'bad_request'],
    ['POST', '/api/v1/restore', { ref: 'nothing' }, 'not_found'],
    ['DELETE', '/api/v1/snapshots/nothing', undefined, 'not_found'],
    ['GET', '/api/v1/diff', undefined, 'bad_request'],
    ['GET', '/api/v1/diff?before=nothing', undefined, 'not_found'],
  ] as const)
    expect((await json(method, path, body)).body.error.code, `${method} ${path}`).toBe(code)
})

test('the command line’s way to a server', async () => {
  const { db, server } = await start()
  await db.ingest([row(1)])
  const { snapshots } = connect(server.address, '')
  const taken = await snapshots.snapshot('a', { message: 'm' })
  expect(taken).toMatchObject({ names: ['a'], isHead: true, addedObjects: expect.any(Number) })
  await expect(snapshots.snapshot('b', { to: '/backup' })).rejects.toMatchObject({ code: 'bad_request' })
  await db.ingest([row(2)])
  await snapshots.snapshot('b')
  expect((await snapshots.snapshots()).map(({ names }) => names)).toEqual([['b'], ['a']])
  const found = []
  for await (const { added } of snapshots.diff('a')) found.push(added)
  expect(found).toEqual([1])
  expect((await snapshots.restore('a', {})).snapshot).toMatchObject({ names: ['a'], timeUs: taken.timeUs })
  expect(await count(db)).toBe(1)
  await snapshots.removeSnapshot('b')
  expect(await snapshots.gc()).toMatchObject({ removedBytes: expect.any(Number) })
})
