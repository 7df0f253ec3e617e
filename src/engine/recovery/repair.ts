/**
 * Repairing a database that no process has open: what is broken is set aside, what is left of it takes its place.
 *
 *   verify -> open (which heals manifest, catalog and WAL) -> segments and rollups -> objects and refs
 *
 *   segment    its good row groups, without damaged columns, become a segment in its place; where nothing can be found in
 *              it, it goes as a whole        rollup      goes: it can be made again
 *   object     goes, and every ref whose snapshot needs it
 *
 * Invariants:
 * 1. Nothing that can be read is given up, and nothing damaged is removed: it is kept as `*.damaged`.
 * 2. Each step is durable before the next. A crash, or an abort, between any two leaves a database that opens, and that is
 *    repaired by the same call; repairing what is sound changes nothing.
 */
import { cancellation, type Stoppable } from '../../lib/cancel.ts'
import { toSydraError } from '../../lib/errors.ts'
import { inTurns, type Turns } from '../../lib/in-turns.ts'
import type { Ports } from '../../lib/ports.ts'
import type { Settings } from '../../lib/settings.ts'
import { namesIn } from '../../storage/data-files.ts'
import type { ObjectId } from '../../storage/object-store/format.ts'
import { ObjectStore } from '../../storage/object-store/objects.ts'
import { isNoRef, Refs, refsDirectory } from '../../storage/object-store/refs.ts'
import { walkTree } from '../../storage/object-store/trees.ts'
import { verifyObjects } from '../../storage/object-store/verify.ts'
import { createSegment, publishAll } from '../../storage/segment/publish.ts'
import { metaOf, readSegmentMeta } from '../../storage/segment/recover.ts'
import { type Loss, salvageSegment } from '../../storage/segment/salvage.ts'
import { keepCopy, setAside } from '../../storage/set-aside.ts'
import type { SegmentMeta } from '../../storage/types.ts'
import { isDamaged, type VerifiedFile } from '../../storage/verify/types.ts'
import type { EngineEvent, Repair } from '../../types.ts'
import { openStorage, type Storage } from './open-storage.ts'
import { verifyDirectory } from './verify.ts'

interface Context extends Turns {
  readonly ports: Ports
  readonly dataDir: string
  readonly storage: Storage
  readonly tell: (repair: Repair) => void
}

/**
 * Repairs what verifying finds damaged; `onRepair` is told of each step once it is durable. Throws `directory_in_use`,
 * `not_found`, `unsupported_version`, `disk_full`, `io_error`.
 */
export async function repairDirectory(
  settings: Settings,
  ports: Ports,
  tell: (repair: Repair) => void,
  options: Stoppable = {},
): Promise<void> {
  const { dataDir } = settings
  const damaged: VerifiedFile[] = []
  for await (const file of verifyDirectory(ports, dataDir, options)) if (isDamaged(file)) damaged.push(file)
  removeCopiesUnderWay(ports, dataDir)
  if (damaged.length === 0) return
  const logs = damaged.filter(({ kind }) => kind === 'wal').map(({ path }) => `${dataDir}/${path}`)
  const { signal } = options
  const storage = await openStorage(settings, ports, event => tellEvent(event, tell), { damagedLogs: logs, signal })
  try {
    for (const path of logs)
      if (!ports.files.exists(path)) tell({ path: path.slice(dataDir.length + 1), action: 'set-aside', ...nothing })
    const stopped = () => (signal?.aborted === true ? cancellation(signal.reason) : undefined)
    const context = { ports, dataDir, storage, tell, stopped }
    const broken = new Set([
      ...damaged.filter(({ kind }) => kind === 'segment' || kind === 'rollup').map(({ path }) => path),
      ...storage.damage.quarantined.map(({ path }) => path),
    ])
    const { segments } = storage.manifestState()
    for (const meta of segments) if (broken.delete(meta.path)) await repairSegment(context, meta)
    for (const path of broken) await setAsideUnnamed(context, path)
    await repairObjects(context, options)
  } finally {
    await storage.close()
  }
}

const nothing = { message: 'what can be read of it is in segments', losses: [] } as const

function tellEvent(event: EngineEvent, tell: (repair: Repair) => void): void {
  if (event.kind === 'rebuilt') tell({ path: event.path, action: 'rebuilt', message: event.message, losses: [] })
  if (event.kind !== 'wal-corruption') return
  const { path, lostFrom, lostTo } = event
  tell({ path, action: 'skipped', message: `commits ${lostFrom} to ${lostTo} are lost`, losses: [] })
}

// ---- segments -----------------------------------------------------------------------------------------------------

async function repairSegment(context: Context, meta: SegmentMeta): Promise<void> {
  const salvaged = meta.rollup === undefined && isTheOneNamed(context, meta) ? await salvage(context, meta) : undefined
  if (salvaged === undefined) {
    const { ports, dataDir, tell } = context
    const path = `${dataDir}/${meta.path}`
    if (ports.files.exists(path)) setAside(ports.files, path)
    await replace(context, meta, [])
    const losses = meta.rollup === undefined ? [lossOfAll(meta)] : []
    tell({
      path: meta.path,
      action: meta.rollup === undefined ? 'set-aside' : 'dropped',
      message: 'nothing in it can be used',
      losses,
    })
    return
  }
  const { added, losses } = salvaged
  await keepCopy(context.ports.files, `${context.dataDir}/${meta.path}`)
  await replace(context, meta, added === undefined ? [] : [added])
  removeIfThere(context, meta.path)
  context.tell({
    path: meta.path,
    action: 'salvaged',
    message: added === undefined ? 'none of its rows can be read' : `${added.rows} rows are in ${added.path} now`,
    losses,
  })
}

