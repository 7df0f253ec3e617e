/**
 * Bugs to put into the engine, to see whether the simulation finds them: each is a change of one line of a source file, made
 * while the file is loaded. The sources themselves know nothing of it.
 *
 * Invariants:
 * 1. What is to be replaced stands in the file exactly once; when the code has changed, planting fails.
 * 2. An engine with a bug has its own copy of the modules that import, by however many steps, the one with the bug, and shares
 *    the others: one process tries many bugs, and none of them meets another.
 */
import { globSync, readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface PlantedBug {
  readonly name: string
  readonly file: string
  readonly replace: string
  readonly by: string
  /** What goes wrong, in words. */
  readonly means: string
  /** The first seed that found it, when it was last looked for. */
  readonly foundBySeed: number
}

export const plantedBugs: readonly PlantedBug[] = [
  {
    name: 'segment-without-its-directory',
    file: 'src/storage/segment/publish.ts',
    replace: 'await files.syncDirectory(directory)\n',
    by: 'void directory\n',
    means: 'the directory of a new segment is not synced: power loss takes its name away',
    foundBySeed: 6,
  },
  {
    name: 'segment-without-sync',
    file: 'src/storage/segment/publish.ts',
    replace: 'await file.dataSync()',
    by: 'void file',
    means: 'a new segment is named by the manifest before its bytes are durable',
    foundBySeed: 2,
  },
  {
    name: 'manifest-edit-without-sync',
    file: 'src/storage/manifest/manifest.ts',
    replace: 'await log.handle.dataSync()',
    by: 'void log',
    means: 'the WAL, or inputs of a merge, go before the edit that replaces them is durable',
    foundBySeed: 9,
  },
  {
    name: 'acknowledged-before-durable',
    file: 'src/engine/writing/commit-ports.ts',
    replace: 'syncsEach ? completes(() => wal.sync()) : EMPTY',
    by: 'EMPTY',
    means: 'rows are acknowledged when they are written, not when they are synced',
    foundBySeed: 5,
  },
  {
    name: 'wal-trimmed-too-early',
    file: 'src/engine/recovery/open-storage.ts',
    replace: 'flushedLsn: upTo, nextSegment, catalog',
    by: 'flushedLsn: Math.max(upTo, versions.lsn), nextSegment, catalog',
    means: 'with a flush goes the log of rows that came after it',
    foundBySeed: 9,
  },
  {
    name: 'log-file-released-too-early',
    file: 'src/storage/wal/wal.ts',
    replace: 'file => file.lastLsn <= lsn',
    by: 'file => file.firstLsn <= lsn',
    means: 'a file of the log goes with its first rows, when its last are in no segment yet',
    foundBySeed: 1352,
  },
  {
    name: 'tombstone-lost-at-flush',
    file: 'src/storage/tombstones/saved.ts',
    replace: 'const needed = flushed.filter(isNeeded)',
    by: 'const needed = flushed.filter(each => isNeeded(each) && false)',
    means: 'deletes that came with a flush are not kept for the rows in segments',
    foundBySeed: 1,
  },
  {
    name: 'tombstone-forgotten-at-merge',
    file: 'src/storage/compaction/merge.ts',
    replace: 'tombstones: deleted.above(each.source.input.deletesLsn),',
    by: 'tombstones: undefined,',
    means: 'a merge writes deleted rows again, as if they were new',
    foundBySeed: 1,
  },
  {
    name: 'merge-of-the-wrong-order',
    file: 'src/storage/compaction/merge.ts',
    replace: 'slices: { sources: merged, series,',
    by: 'slices: { sources: merged.toReversed(), series,',
    means: 'where rows merge, the older value wins',
    foundBySeed: 1,
  },
  {
    name: 'stale-rollup',
    file: 'src/storage/rollup/view.ts',
    replace: '.filter(({ lsn }) => lsn > deletesLsn)',
    by: '.filter(() => false)',
    means: 'a rollup answers for buckets that a later delete has cut',
    foundBySeed: 12,
  },
  {
    name: 'segment-id-used-twice',
    file: 'src/engine/recovery/open-storage.ts',
    replace: 'flushedLsn: upTo, nextSegment, catalog',
    by: 'flushedLsn: upTo, catalog',
    means: 'after a restart a new segment gets the id of one that is there',
    foundBySeed: 1,
  },
  {
    name: 'file-removed-under-its-reader',
    file: 'src/storage/versions.ts',
    replace: 'for (const segment of remove) this.#replaced.add(segment)',
    by: 'for (const segment of remove) this.#options.discard(segment.meta)',
    means: 'the files of replaced segments go at once, whoever reads them',
    foundBySeed: 966,
  },
  {
    name: 'retention-of-another-namespace',
    file: 'src/storage/retention/expired.ts',
    replace: 'return rules.horizonOf(meta.namespace, nowUs)',
    by: 'return rules.latestHorizonUs(nowUs)',
    means: 'segments of a namespace go when those of the shortest rule do',
    foundBySeed: 2,
  },
  {
    name: 'rows-expire-too-late',
    file: 'src/storage/retention/rules.ts',
    replace: 'Math.round(days * dayUs)',
    by: 'Math.round(days * 2 * dayUs)',
    means: 'expired rows are still seen',
    foundBySeed: 2,
  },
  {
    name: 'ref-before-its-objects',
    file: 'src/storage/object-store/objects.ts',
    replace: 'await files.syncDirectory(directory)\n',
    by: 'void files\n',
    means: 'a snapshot has its name before the objects it needs are durable',
    foundBySeed: 9,
  },
  {
    name: 'restored-without-its-deletes',
    file: 'src/engine/recovery/open-storage.ts',
    replace: '          addTombstones,\n',
    by: '',
    means: 'a restored database shows rows that were deleted before its snapshot was taken',
    foundBySeed: 8,
  },
  {
    name: 'catalog-behind-the-manifest',
    file: 'src/engine/recovery/open-storage.ts',
    replace: 'await catalogStore.appendLog()\n        const tombstones',
    by: 'const tombstones',
    means: 'the WAL goes before the series that it announced are in the catalog',
    foundBySeed: 1,
  },
]

const query = '?planted='
const root = new URL('../../', import.meta.url).href
/** File -> the files that import it. */
const importers = new Map<string, string[]>()

function findImporters(): void {
  const folder = fileURLToPath(root)
  for (const path of globSync('{src,test/crash,test/simulated}/**/*.ts', { cwd: folder })) {
    const file = path.replaceAll('\\', '/')
    for (const [, specifier] of readFileSync(join(folder, path), 'utf8').matchAll(/(?:from|import) ?\(?'(\.[^']+)'/g)) {
      const imported = posix.join(posix.dirname(file), specifier!)
      importers.set(imported, [...(importers.get(imported) ?? []), file])
    }
  }
}

/** The files that see the bug: its own, and whatever imports one of them. */
const affected = new Map<string, ReadonlySet<string>>()

function plant({ name, file, replace, by }: PlantedBug): void {
  if (affected.has(name)) return
  if (importers.size === 0) findImporters()
  const files = new Set([file])
  for (const each of files) for (const importer of importers.get(each) ?? []) files.add(importer)
  affected.set(name, files)
  registerHooks({
    resolve(specifier, context, nextResolve) {
      const resolved = nextResolve(specifier, context)
      const isAffected = files.has(resolved.url.slice(root.length)) && context.parentURL?.endsWith(query + name)
      return isAffected ? { ...resolved, url: resolved.url + query + name } : resolved
    },
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      if (url !== root + file + query + name) return loaded
      const source = typeof loaded.source === 'string' ? loaded.source : new TextDecoder().decode(loaded.source)
      if (source.split(replace).length !== 2) throw new Error(`"${replace}" is not in ${file} once`)
      return { ...loaded, source: source.replace(replace, () => by) }
    },
  })
}

/** The simulation of an engine that has the bug. */
export async function plantedSimulation(name: string): Promise<typeof import('./run-seed.ts')> {
  const bug = plantedBugs.find(each => each.name === name)
  if (bug === undefined) throw new Error(`no such bug; there are ${plantedBugs.map(each => each.name).join(', ')}`)
  plant(bug)
  return import(`./run-seed.ts${query}${name}`)
}
