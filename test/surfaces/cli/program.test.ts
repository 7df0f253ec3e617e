import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import manifest from '../../../package.json' with { type: 'json' }
import { cli, lines, start, temporaryDirectory } from './process.ts'

const commands = ['serve', 'ingest', 'sql', 'query', 'stats', 'demo']

describe('help and usage', () => {
  test('each command explains itself; the version is the package’s', async () => {
    const [version, help, ...each] = await Promise.all([
      cli(['--version']),
      cli(['--help']),
      ...commands.map(command => cli([command, '--help'])),
    ])
    expect(version).toEqual({ code: 0, stdout: `${manifest.version}\n`, stderr: '' })
    expect(help).toMatchObject({ code: 0, stderr: '' })
    for (const command of commands) expect(help.stdout).toMatch(new RegExp(`^  ${command} `, 'm'))
    for (const [index, { code, stdout }] of each.entries()) {
      expect(code).toBe(0)
      expect(stdout).toContain(`sydradb ${commands[index]}`)
      for (const option of ['--data-dir', '--config', '--url', '--json', '--no-color']) expect(stdout).toContain(option)
    }
    expect(each[2]?.stdout).toContain('--param')
    expect(each[5]?.stdout).toMatch(/--keep[\s\S]*--seconds/)
  })

  test('wrong usage is 2, on stderr, with the nearest right name', async () => {
    const wrong: readonly (readonly [readonly string[], RegExp])[] = [
      [['sq'], /unknown command "sq"\n {2}did you mean "sql"\?/],
      [['sql', '--formt', 'csv'], /--formt[\s\S]*--format/],
      [['sql', 'show metrics', '--format', 'xml'], /xml[\s\S]*ndjson/],
      [['sql', 'show metrics', 'more'], /too many arguments/],
      [['sql', 'show metrics', '--data-dir', 'x', '--url', 'http://localhost'], /give one of them/],
      [['serve', '--url', 'http://localhost'], /takes no --url/],
      [['serve', '--http-host', '0.0.0.0', '--data-dir', ':memory:'], /refusing to listen[\s\S]*--insecure/],
      [['demo', '--seconds', '0'], /--seconds takes/],
      [['stats', '--fsync', 'often'], /fsync/],
      [['stats', '--url', 'ftp://x'], /is not a URL/],
    ]
    const outcomes = await Promise.all(wrong.map(([args]) => cli(args)))
    for (const [index, { code, stdout, stderr }] of outcomes.entries()) {
      expect(stderr).toMatch(wrong[index]![1])
      expect({ args: wrong[index]![0], code, stdout }).toEqual({ args: wrong[index]![0], code: 2, stdout: '' })
    }
  })
})

describe('settings', () => {
  test('file, then variables, then flags; later wins', async () => {
    const cwd = temporaryDirectory()
    writeFileSync(
      join(cwd, 'sydradb.toml'),
      'data_dir = ":memory:"\nfsync = "none"\nmax_series = 7\n[query]\ntimeout_ms = "9s"\nrunning_max = 3\n',
    )
    const { code, stdout } = await cli(['--max-series', '9', 'sql', 'show settings', '--auth-token', 'secret'], {
      cwd,
      env: { SYDRADB_MAX_SERIES: '8', SYDRADB_QUERY_RUNNING_MAX: '4', SYDRADB_HTTP_PORT: '' },
    })
    expect(code).toBe(0)
    const settings = Object.fromEntries(
      lines(stdout)
        .slice(1, -1)
        .map(line => Object.values(JSON.parse(line)) as [string, string]),
    )
    expect(settings).toMatchObject({
      data_dir: ':memory:',
      fsync: 'none',
      max_series: '9',
      'query.timeout_ms': '9000',
      'query.running_max': '4',
      http_port: '8080',
      auth_token: '(set)',
    })
  })

  test('what is wrong in them is told by name', async () => {
    const cwd = temporaryDirectory()
    mkdirSync(join(cwd, 'b'))
    writeFileSync(join(cwd, 'sydradb.toml'), 'htp_port = 1\n')
    writeFileSync(join(cwd, 'broken.toml'), 'data_dir = ":memory:"\nfsync = \n')
    const [misspelt, broken, missing, variable] = await Promise.all([
      cli(['stats'], { cwd }),
      cli(['stats', '--config', 'broken.toml'], { cwd }),
      cli(['stats', '--config', 'none.toml'], { cwd }),
      cli(['stats', '--json'], { cwd: join(cwd, 'b'), env: { SYDRADB_DATA_DIRS: 'x' } }),
    ])
    expect(misspelt).toMatchObject({ code: 2, stdout: '' })
    expect(misspelt.stderr).toBe('sydradb: unknown setting "htp_port"\n  did you mean "http_port"?\n')
    expect(broken.code).toBe(2)
    expect(broken.stderr).toMatch(/broken\.toml:2:\d+: /)
    expect(missing.code).toBe(2)
    expect(missing.stderr).toContain('none.toml')
    expect(variable.code).toBe(2)
    expect(JSON.parse(variable.stderr)).toEqual({
      error: {
        code: 'unknown_setting',
        message: 'unknown variable SYDRADB_DATA_DIRS',
        hint: 'did you mean "SYDRADB_DATA_DIR"?',
      },
    })
  })
})

