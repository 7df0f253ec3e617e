/** What lies on the disk against what names it: no file is left behind, and none is missing. */
import assert from 'node:assert/strict'
import { verifyDirectory } from '../../src/engine/recovery/verify.ts'
import { nodeChecksums } from '../../src/lib/node/ports.ts'
import { decodeManifest } from '../../src/storage/manifest/log.ts'
import type { Database } from '../../src/types.ts'
import type { SimulatedDisk } from '../simulated/disk.ts'
import { dataDir } from './plan.ts'
import type { World } from './world.ts'

const isSetAside = (path: string): boolean => path.includes('.damaged')

/** Of a database that was opened this moment. */
export function checkFiles(disk: SimulatedDisk, db: Database): void {
  const manifest = `${dataDir}/MANIFEST`
  const { state } = decodeManifest(disk.contents(manifest), manifest, nodeChecksums)
  const paths = disk.paths().filter(path => !isSetAside(path))
  const found = paths.filter(path => path.startsWith(`${dataDir}/segments/`))
  assert.deepEqual(found, state.segments.map(({ path }) => `${dataDir}/${path}`).sort(), 'segments on the disk')
  assert.equal(db.stats().segments.count, found.length)
  assert.equal(
    paths.filter(path => path.startsWith(`${dataDir}/wal/`)).length,
    db.stats().wal.files,
    'files of the WAL',
  )
  const others = paths.filter(path => !/^data\/(segments|wal|objects|refs)\//.test(path))
  const known = ['LOCK', 'MANIFEST', 'catalog.ckpt', 'catalog.log'].map(name => `${dataDir}/${name}`)
  assert.deepEqual(
    others.filter(path => !known.includes(path)),
    [],
    'files that nothing names',
  )
}

/** Of a database that was closed, for which nothing went wrong: verifying finds not so much as a note. */
export async function verifyClosed(world: World): Promise<void> {
  const { disk, ports } = world.machine
  assert.deepEqual(disk.openHandles(), [], 'handles')
  const verify = async (): Promise<string[]> => {
    const problems: string[] = []
    for await (const file of verifyDirectory(ports, dataDir))
      if (file.kind !== 'set-aside') for (const { message } of file.problems) problems.push(`${file.path}: ${message}`)
    return problems
  }
  const problems = await world.attempt(verify)
  if (world.mishaps === 0) assert.deepEqual(problems, [])
  assert.deepEqual(disk.openHandles(), [], 'handles after verifying')
}
