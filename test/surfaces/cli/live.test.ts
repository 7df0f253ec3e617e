/** `watch` and `tail` in processes of their own: against a server that is killed and comes back, and on a directory. */
import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cli, held, lines, serve, start, temporaryDirectory, until } from './process.ts'

const row = (second: number, value: number, host = 'a'): string =>
  `${JSON.stringify({ series: 'cpu', ts: `2024-03-01T00:00:0${second}Z`, value, tags: { host } })}\n`
const ingest = (address: string, ...rows: string[]): Promise<Response> =>
  fetch(`${address}/api/v1/ingest`, { method: 'POST', body: rows.join('') })
const time = (second: number): string => `2024-03-01T00:00:0${second}Z`

interface Told {
  readonly event: string
  readonly id: string | null
  readonly lsn: number
  readonly [name: string]: unknown
}
const toldBy = ({ texts }: { readonly texts: { readonly stdout: string } }): Told[] =>
  lines(texts.stdout.slice(0, texts.stdout.lastIndexOf('\n') + 1)).map(line => JSON.parse(line))
const hasSnapshot = (run: Parameters<typeof toldBy>[0]): boolean =>
  toldBy(run).some(({ event }) => event === 'snapshot_end')
/** Time and value of every row that came; what one who comes back has missed may be told as changed. */
const rowsIn = (run: Parameters<typeof toldBy>[0]): unknown[][] =>
  toldBy(run)
    .flatMap(told => [...((told['added'] ?? []) as unknown[][]), ...((told['changed'] ?? []) as unknown[][])])
    .map(cells => cells.slice(0, 2))

test('against a server that is killed and comes back, nothing is missed and nothing told twice', async () => {
  const dir = temporaryDirectory()
  const first = await serve(['serve', '--data-dir', dir, '--auth-token', 'secret'])
  const headers = { authorization: 'Bearer secret' }
  const write = async (address: string, ...rows: string[]): Promise<void> => {
    const answer = await fetch(`${address}/api/v1/ingest`, { method: 'POST', body: rows.join(''), headers })
    expect(await answer.json()).toEqual({ ingested: rows.length })
  }
  await write(first.address, row(0, 1), row(0, 1, 'b'))
  const at = ['--url', first.address, '--auth-token', 'secret']
  const watch = start(['watch', 'select time, value from cpu where tag.host = $1', '--param', 'a', ...at])
  const tail = start(['tail', 'cpu', 'host=a', '--history', 'all', '--format', 'csv', ...at])
  const count = start(['watch', 'select count(*) as n from cpu', '--json', ...at])
  await until(() => hasSnapshot(watch) && hasSnapshot(count), watch.child)
  await until(() => tail.texts.stdout.includes('00:00Z'), tail.child)
  await write(first.address, row(1, 2), row(1, 3, 'b'))
  await until(() => rowsIn(watch).length === 1 && tail.texts.stdout.includes('00:01Z'), watch.child)

  first.child.kill('SIGKILL')
  await first.ended
  const isReconnecting = (run: { readonly texts: { readonly stderr: string } }): boolean =>
    run.texts.stderr.startsWith('reconnecting: ')
  await until(() => isReconnecting(watch) && isReconnecting(tail) && isReconnecting(count), watch.child)
  const { port } = new URL(first.address)
  const second = start(['serve', '--data-dir', dir, '--auth-token', 'secret', '--http-port', port])
  await until(() => second.texts.stdout.includes('\n'), second.child)
  await write(first.address, row(2, 4), row(3, 5))
  await until(() => rowsIn(watch).length >= 3, watch.child)
  await until(() => tail.texts.stdout.includes('00:03Z'), tail.child)
  await until(() => count.texts.stdout.includes('[[6]]'), count.child)

  for (const run of [watch, tail, count]) run.child.kill('SIGINT')
  const outcomes = await Promise.all([watch.ended, tail.ended, count.ended])
  for (const { code, stderr } of outcomes) {
    expect(code).toBe(130)
    expect(stderr).toMatch(/^reconnecting: .*\nconnected again\ninterrupted\n$/)
  }
  const [snapshot, end, ...rest] = toldBy(watch)
  expect(snapshot).toMatchObject({ event: 'snapshot', id: null, strategy: 'tail', rows: [] })
  expect(end).toMatchObject({ event: 'snapshot_end', rows: 0 })
  expect(rest.every(({ event }) => event === 'delta' || event === 'progress')).toBe(true)
  expect(rowsIn(watch)).toEqual([
    [time(1), 2],
    [time(2), 4],
    [time(3), 5],
  ])
  expect(tail.texts.stdout).toBe(
    `time,tag.host,value\r\n${[1, 2, 4, 5].map((value, second) => `${time(second)},a,${value}\r\n`).join('')}`,
  )
  second.child.kill('SIGTERM')
  expect((await second.ended).code).toBe(0)
})