describe('rows in, rows out, on a directory', () => {
  const row = (second: number, value: number, host = 'a'): string =>
    JSON.stringify({ series: 'cpu', ts: `2024-03-01T00:00:0${second}Z`, value, tags: { host } })

  test('ingest takes files and stdin; sql prints them in every format', async () => {
    const dir = temporaryDirectory()
    const at = ['--data-dir', join(dir, 'data')]
    writeFileSync(join(dir, 'a.ndjson'), `${row(1, 0.5)}\n${row(2, 1.25)}`)
    const stored = await cli(['ingest', join(dir, 'a.ndjson'), '-', ...at], { input: `${row(3, 7)}\n` })
    expect(stored).toMatchObject({ code: 0, stdout: '' })
    expect(stored.stderr).toMatch(/^3 rows stored in [\d.]+ s \([\d,]+ rows\/s\)\n$/)

    const array = await cli(['ingest', '--format', 'json', '--json', ...at], {
      input: `[${row(4, 8)},${row(5, -0.5, 'b')}]`,
    })
    expect(array).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(array.stdout)).toMatchObject({ ingested: 2, rejected: 0 })

    const select = 'select time, value, tag.host as host from cpu where tag.host = $1 and value > $2'
    const params = ['--param', 'a', '--param', '0.6']
    const ndjson = await cli(['sql', select, ...params, ...at])
    expect(ndjson).toMatchObject({ code: 0, stderr: '' })
    expect(
      lines(ndjson.stdout)
        .slice(1, -1)
        .map(line => JSON.parse(line)),
    ).toEqual([
      { time: '2024-03-01T00:00:02Z', value: 1.25, host: 'a' },
      { time: '2024-03-01T00:00:03Z', value: 7, host: 'a' },
      { time: '2024-03-01T00:00:04Z', value: 8, host: 'a' },
    ])
    const json = await cli(['sql', '--json', '--epoch', 's', ...params, ...at], { input: select })
    expect(JSON.parse(json.stdout).rows[0]).toEqual([1_709_251_202, 1.25, 'a'])
    const csv = await cli(['sql', select, '--format', 'csv', '--json', ...params, ...at])
    expect(csv.stdout.split('\r\n').slice(0, 2)).toEqual(['time,value,host', '2024-03-01T00:00:02Z,1.25,a'])
    const table = await cli(['sql', select, '--format', 'table', ...params, ...at])
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
  })

  test('query prints a series, stats the figures', async () => {
    const dir = temporaryDirectory()
    const at = ['--data-dir', dir]
    await cli(['ingest', ...at], { input: [1, 2, 3].map(second => `${row(second, second)}\n`).join('') })
    const found = await cli(['sql', 'show series', ...at])
    const id = JSON.parse(lines(found.stdout)[1]!).series_id as string
    const [byText, byNumber, stats, json] = [
      await cli(['query', id, '2024-03-01T00:00:02Z', '2024-03-02', '--format', 'csv', ...at]),
      await cli(['query', id, '1709251201000', '1709251203000', '--format', 'csv', ...at]),
      await cli(['stats', ...at]),
      await cli(['stats', '--json', ...at]),
    ]
    expect(byText.stdout).toBe('time,value\r\n2024-03-01T00:00:02Z,2\r\n2024-03-01T00:00:03Z,3\r\n')
    expect(byNumber.stdout).toBe('time,value\r\n2024-03-01T00:00:01Z,1\r\n2024-03-01T00:00:02Z,2\r\n')
    expect(stats.stdout).toMatch(/^segments\.rows +3$/m)
    expect(JSON.parse(json.stdout)).toMatchObject({ version: manifest.version, series: 1, segments: { rows: 3 } })
  })

  test('bad rows are told by file and line, the good ones stored, and the exit code is 1', async () => {
    const dir = temporaryDirectory()
    const at = ['--data-dir', join(dir, 'data')]
    writeFileSync(join(dir, 'bad.ndjson'), `${row(1, 1)}\n{"value":1}\n${row(2, 2)}\nnope\n`)
    const skipped = await cli(['ingest', join(dir, 'bad.ndjson'), ...at])
    expect(skipped.code).toBe(1)
    expect(skipped.stdout).toBe('')
    expect(skipped.stderr).toMatch(
      /bad\.ndjson:2: invalid_row: [\s\S]*bad\.ndjson:4: invalid_json: [\s\S]*2 rows stored.*, 2 refused/,
    )
    const aborted = await cli(['ingest', '--on-error', 'abort', '--json', ...at], {
      input: `${row(3, 3)}\nnope\n${row(4, 4)}\n`,
    })
    expect(aborted.code).toBe(1)
    expect(JSON.parse(aborted.stdout)).toMatchObject({ ingested: 1, rejected: 1 })
    const missing = await cli(['ingest', join(dir, 'none.ndjson'), ...at])
    expect(missing).toMatchObject({ code: 1, stdout: '' })
    const count = await cli(['sql', 'select count(*) as n from cpu', '--format', 'csv', ...at])
    expect(count.stdout).toBe('n\r\n3\r\n')
  })

  test('a wrong query is 1, with its line and a caret once', async () => {
    const dir = temporaryDirectory()
    await cli(['ingest', '--data-dir', dir], { input: row(1, 1) })
    const ask = (...args: string[]) => cli(['sql', '--data-dir', dir, ...args])
    const [syntax, name, json, none] = [
      await ask('select value\nfrom cpu wher value > 1'),
      await ask('select valu, time from cpu'),
      await ask('select valu from cpu', '--json'),
      await ask('  '),
    ]
    expect(syntax).toMatchObject({ code: 1, stdout: '' })
    expect(syntax.stderr.match(/\^/g)).toHaveLength(4 + 1)
    expect(syntax.stderr.match(/from cpu wher value > 1\n {11}\^/g)).toHaveLength(1)
    expect(name.stderr).toMatch(
      /^sydradb: .*valu.*\n {2}select valu, time from cpu\n {9}\^{4}\n {2}did you mean "value"\?\n$/,
    )
    expect(JSON.parse(json.stderr).error).toMatchObject({ code: 'unknown_field', position: { line: 1, column: 8 } })
    expect(none.code).toBe(2)
  })
})

