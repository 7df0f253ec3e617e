/** Readers that go away, signals, and a server's whole life. */
import { existsSync, readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cli, lines, serve, start, temporaryDirectory, until } from './process.ts'

test('a reader that goes away ends a query quietly; SIGINT ends one with 130', async () => {
  const rowCount = 50_000
  const dir = temporaryDirectory()
  const row = (i: number): string => `{"series":"n","ts":${1_700_000_000 + i},"value":${i}}\n`
  const input = Array.from({ length: rowCount }, (_, i) => row(i)).join('')
  expect((await cli(['ingest', '--data-dir', dir], { input })).code).toBe(0)

  const head = start(['sql', 'select * from n', '--data-dir', dir])
  head.child.stdout.once('data', () => head.child.stdout.destroy())
  expect(await head.ended).toMatchObject({ code: 0, stderr: '' })

  // more than a pipe holds, and nobody reads: it can not be done before the signal
  const unread = start(['sql', 'select * from n', '--data-dir', dir])
  unread.child.stdout.once('data', () => {
    unread.child.stdout.pause()
    unread.child.kill('SIGINT')
    setTimeout(() => unread.child.stdout.resume(), 50)
  })
  const { code, stderr, stdout } = await unread.ended
  expect({ code, stderr }).toEqual({ code: 130, stderr: 'interrupted\n' })
  expect(lines(stdout).length).toBeLessThan(rowCount)
})

test('SIGINT ends what waits for input: a statement; rows, of which the complete lines are stored', async () => {
  const [empty, dir] = [temporaryDirectory(), temporaryDirectory()]
  const statement = start(['sql', '--data-dir', empty])
  const rows = start(['ingest', '--data-dir', dir])
  rows.child.stdin.write('{"series":"n","fields":{"marker":1}}\n{"series":"n","fields":{"mark')
  // the signal is minded before the directory is opened
  await until(() => existsSync(join(empty, 'LOCK')), statement.child)
  const wal = join(dir, 'wal', 'current.wal')
  await until(() => existsSync(wal) && readFileSync(wal).includes('marker'), rows.child)
  statement.child.kill('SIGINT')
  rows.child.kill('SIGINT')
  expect(await statement.ended).toEqual({ code: 130, stdout: '', stderr: 'interrupted\n' })
  const stopped = await rows.ended
  expect(stopped.code).toBe(130)
  expect(stopped.stderr).toMatch(/^1 rows stored[^\n]*\ninterrupted\n$/)
})

test('serve: one line on stdout; SIGTERM answers an open body, flushes, and leaves with 0', async () => {
  const dir = temporaryDirectory()
  const first = await serve(['serve', '--data-dir', dir])
  const body = request(`${first.address}/api/v1/ingest?ack=stream`, { method: 'POST' })
  let answer = ''
  const answered = new Promise<void>((resolve, reject) => {
    body.on('error', reject).on('response', response => {
      response.setEncoding('utf8').on('data', (text: string) => {
        answer += text
      })
      response.on('end', resolve).on('error', reject)
    })
  })
  body.write('{"series":"n","value":1}\n{"series":"n","value":2}\n{"series":"n"')
  await until(() => answer.includes('"lsn"'), first.child)

  const second = await cli(['sql', 'show metrics', '--data-dir', dir])
  expect(second).toMatchObject({ code: 1, stdout: '' })
  expect(second.stderr).toContain(String(first.child.pid))

  first.child.kill('SIGTERM')
  await answered
  expect(JSON.parse(lines(answer).at(-1)!)).toMatchObject({ ingested: 2, error: { code: 'shutting_down' } })
  const ended = await first.ended
  expect(ended.code).toBe(0)
  expect(ended.stdout).toBe(`sydradb listening on ${first.address} (data in ${dir})\n`)
  // the log: JSON lines
  for (const line of lines(ended.stderr)) expect(JSON.parse(line)).toMatchObject({ name: 'sydradb' })
  expect(existsSync(join(dir, 'LOCK'))).toBe(false)

  // without a command it serves too, where the environment says
  const again = await serve([], { env: { SYDRADB_DATA_DIR: dir } })
  const count = await fetch(`${again.address}/api/v1/sydraql?format=csv`, {
    method: 'POST',
    body: 'select count(*) as n from n',
  })
  expect(await count.text()).toBe('n\r\n2\r\n')
  again.child.kill('SIGINT')
  expect((await again.ended).code).toBe(0)
})

test.runIf(existsSync('/proc/self/cmdline'))(
  'a server has a small young generation, and one heap, or what it was given',
  async () => {
    const commandOf = ({ pid }: { readonly pid?: number | undefined }): string =>
      readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    const bounded = await serve(['serve', '--data-dir', temporaryDirectory()])
    expect(commandOf(bounded.child).split('\0')).toContain('--max-semi-space-size=4')
    expect(readFileSync(`/proc/${bounded.child.pid}/environ`, 'utf8').split('\0')).toContain('MALLOC_ARENA_MAX=1')
    const given = await serve(['--data-dir', temporaryDirectory()], {
      env: { NODE_OPTIONS: '--max_semi_space_size=32' },
    })
    expect(commandOf(given.child)).not.toContain('semi-space')
    for (const { child, ended } of [bounded, given]) {
      child.kill('SIGTERM')
      expect((await ended).code).toBe(0)
    }
  },
)
