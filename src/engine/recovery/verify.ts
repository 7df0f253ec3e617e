/**
 * Verifying a database: every file is read and checked, one after the other.
 *
 *   MANIFEST -> catalog -> WAL -> segments and rollups -> what the manifest refers to -> objects and refs -> the rest
 *
 * Invariants:
 * 1. Nothing is changed, and nothing opened for writing.
 * 2. What is damaged hides nothing else: without a manifest all segments there are count, without a catalog they are checked
 *    against themselves alone.
 * 3. Others get their turns (`in-turns.ts`). Of an open database a version is pinned, so that its segments stay.
 */
import { createWasmKernels } from '../../kernels/wasm-kernels.ts'
import { cancellation, type Stoppable } from '../../lib/cancel.ts'
import { SydraError } from '../../lib/errors.ts'
import { fileError } from '../../lib/file-errors.ts'
import { inTurns, type Turns } from '../../lib/in-turns.ts'
import type { Ports } from '../../lib/ports.ts'
import { loadSeriesHasher } from '../../storage/catalog/identity.ts'
import { catalogExists } from '../../storage/catalog/store.ts'
import { namesIn, segmentFiles } from '../../storage/data-files.ts'
import { holderOf, lockName } from '../../storage/lock.ts'
import { verifyObjects } from '../../storage/object-store/verify.ts'
import { verifyRollup } from '../../storage/rollup/verify.ts'
import { type SegmentEnvironment, segmentEnvironment } from '../../storage/segment/environment.ts'
import { temporarySuffix } from '../../storage/segment/publish.ts'
import { readSegmentMeta } from '../../storage/segment/recover.ts'
import type { SeriesTruth } from '../../storage/segment/verify.ts'
import type { SegmentMeta } from '../../storage/types.ts'
import { verifyCatalog, verifyOpenCatalog } from '../../storage/verify/catalog.ts'
import { leftovers } from '../../storage/verify/leftovers.ts'
import { verifyLog } from '../../storage/verify/log.ts'
import { verifyManifest } from '../../storage/verify/manifest.ts'
import { damage, note, problemOf, repairAdvice, rollupAdvice } from '../../storage/verify/problems.ts'
import { verifyReferences } from '../../storage/verify/references.ts'
import { verifyNamedSegment } from '../../storage/verify/segments.ts'
import { isDamaged, type VerifiedFile } from '../../storage/verify/types.ts'
import type { VerifyResult } from '../../types.ts'
import type { Storage } from './open-storage.ts'

interface Context extends Turns {
  readonly ports: Ports
  readonly dataDir: string
  readonly environment: SegmentEnvironment
  readonly stopped: () => SydraError | undefined
  readonly signal: AbortSignal | undefined
}

const contextOf = (
  ports: Ports,
  dataDir: string,
  { signal }: Stoppable,
  isClosing: () => boolean = () => false,
): Context => ({
  ports,
  dataDir,
  environment: segmentEnvironment(ports, createWasmKernels(), { directory: dataDir, cacheBytesMax: 0 }),
  stopped() {
    if (signal?.aborted === true) return cancellation(signal.reason)
    return isClosing() ? new SydraError('shutting_down', 'the database is closing') : undefined
  },
  signal,
})

/**
 * Verifies the files of a database that no process has open. Throws `directory_in_use` naming the pid, `not_found`,
 * `unsupported_version`, `io_error`.
 */
export function verifyDirectory(
  ports: Ports,
  dataDir: string,
  options: Stoppable = {},
): AsyncGenerator<VerifiedFile, void> {
  return toldOf(dataDir, filesOfDirectory(ports, dataDir, options))
}

/** Failures of the file system as `io_error`. */
async function* toldOf(dataDir: string, files: AsyncGenerator<VerifiedFile, void>): AsyncGenerator<VerifiedFile, void> {
  try {
    yield* files
  } catch (error) {
    throw fileError(error, `cannot verify ${dataDir}`)
  }
}

async function* filesOfDirectory(
  ports: Ports,
  dataDir: string,
  options: Stoppable,
): AsyncGenerator<VerifiedFile, void> {
  const context = contextOf(ports, dataDir, options)
  assertClosed(ports, dataDir)
  assertDatabase(ports, dataDir)
  if (ports.files.exists(`${dataDir}/${lockName}`)) {
    const problems = [note('its process has ended without removing it', 'opening takes it over')]
    yield { path: lockName, kind: 'lock', bytes: 0, checked: {}, problems }
  }
  const manifest = verifyManifest(ports, dataDir)
  yield manifest.file
  const hash = await loadSeriesHasher()
  const hasCatalog = catalogExists({ ports, directory: dataDir, seriesMax: 0 })
  const isNew = (manifest.state?.flushedLsn ?? 0) === 0 && manifest.state?.segments.length === 0
  const found =
    hasCatalog || !isNew
      ? await inTurns(context, verifyCatalog(ports, dataDir, hash, manifest.state?.catalog))
      : undefined
  yield* found?.files ?? []
  const catalog = found?.catalog

  const truth = {
    flushedLsn: () => manifest.state?.flushedLsn,
    catalog,
    onCatalog: (records: Uint8Array) => catalog?.applyRecords(records),
  }
  yield* await inTurns(context, verifyLog(ports, dataDir, truth))

  const metas = manifest.state?.segments ?? (yield* segmentsOnDisk(context))
  yield* verifySegments(context, metas, catalog && { catalog, hash })
  if (manifest.state !== undefined) yield verifyReferences(manifest.state, catalog)
  yield* verifyStore(context)
  const named = manifest.state && new Set(metas.map(({ path }) => path))
  yield* leftovers(context.environment, ports.files, named)
  assertClosed(ports, dataDir)
}

