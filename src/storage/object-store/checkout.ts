/**
 * A snapshot made a data directory, in place of what is there: all at once, whatever crash comes.
 *
 *   <file>.restore   the new files, whole and durable, beside the old
 *   RESTORE          says that they are, and which: from here on the directory is the new one
 *   rolling forward  old files go, new ones take their names, RESTORE goes
 *
 * Invariants:
 * 1. Before `RESTORE` is durable nothing of the old directory has changed.
 * 2. `finishCheckout` may be repeated from any point: a crash while rolling forward is finished by the next opening.
 * 3. The new directory is another database: it has an id of its own, for its LSNs go on differently from the old one's.
 */
import type { Stoppable } from '../../lib/cancel.ts'
import { SydraError } from '../../lib/errors.ts'
import { fileError } from '../../lib/file-errors.ts'
import { directoryOf, parentOf } from '../../lib/paths.ts'
import type { Ports } from '../../lib/ports.ts'
import { toHex } from '../../lib/text.ts'
import { checkpointName } from '../catalog/checkpoint.ts'
import { logName } from '../catalog/log.ts'
import { namesIn, segmentFiles } from '../data-files.ts'
import { decodeManifest, encodeCheckpoint } from '../manifest/log.ts'
import { manifestName } from '../manifest/manifest.ts'
import { copyFile } from './copy.ts'
import { damaged, type ObjectId } from './format.ts'
import type { ObjectStore } from './objects.ts'
import { walkTree } from './trees.ts'

const journalName = 'RESTORE'
const stagedSuffix = '.restore'
const version = 1

interface Journal {
  readonly version: number
  /** Relative to the data directory. */
  readonly files: readonly string[]
}

/** Whether a database is in the directory, whole or not. */
export const hasDatabase = ({ files }: Pick<Ports, 'files'>, directory: string): boolean =>
  [manifestName, checkpointName, logName, 'wal', journalName].some(name => files.exists(`${directory}/${name}`)) ||
  segmentFiles(files, directory).length > 0

/**
 * Makes the directory what it was at the commit. Whoever calls it holds the directory's lock.
 * Throws `corrupt_object` before anything of the directory has changed, `disk_full`, `io_error`.
 */
export async function checkout(
  ports: Ports,
  objects: ObjectStore,
  commit: ObjectId,
  directory: string,
  stop: Stoppable = {},
): Promise<void> {
  const { files } = ports
  await finishCheckout(ports, directory)
  try {
    const entries = [...walkTree(objects, objects.commit(commit).tree)].filter(({ kind }) => kind === 'blob')
    const manifest = entries.find(({ path }) => path === manifestName)
    if (manifest === undefined) throw damaged(commit, 'it has no manifest')
    for (const { path, id } of entries) {
      if (path === manifestName) continue
      const target = `${directory}/${path}${stagedSuffix}`
      files.makeDirectory(parentOf(target))
      const copied = await copyFile(ports, objects.pathOf(id), target, 'blob', stop)
      if (copied.id !== id) throw damaged(id, 'it is not what its name says')
    }
    const { state } = decodeManifest(objects.read('blob', manifest.id), objects.pathOf(manifest.id), ports.checksums)
    const databaseId = toHex(ports.random.bytes(new Uint8Array(16)))
    const own = { ...state, databaseId, incarnation: state.incarnation + 1 }
    await writeNew(ports, `${directory}/${manifestName}${stagedSuffix}`, encodeCheckpoint(own, ports.checksums))
    const paths = entries.map(({ path }) => path)
    await syncDirectories(ports, directory, paths)
    await files.syncDirectory(directoryOf(directory))
    const journal: Journal = { version, files: paths }
    await writeNew(ports, `${directory}/${journalName}.tmp`, new TextEncoder().encode(`${JSON.stringify(journal)}\n`))
    files.rename(`${directory}/${journalName}.tmp`, `${directory}/${journalName}`)
    await files.syncDirectory(directory)
  } catch (error) {
    if (!files.exists(`${directory}/${journalName}`)) removeStaged(ports, directory)
    throw fileError(error, `cannot restore into ${directory}`)
  }
  await finishCheckout(ports, directory)
}

/** Rolls forward what a checkout has begun, or removes what it left before it began. */
export async function finishCheckout(ports: Ports, directory: string): Promise<void> {
  const { files } = ports
  const journalPath = `${directory}/${journalName}`
  if (!files.exists(journalPath)) {
    removeStaged(ports, directory)
    return
  }
  try {
    // Its name may be in the cache alone: before anything goes it must be on the disk.
    await files.syncDirectory(directory)
    const journal = readJournal(ports, journalPath)
    const wanted = new Set(journal.files)
    for (const name of namesIn(files, `${directory}/wal`)) files.remove(`${directory}/wal/${name}`)
    const fixed = [manifestName, checkpointName, logName].filter(name => files.exists(`${directory}/${name}`))
    for (const path of [...fixed, ...segmentFiles(files, directory)])
      if (!wanted.has(path) && !path.endsWith(stagedSuffix)) files.remove(`${directory}/${path}`)
    for (const path of journal.files) {
      const staged = `${directory}/${path}${stagedSuffix}`
      if (!files.exists(staged)) continue
      files.rename(staged, `${directory}/${path}`)
    }
    await syncDirectories(
      ports,
      directory,
      [...journal.files, 'wal/-'].filter(path => exists(ports, directory, path)),
    )
    files.remove(journalPath)
    await files.syncDirectory(directory)
    removeStaged(ports, directory)
  } catch (error) {
    throw fileError(error, `cannot finish the restore of ${directory}`)
  }
}

const exists = ({ files }: Ports, directory: string, path: string): boolean =>
  files.exists(parentOf(`${directory}/${path}`) || '.')

function readJournal({ files }: Ports, path: string): Journal {
  const file = files.open(path, 'read')
  try {
    const bytes = new Uint8Array(file.size())
    const journal = JSON.parse(new TextDecoder().decode(bytes.subarray(0, file.read(bytes, 0)))) as Journal
    if (journal.version === version) return journal
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  } finally {
    file.close()
  }
  throw new SydraError('corrupt_manifest', `${path} cannot be read`, {
    hint: `a restore was interrupted: remove ${path} and restore again`,
  })
}

async function writeNew({ files }: Ports, path: string, bytes: Uint8Array): Promise<void> {
  const file = files.open(path, 'open')
  try {
    file.truncate(0)
    file.write(bytes, 0)
    await file.dataSync()
  } finally {
    file.close()
  }
}

/** Of the files and of all above them, up to the data directory. */
async function syncDirectories({ files }: Ports, directory: string, paths: readonly string[]): Promise<void> {
  const directories = new Set([directory])
  for (const path of paths)
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1))
      directories.add(`${directory}/${path.slice(0, at)}`)
  for (const each of directories) await files.syncDirectory(each)
}

function removeStaged({ files }: Ports, directory: string): void {
  const staged = [...namesIn(files, directory), ...segmentFiles(files, directory)].filter(path =>
    path.endsWith(stagedSuffix),
  )
  if (files.exists(`${directory}/${journalName}.tmp`)) staged.push(`${journalName}.tmp`)
  for (const path of staged) files.remove(`${directory}/${path}`)
}
