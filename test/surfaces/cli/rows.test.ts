/** Rows in and rows out: by a server most of it, for those start fast, and by the directory what differs. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import manifest from '../../../package.json' with { type: 'json' }
import { cli, held, lines, serve, temporaryDirectory } from './process.ts'

const row = (second: number, value: number, host = 'a'): string =>
  JSON.stringify({ series: 'cpu', ts: `2024-03-01T00:00:0${second}Z`, value, tags: { host } })

test('against a server: ingest, sql in every format, query, stats, errors', async () => {
  const dir = temporaryDirectory()
  const { address, child, ended } = await serve(['serve', '--data-dir', ':memory:', '--auth-token', 'secret'])
  const at = ['--url', address, '--auth-token', 'secret']

  writeFileSync(join(dir, 'a.ndjson'), `${row(1, 0.5)}\n${row(2, 1.25)}`)
  const stored = await cli(['ingest', join(dir, 'a.ndjson'), '-', ...at], { input: `${row(3, 7)}\n` })
  expect(stored).toMatchObject({ code: 0, stdout: '' })
  expect(stored.stderr).toMatch(/^3 rows stored in [\d.]+ s \([\d,]+ rows\/s\)\n$/)
  const array = await held(['ingest', '--format', 'json', '--json', ...at], {
    input: `[${row(4, 8)},${row(5, -0.5, 'b')}]`,
  })
  expect(array).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(array.stdout)).toMatchObject({ ingested: 2, rejected: 0 })

  const select = 'select time, value, tag.host as host from cpu where tag.host = $1 and value > $2'
  const params = ['--param', 'a', '--param', '0.6']
  const [ndjson, json, csv, table, empty, series] = await Promise.all([
    cli(['sql', select, ...params, ...at]),
    held(['sql', '--json', '--epoch', 's', ...params, ...at], { input: select }),
    held(['sql', select, '--format', 'csv', '--json', ...params, ...at]),
    held(['sql', select, '--format', 'table', ...params, ...at]),
    held(['sql', 'select value from cpu where value > 100', '--format', 'table', ...at]),
    held(['sql', 'show series', ...at]),
  ])
  for (const outcome of [ndjson, json, csv, table, empty, series])
    expect(outcome).toMatchObject({ code: 0, stderr: '' })
  const rows = lines(ndjson.stdout).slice(1, -1)
  expect(rows.map(line => JSON.parse(line))).toEqual([
    { time: '2024-03-01T00:00:02Z', value: 1.25, host: 'a' },
    { time: '2024-03-01T00:00:03Z', value: 7, host: 'a' },
    { time: '2024-03-01T00:00:04Z', value: 8, host: 'a' },
  ])
  expect(JSON.parse(json.stdout).rows[0]).toEqual([1_709_251_202, 1.25, 'a'])
  expect(csv.stdout.split('\r\n').slice(0, 2)).toEqual(['time,value,host', '2024-03-01T00:00:02Z,1.25,a'])
  expect(table.stdout).toBe(
    [
      '┌──────────────────────┬───────┬──────┐',
      '│ time                 │ value │ host │',
      '├──────────────────────┼───────┼──────┤',
      '│ 2024-03-01 00:00:02Z │  1.25 │ a    │',
      '│ 2024-03-01 00:00:03Z │  7.00 │ a    │',
      '│ 2024-03-01 00:00:04Z │  8.00 │ a    │',
      '│                      │   ▁▇█ │      │',
      '└──────────────────────┴───────┴──────┘',
      '',
    ].join('\n'),
  )
  expect(lines(empty.stdout)).toHaveLength(3)

  const id = JSON.parse(lines(series.stdout)[1]!).series_id as string
  const [byText, byNumber, stats, statsJson] = await Promise.all([
    held(['query', id, '2024-03-01T00:00:02Z', '2024-03-01T00:00:04Z', '--format', 'csv', ...at]),
    held(['query', id, '1709251201000', '1709251203000', '--format', 'csv', ...at]),
    cli(['stats', '--auth-token', 'secret'], { env: { SYDRADB_URL: address } }),
    held(['stats', '--json', ...at]),
  ])
  expect(byText.stdout).toBe('time,value\r\n2024-03-01T00:00:02Z,1.25\r\n2024-03-01T00:00:03Z,7\r\n')
  expect(byNumber.stdout).toBe('time,value\r\n2024-03-01T00:00:01Z,0.5\r\n2024-03-01T00:00:02Z,1.25\r\n')
  expect(stats.stdout).toMatch(/^series +2$/m)
  expect(JSON.parse(statsJson.stdout)).toMatchObject({ version: manifest.version, memtable: { rows: 5 } })

  const ask = (...args: string[]) => held(['sql', ...args, ...at])
  const [syntax, name, several, asJson, none, token, gone] = await Promise.all([
    cli(['sql', 'select value\nfrom cpu wher value > 1', ...at]),
    ask('select valu, time from cpu'),
    ask('select valu,\n  frob(x) from cpu'),
    ask('select valu, x from cpu', '--json'),
    ask('  '),
    held(['stats', '--url', address, '--auth-token', 'wrong']),
    cli(['stats', '--url', 'http://127.0.0.1:1']),
  ])
  expect(syntax).toMatchObject({ code: 1, stdout: '' })
  expect(syntax.stderr.match(/^ {2}from cpu wher value > 1$/gm)).toHaveLength(1)
  expect(syntax.stderr.match(/^ +\^+$/gm)).toHaveLength(1)
  expect(name.stderr).toMatch(
    /^sydradb: .*valu.*\n {2}select valu, time from cpu\n {9}\^{4}\n {2}did you mean "value"\?\n$/,
  )
  expect(several.stderr).toBe(
    [
      'sydradb: cpu has no field "valu"',
      '  select valu,',
      '         ^^^^',
      '  did you mean "value"?',
      'sydradb: there is no function "frob"',
      '    frob(x) from cpu',
      '    ^^^^',
      'sydradb: cpu has no field "x"',
      '    frob(x) from cpu',
      '         ^',
      '  its fields are value',
      '',
    ].join('\n'),
  )
  expect(JSON.parse(asJson.stderr).error).toMatchObject({
    code: 'unknown_field',
    message: 'cpu has no field "valu"',
    position: { line: 1, column: 8 },
    others: [{ message: 'cpu has no field "x"', position: { line: 1, column: 14 } }],
  })
  expect(none.code).toBe(2)
  expect(token).toMatchObject({ code: 1, stdout: '' })
  expect(token.stderr).toContain('Authorization')
  expect(gone).toMatchObject({ code: 1, stdout: '' })
  expect(gone.stderr).toContain('is the server running?')

  child.kill('SIGTERM')
  expect((await ended).code).toBe(0)
})

test('on a directory: bad rows are told by file and line, the good ones stored, and the exit code is 1', async () => {
  const dir = temporaryDirectory()
  const at = ['--data-dir', join(dir, 'data')]
  writeFileSync(join(dir, 'bad.ndjson'), `${row(1, 1)}\n{"value":1}\n${row(2, 2)}\nnope\n`)
  const [skipped, missing] = await Promise.all([
    cli(['ingest', join(dir, 'bad.ndjson'), ...at]),
    held(['ingest', join(dir, 'none.ndjson'), '--data-dir', ':memory:']),
  ])
  expect(skipped).toMatchObject({ code: 1, stdout: '' })
  expect(skipped.stderr).toMatch(
    /bad\.ndjson:2: invalid_row: [\s\S]*bad\.ndjson:4: invalid_json: [\s\S]*2 rows stored.*, 2 refused/,
  )
  expect(missing).toMatchObject({ code: 1, stdout: '' })
  expect(missing.stderr).toContain('none.ndjson')

  const aborted = await held(['ingest', '--on-error', 'abort', '--json', ...at], {
    input: `${row(3, 3)}\nnope\n${row(4, 4)}\n`,
  })
  expect(aborted.code).toBe(1)
  expect(JSON.parse(aborted.stdout)).toMatchObject({ ingested: 1, rejected: 1 })
  const count = await held(['sql', 'select count(*) as n from cpu', '--format', 'csv', ...at])
  expect(count.stdout).toBe('n\r\n3\r\n')

  const insert = ['insert into cpu (host = ?) values (?, ?)', '--param', 'c', '--param', '2024-03-02', '--param', '9']
  const inserted = await held(['sql', ...insert, '--format', 'csv', ...at])
  expect(inserted).toEqual({ code: 0, stdout: 'rows\r\n1\r\n', stderr: '' })
  const from = "delete from cpu where time < '2024-03-02' and time >= '2024-03-01'"
  expect(await held(['sql', from, '--format', 'csv', ...at])).toMatchObject({ code: 0, stdout: 'series\r\n2\r\n' })
  const left = await held(['sql', 'select tag.host, value from cpu', '--format', 'csv', ...at])
  expect(left.stdout).toBe('tag.host,value\r\nc,9\r\n')
})