describe('readers and signals', () => {
  const rowCount = 150_000
  const many = async (dir: string) => {
    const input = Array.from(
      { length: rowCount },
      (_, i) => `{"series":"n","ts":${1_700_000_000 + i},"value":${i}}\n`,
    ).join('')
    expect((await cli(['ingest', '--data-dir', dir, '--fsync', 'none'], { input })).code).toBe(0)
  }

  test('a reader that goes away ends it quietly; SIGINT ends a query with 130', async () => {
    const dir = temporaryDirectory()
    await many(dir)
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

  test('SIGINT ends what waits for input: a statement, and rows, of which the complete lines are stored', async () => {
    const dir = temporaryDirectory()
    const statement = start(['sql', '--data-dir', ':memory:'])
    const rows = start(['ingest', '--data-dir', dir])
    rows.child.stdin.write('{"series":"n","value":1}\n{"series":"n","val')
    // opened, and the handler with it
    const statsOf = () => cli(['stats', '--data-dir', dir])
    while (!(await statsOf()).stderr.includes(String(rows.child.pid))) await new Promise(next => setTimeout(next, 20))
    await new Promise(next => setTimeout(next, 300))
    statement.child.kill('SIGINT')
    rows.child.kill('SIGINT')
    expect(await statement.ended).toEqual({ code: 130, stdout: '', stderr: 'interrupted\n' })
    const stopped = await rows.ended
    expect(stopped.code).toBe(130)
    expect(stopped.stderr).toMatch(/^1 rows stored/)
    const count = await cli(['sql', 'select count(*) as n from n', '--format', 'csv', '--data-dir', dir])
    expect(count.stdout).toBe('n\r\n1\r\n')
  })
})
