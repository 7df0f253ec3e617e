/** Byte streams: what is committed together, and whose memory the chunks are. */
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { open } from '../../src/index.ts'
import { SimulatedMachine } from '../simulated/machine.ts'
import { openOn, settled, turn } from './support.ts'

const line = (i: number): string => `{"series":"cpu","ts":${1_700_000_000_000 + i},"value":${i}}\n`

test('what comes while a commit is under way is committed together', async () => {
  const machine = new SimulatedMachine(1)
  const { db } = await openOn(machine)
  const commits: number[] = []
  db.committed$.subscribe(({ rows }) => commits.push(rows))
  const stream = db.ingestStream()
  machine.disk.holdSyncs()
  for (let i = 0; i < 50; i++) {
    await stream.write(new TextEncoder().encode(line(i)))
    await turn()
  }
  machine.disk.releaseSyncs()
  const { ingested } = await settled(machine, stream.end())
  expect(ingested).toBe(50)
  expect(commits).toEqual([1, 49])
  await settled(machine, db.close())
})

test('chunks of a file are freed as they are read, unless somebody else listens', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sydradb-ingest-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'rows.ndjson')
  writeFileSync(path, Array.from({ length: 1000 }, (_, i) => line(i)).join(''))
  const db = await open(':memory:')
  onTestFinished(() => db.close())
  for (const listens of [false, true]) {
    const file = createReadStream(path, { highWaterMark: 4096 })
    const chunks: Uint8Array[] = []
    const read = file.read.bind(file)
    file.read = size => {
      const chunk = read(size)
      if (chunk !== null) chunks.push(chunk)
      return chunk
    }
    if (listens) file.on('data', () => {})
    expect(await db.ingest(file)).toMatchObject({ ingested: 1000, rejected: 0 })
    expect(chunks.length).toBeGreaterThan(1)
    for (const { length } of chunks) expect(length > 0).toBe(listens)
  }
})