/** Whether the file has a header, and is the one that the manifest means. */
function isTheOneNamed({ storage }: Context, meta: SegmentMeta): boolean {
  try {
    const found = readSegmentMeta({ ...storage.environment, onDamage: () => {} }, meta.path).meta
    return found.rows === meta.rows && found.bytes === meta.bytes && found.maxLsn === meta.maxLsn
  } catch (error) {
    if (toSydraError(error).code === 'corrupt_segment') return false
    throw error
  }
}

/** Publishes what is left of a segment; undefined when nothing in it can be found. */
async function salvage({ ports, dataDir, storage, stopped }: Context, meta: SegmentMeta) {
  const [id] = storage.takeSegmentIds(1)
  const path = meta.path.replace(/[^/]*$/, `${id}.seg`)
  const unpublished = createSegment(ports.files, dataDir, path)
  try {
    const steps = salvageSegment(storage.environment, meta.path, storage.catalog, unpublished)
    const salvaged = await inTurns({ ports, stopped }, steps)
    if (salvaged === undefined || salvaged.rows === 0) {
      unpublished.discard()
      return salvaged && { added: undefined, losses: salvaged.losses }
    }
    await publishAll(ports.files, dataDir, [unpublished])
    const { header } = readSegmentMeta(storage.environment, path)
    const { deletesLsn, namespace } = meta
    const kept = {
      ...(deletesLsn === undefined ? {} : { deletesLsn }),
      ...(namespace === undefined ? {} : { namespace }),
    }
    return { added: { ...metaOf(header, path), ...kept }, losses: salvaged.losses }
  } catch (error) {
    unpublished.discard()
    throw error
  }
}

/** The manifest forgets the segment and the rollups of its rows: where rows are lost, they tell of more than there is. */
const replace = ({ storage }: Context, { id }: SegmentMeta, add: readonly SegmentMeta[]): Promise<void> =>
  storage.replaceSegments(present => {
    const remove = present.filter(meta => meta.id === id || meta.rollup?.of === id).map(meta => meta.id)
    return remove.includes(id) ? { remove: new Set(remove), add } : undefined
  })

const lossOfAll = ({ rows, minTimeUs, maxTimeUs }: SegmentMeta): Loss => ({
  metric: undefined,
  field: undefined,
  rows,
  seriesCount: 0,
  series: [],
  minTimeUs,
  maxTimeUs,
})

/** A segment that no line of the manifest names. */
async function setAsideUnnamed({ ports, dataDir, tell }: Context, path: string): Promise<void> {
  if (!ports.files.exists(`${dataDir}/${path}`)) return
  setAside(ports.files, `${dataDir}/${path}`)
  tell({ path, action: 'set-aside', message: 'no line of the manifest names it', losses: [] })
}

// ---- objects ------------------------------------------------------------------------------------------------------

/** Damaged objects and refs go, then the refs of snapshots that lack something. */
async function repairObjects({ ports, dataDir, tell }: Context, stop: Stoppable): Promise<void> {
  const { files } = ports
  if (!['objects', refsDirectory].some(name => files.exists(`${dataDir}/${name}`))) return
  const { problems } = await verifyObjects(ports, dataDir, stop)
  const go = (path: string, message: string): void => {
    if (!files.exists(`${dataDir}/${path}`)) return
    setAside(files, `${dataDir}/${path}`)
    tell({ path, action: 'set-aside', message, losses: [] })
  }
  for (const { path, message } of problems) go(path, message)
  if (problems.length === 0) return
  const objects = new ObjectStore(ports, dataDir)
  const refs = new Refs(ports, dataDir)
  for (const name of namesIn(files, `${dataDir}/${refsDirectory}`))
    if (!isNoRef(name) && !isWhole(objects, refs.get(name)!))
      go(`${refsDirectory}/${name}`, `the snapshot ${name} lacks what was damaged: it cannot be restored`)
}

/** Whether everything that a commit names is there. */
function isWhole(objects: ObjectStore, commit: ObjectId): boolean {
  try {
    for (const { id } of walkTree(objects, objects.commit(commit).tree)) if (!objects.has(id)) return false
    return true
  } catch (error) {
    if (toSydraError(error).code === 'corrupt_object') return false
    throw error
  }
}

// ---- files --------------------------------------------------------------------------------------------------------

/** What `keepCopy` leaves when it is cut off. */
function removeCopiesUnderWay(ports: Ports, dataDir: string): void {
  for (const name of namesIn(ports.files, dataDir))
    if (name.endsWith('.damaged.tmp')) ports.files.remove(`${dataDir}/${name}`)
}

function removeIfThere({ ports, dataDir }: Context, path: string): void {
  if (ports.files.exists(`${dataDir}/${path}`)) ports.files.remove(`${dataDir}/${path}`)
}