test('what is wrong is told like the errors of other commands', async () => {
  const { address } = await serve(['serve', '--data-dir', ':memory:'])
  await ingest(address, row(0, 1))
  const at = ['--url', address]
  const [column, insert, metric, asJson, gone] = await Promise.all([
    cli(['watch', 'select valu from cpu', ...at]),
    held(['watch', 'insert into cpu values (now(), 1)', ...at]),
    held(['tail', 'cpuu', ...at]),
    held(['tail', 'cpuu', '--json', ...at]),
    held(['tail', 'cpu', '--url', 'http://127.0.0.1:1']),
  ])
  expect(column).toMatchObject({ code: 1, stdout: '' })
  expect(column.stderr).toMatch(
    /^sydradb: .*"valu"\n {2}select valu from cpu\n {9}\^{4}\n {2}did you mean "value"\?\n$/,
  )
  expect(insert).toMatchObject({ code: 1, stdout: '' })
  expect(insert.stderr).toContain('cannot be live')
  expect(metric).toMatchObject({ code: 1, stdout: '' })
  expect(metric.stderr).toContain('"cpuu"')
  expect(JSON.parse(asJson.stderr).error).toMatchObject({ code: 'unknown_metric' })
  expect(gone.stderr).toContain('is the server running?')
})

test('on a directory: what is there, then waiting, until it is interrupted', async () => {
  const dir = join(temporaryDirectory(), 'data')
  expect((await held(['ingest', '--data-dir', dir], { input: row(0, 1) + row(1, 2, 'b') + row(2, 3) })).code).toBe(0)
  const tail = start(['tail', 'cpu', 'host=a', '--history', 'all', '--data-dir', dir])
  await until(() => lines(tail.texts.stdout).length === 2, tail.child)
  tail.child.kill('SIGINT')
  expect(await tail.ended).toMatchObject({ code: 130, stderr: 'interrupted\n' })
  expect(lines(tail.texts.stdout).map(line => JSON.parse(line))).toEqual([
    { time: time(0), 'tag.host': 'a', value: 1 },
    { time: time(2), 'tag.host': 'a', value: 3 },
  ])
  const watch = start(['watch', 'select tag.host, max(value) as top from cpu group by tag.host', '--data-dir', dir])
  await until(() => hasSnapshot(watch), watch.child)
  watch.child.kill('SIGINT')
  expect((await watch.ended).code).toBe(130)
  expect(toldBy(watch)[0]).toMatchObject({
    event: 'snapshot',
    strategy: 'groups',
    rows: [
      ['a', 3],
      ['b', 2],
    ],
  })
})

const hasTerminals = spawnSync('script', ['--version']).status === 0 && process.platform === 'linux'
test.runIf(hasTerminals)('on a terminal: a table on the alternate screen, which is left in the end', async () => {
  const dir = join(temporaryDirectory(), 'data')
  const input = [0, 1, 2].map(second => row(second, second * second)).join('')
  expect((await held(['ingest', '--data-dir', dir], { input })).code).toBe(0)
  const main = new URL('../../../src/surfaces/cli/main.ts', import.meta.url).pathname
  const command = `exec '${process.execPath}' '${main}' watch 'select time_bucket(1s, time) as t, max(value) as top from cpu group by t' --data-dir '${dir}' --no-color`
  const terminal = spawn('script', ['--quiet', '--return', '--flush', '--command', command, '/dev/null'])
  let shown = ''
  terminal.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text
  })
  const ended = new Promise(resolve => terminal.once('close', resolve))
  await until(() => shown.includes('live'), terminal)
  terminal.stdin.write('\u0003')
  expect(await ended).toBe(130)
  expect(shown).toContain('\u001b[?1049h')
  expect(shown).toMatch(/groups · 3 rows · lsn \d+ · live/)
  expect(shown).toContain('│                      │ ▁▃█ │')
  expect(shown.slice(shown.indexOf('\u001b[?1049l'))).toContain('interrupted')
})
