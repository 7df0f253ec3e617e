/** `sydradb compact`, on a directory and on a server. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cli, held, serve, temporaryDirectory } from './process.ts'

const rows = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, i) => `{"series":"m","ts":${1_700_000_000 + from + i},"value":${i}}\n`).join('')

test('merges what a directory holds, and says what it did', async () => {
  const dataDir = join(temporaryDirectory(), 'data')
  for (const from of [0, 50])
    expect(await held(['ingest', '--data-dir', dataDir], { input: rows(from, from + 100) })).toMatchObject({ code: 0 })
  const merged = await cli(['compact', '--data-dir', dataDir])
  expect(merged).toMatchObject({ code: 0, stdout: '' })
  expect(merged.stderr).toMatch(/^\d+ merges? of [\d,]+ rows, [\d,]+ of them gone for good: [\d.]+ KiB became /)
  expect((await held(['compact', '--data-dir', dataDir])).stderr).toBe('nothing to merge\n')
  const stats = await held(['stats', '--data-dir', dataDir, '--json'])
  expect(JSON.parse(stats.stdout)).toMatchObject({ segments: { rows: 150 } })
})

test('of a running server', async () => {
  const dataDir = join(temporaryDirectory(), 'data')
  const { address } = await serve(['serve', '--data-dir', dataDir])
  await held(['ingest', '--url', address], { input: rows(0, 100) })
  const merged = await held(['compact', '--url', address, '--json'])
  expect(merged.code).toBe(0)
  expect(JSON.parse(merged.stdout)).toMatchObject({ failed: 0, rows_read: expect.any(Number) })
})

test('retention is set by flags, variables and the file alike', async () => {
  const cwd = temporaryDirectory()
  const { stdout } = await held(
    ['sql', '--format', 'json', 'show settings', '--retention', 'weather=30', '--retention', 'cpu=7'],
    { cwd, env: { SYDRADB_RETENTION: 'other=1', SYDRADB_RETENTION_DAYS: '0.5' } },
  )
  const { rows: settings } = JSON.parse(stdout) as { readonly rows: readonly (readonly [string, string])[] }
  const values = new Map(settings)
  expect([values.get('retention'), values.get('retention_days')]).toEqual(['weather=30,cpu=7', '0.5'])
  const wrong = await held(['stats', '--retention', 'a.b=3'], { cwd })
  expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('before its first "."')])
})
