/**
 * Verifying the catalog: checkpoint and log record by record, and every series' id against its hash.
 *
 * Of a closed database the catalog is made from the files, as opening does; of an open one the files' checksums are checked,
 * and the series of the catalog at hand.
 */
import type { Ports } from '../../lib/ports.ts'
import { readWhole } from '../../lib/read-whole.ts'
import { Catalog } from '../catalog/catalog.ts'
import { checkCheckpoint, checkpointName, readCheckpoint } from '../catalog/checkpoint.ts'
import type { SeriesHasher } from '../catalog/identity.ts'
import { type DecodedLog, damagedFrame, decodeLog, logName } from '../catalog/log.ts'
import type { CatalogReader } from '../catalog/types.ts'
import { DamageError } from '../codecs/bytes.ts'
import type { CatalogExtent } from '../manifest/state.ts'
import { damage, note, problemOf } from './problems.ts'
import type { FileProblem, VerifiedFile } from './types.ts'

type CatalogPorts = Pick<Ports, 'files' | 'checksums'>

const advice =
  'opening puts it together again from its good records, the WAL and the segments; `verify --repair` does it now'

/** Series between two turns of others. */
const turnSeries = 4096

export interface VerifiedCatalog {
  readonly files: readonly VerifiedFile[]
  /** undefined when it cannot be made from the files. */
  readonly catalog: Catalog | undefined
}

/** Of a closed database that has one. Throws `unsupported_version`, file system errors. */
export function* verifyCatalog(
  ports: CatalogPorts,
  dataDir: string,
  hash: SeriesHasher,
  extent: CatalogExtent | undefined,
): Generator<void, VerifiedCatalog> {
  const { files } = ports
  const checkpointPath = `${dataDir}/${checkpointName}`
  const logPath = `${dataDir}/${logName}`
  const reports: VerifiedFile[] = []
  const seriesMax = Number.POSITIVE_INFINITY
  let catalog: Catalog | undefined
  let checkpointFailed = false
  if (files.exists(checkpointPath)) {
    const problems: FileProblem[] = []
    try {
      const { incarnation, state } = readCheckpoint(ports, dataDir)
      catalog = new Catalog({ incarnation, hash, seriesMax }, state)
      problems.push(...(yield* wrongIds(catalog, hash)))
    } catch (error) {
      problems.push(problemOf(error, ['corrupt_catalog'], advice))
      checkpointFailed = true
    }
    reports.push(report(files, dataDir, checkpointName, { series: catalog?.seriesCount ?? 0 }, problems))
  }
  if (!files.exists(logPath)) {
    const missing = {
      path: logName,
      kind: 'catalog',
      bytes: 0,
      checked: {},
      problems: [damage('it is missing', advice)],
    } as const
    return { files: [...reports, missing], catalog: undefined }
  }
  const problems: FileProblem[] = []
  const before = catalog?.seriesCount ?? 0
  let frames = 0
  try {
    const log = decodeLog(ports, logPath, readWhole(files, logPath))
    frames = log.frames.length
    problems.push(...endOf(log, files, logPath))
    if (!checkpointFailed) {
      catalog ??= new Catalog({ incarnation: log.incarnation, hash, seriesMax })
      if (catalog.incarnation !== log.incarnation)
        problems.push(damage('it belongs to another catalog than the checkpoint', advice))
      else problems.push(...applied(catalog, log))
      problems.push(...(yield* wrongIds(catalog, hash, before)))
      if (extent !== undefined && extent.incarnation === catalog.incarnation && extent.records > catalog.sequence)
        problems.push(damage(`it ends before record ${extent.records}`, advice, log.end))
    }
  } catch (error) {
    problems.push(problemOf(error, ['corrupt_catalog'], advice))
  }
  reports.push(report(files, dataDir, logName, { frames, series: (catalog?.seriesCount ?? 0) - before }, problems))
  const isWhole = reports.every(({ problems }) => problems.every(({ severity }) => severity === 'note'))
  return { files: reports, catalog: isWhole ? catalog : undefined }
}

/** Of an open database. */
export function* verifyOpenCatalog(
  ports: CatalogPorts,
  dataDir: string,
  catalog: CatalogReader,
  hash: SeriesHasher,
): Generator<void, readonly VerifiedFile[]> {
  const { files } = ports
  const reports: VerifiedFile[] = []
  if (files.exists(`${dataDir}/${checkpointName}`)) {
    const problems: FileProblem[] = []
    try {
      yield* checkCheckpoint(ports, dataDir)
    } catch (error) {
      problems.push(problemOf(error, ['corrupt_catalog'], advice))
    }
    reports.push(report(files, dataDir, checkpointName, {}, problems))
  }
  const problems: FileProblem[] = []
  let frames = 0
  try {
    const log = decodeLog(ports, `${dataDir}/${logName}`, readWhole(files, `${dataDir}/${logName}`))
    frames = log.frames.length
    problems.push(...endOf(log, files, `${dataDir}/${logName}`))
  } catch (error) {
    problems.push(problemOf(error, ['corrupt_catalog'], advice))
  }
  problems.push(...(yield* wrongIds(catalog, hash)))
  return [...reports, report(files, dataDir, logName, { frames, series: catalog.seriesCount }, problems)]
}

function applied(catalog: Catalog, { frames }: DecodedLog): FileProblem[] {
  for (const { at, batch } of frames) {
    try {
      catalog.applyBatch(batch)
    } catch (error) {
      if (!(error instanceof DamageError)) throw error
      return [damage(`offset ${at}: ${error.message}`, advice, at)]
    }
  }
  return []
}

function endOf({ end, goodBehind }: DecodedLog, files: Ports['files'], path: string): FileProblem[] {
  if (goodBehind) return [damage(damagedFrame, advice, end)]
  return sizeOf(files, path) > end ? [note('its last frame was cut off while it was written', 'opening cuts it')] : []
}

/** Whether the ids from an ordinal on are the hashes of what is printed. */
function* wrongIds(catalog: CatalogReader, hash: SeriesHasher, from = 0): Generator<void, FileProblem[]> {
  const problems: FileProblem[] = []
  for (let ordinal = from; ordinal < catalog.seriesCount; ordinal++) {
    if (ordinal % turnSeries === turnSeries - 1) yield
    const printed = catalog.printed.at(ordinal)
    const id = catalog.ids.at(ordinal)
    if (hash(encoder.encode(printed)).toString() !== id)
      problems.push(damage(`${id} is not the id of ${printed}`, advice))
  }
  return problems
}

const encoder = new TextEncoder()

function sizeOf(files: Ports['files'], path: string): number {
  const file = files.open(path, 'read')
  try {
    return file.size()
  } finally {
    file.close()
  }
}

const report = (
  files: Ports['files'],
  dataDir: string,
  path: string,
  checked: VerifiedFile['checked'],
  problems: readonly FileProblem[],
): VerifiedFile => ({ path, kind: 'catalog', bytes: sizeOf(files, `${dataDir}/${path}`), checked, problems })
