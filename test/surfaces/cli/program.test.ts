import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import manifest from '../../../package.json' with { type: 'json' }
import { cli, held, lines, temporaryDirectory } from './process.ts'

const commands = [
  'serve',
  'ingest',
  'sql',
  'query',
  'stats',
  'compact',
  'verify',
  'watch',
  'tail',
  'snapshot',
  'restore',
  'log',
  'diff',
  'gc',
  'demo',
]

describe('help and usage', () => {
  test('each command explains itself; the version is the package’s', async () => {
    const [version, help, ...each] = await Promise.all([
      cli(['--version']),
      cli(['--help']),
      ...commands.map(command => held([command, '--help'])),
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
    expect(each.at(-1)?.stdout).toMatch(/--keep[\s\S]*--seconds/)
  })

  test('wrong usage is 2, on stderr, with the nearest right name', async () => {
    const wrong: readonly (readonly [readonly string[], RegExp])[] = [
      [['sq'], /unknown command "sq"\n {2}did you mean "sql"\?/],
      [['sql', '--formt', 'csv'], /--formt[\s\S]*--format/],
      [['sql', 'show metrics', '--format', 'xml'], /xml[\s\S]*ndjson/],
      [['sql', 'show metrics', 'more'], /too many arguments/],
      [['query', 'select * from cpu'], /missing required[\s\S]*for a statement: sydradb sql/],
      [['sql', 'show metrics', '--data-dir', 'x', '--url', 'http://localhost'], /give one of them/],
      [['serve', '--url', 'http://localhost'], /takes no --url/],
      [['serve', '--http-host', '0.0.0.0', '--data-dir', ':memory:'], /refusing to listen[\s\S]*--insecure/],
      [['demo', '--seconds', '0'], /--seconds takes/],
      [['stats', '--fsync', 'often'], /fsync/],
      [['watch'], /missing required argument 'statement'/],
      [['tail', 'cpu', 'host', '--data-dir', ':memory:'], /"host" is not a tag[\s\S]*host= is for/],
      [['tail', 'cpu', '--history', '1x', '--data-dir', ':memory:'], /--history takes/],
      [['tail', 'cpu', '--format', 'json'], /json[\s\S]*ndjson/],
      [['stats', '--url', 'ftp://x'], /is not a URL/],
    ]
    // those of a server, whose process begins otherwise, in their own
    const outcomes = await Promise.all(wrong.map(([args]) => (/^(sq|serve)$/.test(args[0]!) ? cli : held)(args)))
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
      'data_dir = ":memory:"\nfsync = "none"\nmax_series = 7\n[query]\ntimeout_ms = "9s"\nrunning_max = 3\n[rollups]\nenabled = false\n',
    )
    const switches = ['--no-compaction-enabled', '--rollups-widths', '1m', '--rollups-widths', '1h']
    const { code, stdout } = await cli(
      ['--max-series', '9', 'sql', 'show settings', '--auth-token', 'x', ...switches],
      {
        cwd,
        env: { SYDRADB_MAX_SERIES: '8', SYDRADB_QUERY_RUNNING_MAX: '4', SYDRADB_HTTP_PORT: '' },
      },
    )
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
      'compaction.enabled': 'false',
      'rollups.enabled': 'false',
      'rollups.widths': '1m,1h',
    })
  })

  test('what is wrong in them is told by name', async () => {
    const cwd = temporaryDirectory()
    mkdirSync(join(cwd, 'b'))
    writeFileSync(join(cwd, 'sydradb.toml'), 'htp_port = 1\n')
    writeFileSync(join(cwd, 'broken.toml'), 'data_dir = ":memory:"\nfsync = \n')
    const [misspelt, broken, missing, variable] = await Promise.all([
      cli(['stats'], { cwd }),
      held(['stats', '--config', 'broken.toml'], { cwd }),
      held(['stats', '--config', 'none.toml'], { cwd }),
      held(['stats', '--json'], { cwd: join(cwd, 'b'), env: { SYDRADB_DATA_DIRS: 'x' } }),
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
