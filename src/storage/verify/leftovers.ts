/** Files that nothing names, of a closed database: set aside, temporary, unfinished, or of someone else. */
import type { FileSystem } from '../../lib/ports.ts'
import { checkpointName } from '../catalog/checkpoint.ts'
import { logName } from '../catalog/log.ts'
import { filesSetAside, namesIn, segmentFiles } from '../data-files.ts'
import { lockName } from '../lock.ts'
import { manifestName } from '../manifest/manifest.ts'
import type { SegmentEnvironment } from '../segment/environment.ts'
import { temporarySuffix } from '../segment/publish.ts'
import { readSegmentMeta } from '../segment/recover.ts'
import { isSetAside } from '../set-aside.ts'
import { isWalName } from '../wal/format.ts'
import { note, problemOf, repairAdvice } from './problems.ts'
import type { FileKind, FileProblem, VerifiedFile } from './types.ts'

const known = new Set([lockName, manifestName, checkpointName, logName, 'wal', 'segments', 'tmp', 'objects', 'refs'])

/** `named`: paths of the manifest's segments; undefined when it cannot be read, and all there are count. */
export function* leftovers(
  environment: SegmentEnvironment,
  files: FileSystem,
  named: ReadonlySet<string> | undefined,
): Generator<VerifiedFile, void> {
  const dataDir = environment.directory
  const report = (path: string, kind: FileKind, problems: readonly FileProblem[]): VerifiedFile => ({
    path,
    kind,
    bytes: sizeOf(files, `${dataDir}/${path}`),
    checked: {},
    problems,
  })
  for (const path of filesSetAside(files, dataDir))
    yield report(path, 'set-aside', [note('it was damaged and is kept', 'move it away when it is of no use')])
  for (const name of namesIn(files, dataDir)) {
    if (known.has(name) || isSetAside(name)) continue
    if (isTemporary(name)) yield report(name, 'temporary', [note('a process left it behind', 'opening removes it')])
    else yield report(name, 'unknown', [note('it is no file of SydraDB')])
  }
  for (const name of namesIn(files, `${dataDir}/tmp`))
    yield report(`tmp/${name}`, 'temporary', [note('a query left it behind', 'opening removes it')])
  for (const name of namesIn(files, `${dataDir}/wal`))
    if (!isWalName(name) && !isSetAside(name))
      yield report(`wal/${name}`, 'unknown', [note('it is no file of SydraDB')])
  for (const path of segmentFiles(files, dataDir)) {
    if (named === undefined || named.has(path)) continue
    if (path.endsWith(temporarySuffix)) yield report(path, 'temporary', [note(unfinished, 'opening removes it')])
    else yield report(path, 'segment', [unnamed(environment, path)])
  }
}

const unfinished = 'no line of the manifest names it: its flush or merge did not finish, or others took its place'

function unnamed(environment: SegmentEnvironment, path: string): FileProblem {
  try {
    readSegmentMeta({ ...environment, onDamage: () => {} }, path)
    return note(unfinished, 'opening removes it')
  } catch (error) {
    return problemOf(error, ['corrupt_segment'], repairAdvice)
  }
}

const isTemporary = (name: string): boolean => name.endsWith('.tmp') || name.startsWith(`${lockName}.`)

/** 0 for a directory. */
function sizeOf(files: FileSystem, path: string): number {
  try {
    const file = files.open(path, 'read')
    try {
      return file.size()
    } finally {
      file.close()
    }
  } catch {
    return 0
  }
}
