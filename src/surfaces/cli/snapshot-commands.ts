/** `sydradb snapshot`, `restore`, `log`, `diff` and `gc`: backups and what is done with them. */
import {
  collectGarbage,
  type GarbageReport,
  hasSnapshots,
  type RestoreReport,
  restoreDirectory,
  type Snapshot,
  snapshotsIn,
} from '../../index.ts'
import { SydraError } from '../../lib/errors.ts'
import type { Settings } from '../../lib/settings.ts'
import { snakeCase } from '../snake-case.ts'
import { bytesText, note, writeOut } from './output.ts'
import type { SnapshotTarget } from './snapshot-target.ts'

interface Printed {
  readonly json?: boolean
}

/** Digits of an id that are shown. */
const shownDigits = 12

const print = (value: object): Promise<void> => writeOut(`${JSON.stringify(snakeCase(value))}\n`)

export async function snapshotCommand(
  target: SnapshotTarget,
  to: string | undefined,
  { name, message, json }: Printed & { readonly name?: string; readonly message?: string },
  signal: AbortSignal,
): Promise<void> {
  const report = await target.snapshot(name, { message, to, signal })
  if (json) return print(report)
  const { id, names, rows, addedObjects, addedBytes, elapsedMs, leftOut } = report
  const where = to === undefined ? '' : ` in ${to}`
  note(
    `snapshot ${names.join(', ')} (${id.slice(0, shownDigits)})${where}: ${rows.toLocaleString('en')} rows, ` +
      `${addedObjects} new objects of ${bytesText(addedBytes)} in ${(elapsedMs / 1000).toFixed(2)} s`,
  )
  for (const path of leftOut) note(`${path} is damaged and not in it: sydradb verify says more`)
}

export interface RestoreCommandOptions extends Printed {
  readonly ref?: string
  readonly replace?: boolean
  readonly dryRun?: boolean
}

/** A snapshot of the open database. */
export async function restoreCommand(
  target: SnapshotTarget,
  ref: string,
  { dryRun, json }: RestoreCommandOptions,
  signal: AbortSignal,
): Promise<void> {
  const report = await target.restore(ref, { dryRun, signal })
  if (json) return print(report)
  tellRestored(report)
}

/** Whether `source` means a directory with snapshots, and not one of the database's own. Throws where neither can be. */
export function isSourceDirectory({ dataDir }: Settings, source: string): boolean {
  const own = hasSnapshots(dataDir) ? snapshotsIn(dataDir) : []
  if (own.some(({ names }) => names.includes(source))) return false
  if (hasSnapshots(source)) return true
  if (own.length > 0) return false
  throw new SydraError('not_found', `there are no snapshots in ${source}, nor in ${dataDir}`, {
    hint: 'name a directory that sydradb snapshot <directory> made, or a snapshot of this database',
  })
}

/** Of another directory, into a data directory that nobody has open. */
export async function restoreDirectoryCommand(
  settings: Settings,
  source: string,
  { ref, replace, dryRun, json }: RestoreCommandOptions,
  signal: AbortSignal,
): Promise<void> {
  const report = await restoreDirectory(source, settings.dataDir, { ref, replace, dryRun, signal })
  if (json) return print(report)
  tellRestored(report, settings.dataDir)
}

function tellRestored({ snapshot, dryRun, elapsedMs }: RestoreReport, directory?: string): void {
  const { id, names, rows, bytes, timeUs } = snapshot
  const what = `${names.join(', ') || id.slice(0, shownDigits)} of ${dateText(timeUs)}`
  const size = `${rows.toLocaleString('en')} rows, ${bytesText(bytes)}`
  const did = dryRun ? 'whole, nothing was changed' : `restored${directory === undefined ? '' : ` into ${directory}`}`
  note(`${what} (${size}): ${did}, in ${(elapsedMs / 1000).toFixed(2)} s`)
}

export async function logCommand(snapshots: readonly Snapshot[], { json }: Printed): Promise<void> {
  if (json) {
    for (const each of snapshots) await print(each)
    return
  }
  if (snapshots.length === 0) note('there are no snapshots yet')
  const lines = snapshots.map(({ id, names, isHead, timeUs, rows, bytes, message }) => [
    id.slice(0, shownDigits),
    dateText(timeUs),
    [...names, ...(isHead ? ['HEAD'] : [])].join(', '),
    `${rows.toLocaleString('en')} rows`,
    bytesText(bytes),
    message.split('\n', 1)[0]!,
  ])
  await writeOut(aligned(lines))
}

export const logOf = (directory: string): readonly Snapshot[] => snapshotsIn(directory)

export async function diffCommand(
  target: SnapshotTarget,
  before: string,
  after: string | undefined,
  { json }: Printed,
  signal: AbortSignal,
): Promise<void> {
  const totals = { series: 0, added: 0, removed: 0, changed: 0 }
  for await (const difference of target.diff(before, after, { signal })) {
    const { series, only, added, removed, changed } = difference
    totals.series++
    totals.added += added
    totals.removed += removed
    totals.changed += changed
    if (json) await print(difference)
    else {
      const mark = only === 'after' ? '+' : only === 'before' ? '-' : ' '
      await writeOut(`${mark} ${series}  +${added} -${removed} ~${changed}\n`)
    }
  }
  const { series, added, removed, changed } = totals
  note(
    series === 0
      ? 'no differences'
      : `${series} series differ: ${added} rows added, ${removed} removed, ${changed} changed`,
  )
}

export async function gcCommand(
  target: SnapshotTarget,
  { forget, json }: Printed & { readonly forget: readonly string[] },
  signal: AbortSignal,
): Promise<void> {
  for (const name of forget) await target.removeSnapshot(name)
  await tellCollected(await target.gc({ signal }), json)
}

export async function gcDirectoryCommand(
  directory: string,
  { forget, json }: Printed & { readonly forget: readonly string[] },
  signal: AbortSignal,
): Promise<void> {
  if (!hasSnapshots(directory)) throw new SydraError('not_found', `there are no snapshots in ${directory}`)
  await tellCollected(await collectGarbage(directory, { forget, signal }), json)
}

async function tellCollected(report: GarbageReport, json: boolean | undefined): Promise<void> {
  if (json) return print(report)
  note(`${report.removed} objects of ${bytesText(report.removedBytes)} removed, ${report.kept} kept`)
}

const dateText = (us: number): string => `${new Date(us / 1000).toISOString().slice(0, 19)}Z`

function aligned(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map(line => line[column]!.length)))
  return lines
    .map(
      line =>
        `${line
          .map((cell, i) => cell.padEnd(widths[i]!))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}
