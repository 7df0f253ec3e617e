/** Backing up and restoring on the command line, as docs/snapshots.md tells it. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cli, held, lines, temporaryDirectory } from './process.ts'

const rows = (from: number, to: number): string =>
  Array.from(
    { length: to - from },
    (_, i) => `{"series":"cpu","ts":${1_700_000_000 + from + i},"value":${from + i}}\n`,
  ).join('')

test('snapshot, log, diff, restore, gc', { timeout: 120_000 }, async () => {
  const cwd = temporaryDirectory()
  const backup = join(cwd, 'backup')
  const done = async (args: readonly string[], input?: string): Promise<{ stdout: string; stderr: string }> => {
    const { code, stdout, stderr } = await held(args, { cwd, ...(input === undefined ? {} : { input }) })
    expect(stderr, args.join(' ')).not.toMatch(/^sydradb:/)
    expect(code).toBe(0)
    return { stdout, stderr }
  }
  const count = async (...args: string[]): Promise<unknown> => {
    const { stdout } = await done(['sql', 'select count(*) n from cpu', '--format', 'ndjson', ...args])
    return JSON.parse(lines(stdout)[1]!).n
  }
  await done(['ingest'], rows(0, 10))
  const first = await cli(['snapshot', '--name', 'before-import', '--message', 'all is well'], { cwd })
  expect(first.code).toBe(0)
  await done(['ingest'], rows(5, 20))
  const copied = JSON.parse((await done(['snapshot', backup, '--name', 'copy', '--json'])).stdout)
  expect(copied).toMatchObject({ names: ['copy'], added_objects: expect.any(Number) })
  expect((await done(['log'])).stdout).toMatch(/ before-import, HEAD +10 rows +\d\.\d KiB +all is well\n$/)
  expect((await done(['log', backup])).stdout).toContain('copy, HEAD')
  await done(['snapshot', '--name', 'imported'])
  const diff = await done(['diff', 'before-import', 'HEAD'])
  expect(diff).toMatchObject({
    stdout: '  cpu  +10 -0 ~0\n',
    stderr: '1 series differ: 10 rows added, 0 removed, 0 changed\n',
  })
  expect((await done(['restore', 'before-import', '--dry-run'])).stderr).toContain('nothing was changed')
  expect(await count()).toBe(20)
  await done(['restore', 'before-import'])
  expect(await count()).toBe(10)

  await done(['restore', backup, '--data-dir', 'new'])
  expect(await count('--data-dir', 'new')).toBe(20)
  const refused = await held(['restore', backup], { cwd })
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('--replace') })
  await done(['restore', backup, '--ref', 'copy', '--replace'])
  expect(await count()).toBe(20)
  expect((await done(['gc', backup, '--forget', 'copy'])).stderr).toMatch(/^\d+ objects .* removed, 0 kept\n$/)

  const [unknown, nowhere, both] = await Promise.all([
    cli(['restore', 'before-imprt', '--json'], { cwd }),
    held(['restore', 'nothing', '--data-dir', 'none'], { cwd }),
    held(['gc', backup, '--url', 'http://localhost:1'], { cwd }),
  ])
  expect(JSON.parse(unknown.stderr).error).toMatchObject({ code: 'not_found', hint: 'did you mean "before-import"?' })
  expect(nowhere).toMatchObject({ code: 1, stderr: expect.stringContaining('there are no snapshots in nothing') })
  expect(both.code).toBe(2)
})