/** Verifies a database while it is open. Throws `unsupported_version`, `io_error`. */
export function verifyOpen(
  ports: Ports,
  dataDir: string,
  storage: Storage,
  options: Stoppable = {},
  isClosing?: () => boolean,
): AsyncGenerator<VerifiedFile, void> {
  return toldOf(dataDir, filesOfOpen(ports, dataDir, storage, options, isClosing))
}

async function* filesOfOpen(
  ports: Ports,
  dataDir: string,
  { versions, catalog, wal, damage: known, manifestState }: Storage,
  options: Stoppable,
  isClosing: (() => boolean) | undefined,
): AsyncGenerator<VerifiedFile, void> {
  const context = contextOf(ports, dataDir, options, isClosing)
  const version = versions.pin()
  try {
    const metas = versions.segments.map(({ meta }) => meta)
    const manifest = verifyManifest(ports, dataDir)
    yield manifest.file
    const hash = await loadSeriesHasher()
    yield* await inTurns(context, verifyOpenCatalog(ports, dataDir, catalog, hash))
    const truth = {
      flushedLsn: () => manifestState().flushedLsn,
      catalog,
      onCatalog: () => {},
      upTo: wal.lastLsn,
    }
    yield* await inTurns(context, verifyLog(ports, dataDir, truth))
    for (const { path, message } of known.quarantined)
      yield { path, kind: 'segment', bytes: 0, checked: {}, problems: [damage(message, repairAdvice)] }
    yield* verifySegments(context, metas, { catalog, hash })
    if (manifest.state !== undefined) yield verifyReferences(manifest.state, catalog)
    yield* verifyStore(context)
  } finally {
    version.release()
  }
}

export const verifyResult = (files: AsyncIterable<VerifiedFile>, { clock }: Pick<Ports, 'clock'>): VerifyResult => ({
  [Symbol.asyncIterator]: () => files[Symbol.asyncIterator](),
  async all() {
    const startedMs = clock.monotonicMs()
    const summary = newSummary()
    for await (const file of files) addTo(summary, file)
    return { ...summary, ok: summary.damaged.length === 0, elapsedMs: clock.monotonicMs() - startedMs }
  },
})

const newSummary = () => ({ files: 0, rows: 0, bytes: 0, damaged: [] as VerifiedFile[] })

function addTo(summary: ReturnType<typeof newSummary>, file: VerifiedFile): void {
  summary.files++
  summary.bytes += file.bytes
  if (file.kind === 'segment') summary.rows += file.checked['rows'] ?? 0
  if (isDamaged(file)) summary.damaged.push(file)
}

function assertClosed(ports: Ports, dataDir: string): void {
  const pid = holderOf(ports, dataDir)
  if (pid === undefined) return
  throw new SydraError('directory_in_use', `${dataDir} is in use by process ${pid}`, {
    hint: 'verify through the server (--url), or stop that process',
  })
}

function assertDatabase({ files }: Ports, dataDir: string): void {
  const names = namesIn(files, dataDir)
  if (['MANIFEST', 'segments', 'wal', 'catalog.log'].some(name => names.includes(name))) return
  throw new SydraError('not_found', `there is no database in ${dataDir}`)
}

/** Of a database without a manifest: what the files say of themselves. */
async function* segmentsOnDisk({ ports, dataDir, environment }: Context): AsyncGenerator<VerifiedFile, SegmentMeta[]> {
  const metas: SegmentMeta[] = []
  for (const path of segmentFiles(ports.files, dataDir)) {
    if (path.endsWith(temporarySuffix)) continue
    try {
      metas.push(readSegmentMeta(environment, path).meta)
    } catch (error) {
      yield { path, kind: 'segment', bytes: 0, checked: {}, problems: [problemOf(error, ['corrupt_segment'])] }
    }
  }
  return metas
}

async function* verifySegments(
  context: Context,
  metas: readonly SegmentMeta[],
  truth: SeriesTruth | undefined,
): AsyncGenerator<VerifiedFile, void> {
  const byId = new Map(metas.map(meta => [meta.id, meta]))
  const damagedIds = new Set<string>()
  for (const meta of metas) {
    const file = await inTurns(context, verifyNamedSegment(context.environment, meta, truth))
    if (isDamaged(file)) damagedIds.add(meta.id)
    const rows = meta.rollup && byId.get(meta.rollup.of)
    if (rows === undefined || damagedIds.has(meta.id) || damagedIds.has(rows.id)) yield file
    else yield withRollup(context, file, rows, meta)
  }
}

/** A rollup that is sound in itself, compared with the rows that it summarises. */
function withRollup(
  { environment }: Context,
  file: VerifiedFile,
  rows: SegmentMeta,
  rollup: SegmentMeta,
): VerifiedFile {
  try {
    const { buckets } = verifyRollup(environment, rows, rollup)
    return { ...file, checked: { ...file.checked, buckets } }
  } catch (error) {
    return { ...file, problems: [...file.problems, problemOf(error, ['corrupt_segment'], rollupAdvice)] }
  }
}

/** Objects and refs: what they are together, then each that is damaged. */
async function* verifyStore({ ports, dataDir, signal }: Context): AsyncGenerator<VerifiedFile, void> {
  if (!['objects', 'refs'].some(name => ports.files.exists(`${dataDir}/${name}`))) return
  const { objects, refs, commits, bytes, problems } = await verifyObjects(ports, dataDir, signal && { signal })
  yield { path: 'objects', kind: 'objects', bytes, checked: { objects, refs, commits }, problems: [] }
  const advice = '`verify --repair` sets it aside; snapshots that need it cannot be restored any more'
  for (const { path, message } of problems)
    yield { path, kind: 'objects', bytes: 0, checked: {}, problems: [damage(message, advice)] }
}
