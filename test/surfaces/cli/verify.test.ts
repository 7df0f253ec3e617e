/** `sydradb verify`: on a directory, through a server, and with --repair. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cli, held, lines, serve, temporaryDirectory } from './process.ts'

const rows = Array.from({ length: 100 }, (_, i) => `{"series":"cpu","ts":${1_700_000_000 + i},"value":${i}}`).join('\n')

/** The one segment that ingesting and closing has made. */
function segmentOf(dataDir: string): string {
  const [window] = readdirSync(join(dataDir, 'segments'))
  const [name] = readdirSync(join(dataDir, 'segments', window!)).filter(each => each.endsWith('.seg'))
  return join('segments', window!, name!)
}

test('a line a file; what is damaged is told with its place, and mended on request', async () => {
  const dataDir = temporaryDirectory()
  const verify = (...args: string[]) => held(['verify', '--data-dir', dataDir, ...args])
  await held(['ingest', '--data-dir', dataDir], { input: rows })
  const sound = await verify()
  expect(sound).toMatchObject({ code: 0, stderr: expect.stringContaining('nothing is damaged') })
  const segment = segmentOf(dataDir)
  expect(sound.stdout).toMatch(new RegExp(`^ok +${segment}  segment, 100 rows, 1 series, 1 groups$`, 'm'))

  const bytes = readFileSync(join(dataDir, segment))
  bytes[106]! ^= 1
  writeFileSync(join(dataDir, segment), bytes)
  const broken = await cli(['verify', '--data-dir', dataDir])
  expect(broken).toMatchObject({ code: 1, stderr: expect.stringContaining('1 damaged') })
  expect(broken.stdout).toMatch(
    new RegExp(`^DAMAGED +${segment} .*\\n +byte \\d+: checksum of a chunk\\n +run .*--repair`, 'm'),
  )

  const repaired = await verify('--repair', '--json')
  expect(repaired.code).toBe(0)
  const told = lines(repaired.stdout).map(line => JSON.parse(line)) as {
    repair?: { path: string; losses: { rows: number }[] }
    path?: string
  }[]
  expect(told[0]?.repair).toMatchObject({ path: segment, action: 'salvaged', losses: [{ metric: 'cpu', rows: 100 }] })
  expect(told.some(({ path }) => path === `${segment}.damaged`)).toBe(true)
  expect((await held(['sql', 'select count(*) as n from cpu', '--data-dir', dataDir])).stdout).toContain('0')
})

test('a directory that a server has open is verified through the server', async () => {
  const dataDir = temporaryDirectory()
  await held(['ingest', '--data-dir', dataDir], { input: rows })
  const { address: url } = await serve(['serve', '--data-dir', dataDir])
  const refused = await held(['verify', '--data-dir', dataDir])
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/in use by process \d+[\s\S]*--url/) })
  const through = await cli(['verify', '--url', url, '--json'])
  expect(through).toMatchObject({ code: 0, stderr: expect.stringContaining('nothing is damaged') })
  const files = lines(through.stdout).map(line => JSON.parse(line)) as { path: string; kind: string }[]
  expect(files.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['manifest', 'catalog', 'wal', 'segment']))
  expect(await held(['verify', '--repair', '--url', url])).toMatchObject({ code: 2 })
})

test('of no database is an error', async () => {
  const dataDir = temporaryDirectory()
  expect(await held(['verify', '--data-dir', dataDir])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('no database'),
  })
  expect(readdirSync(dataDir)).toEqual([])
})
