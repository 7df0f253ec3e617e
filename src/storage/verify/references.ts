/** What the manifest says of its parts together: metrics of tombstones, rows that are flushed, names to come. */
import type { CatalogReader } from '../catalog/types.ts'
import { manifestName } from '../manifest/manifest.ts'
import type { ManifestState } from '../manifest/state.ts'
import { damage, note } from './problems.ts'
import type { FileProblem, VerifiedFile } from './types.ts'

export function verifyReferences(
  { segments, tombstones, flushedLsn, nextSegment }: ManifestState,
  catalog: CatalogReader | undefined,
): VerifiedFile {
  const problems: FileProblem[] = []
  const rollups = segments.filter(({ rollup }) => rollup !== undefined)
  for (const { lsn, metric } of catalog === undefined ? [] : tombstones)
    if (catalog!.metric(metric) === undefined)
      problems.push(
        note(`the delete with LSN ${lsn} is of ${metric}, which the catalog does not have: it concerns nothing`),
      )
  for (const { id, maxLsn, rollup } of segments) {
    if (maxLsn > flushedLsn && rollup === undefined)
      problems.push(note(`segment ${id} has rows that count as not flushed: the log has them, too`))
    if (Number(id) >= nextSegment) problems.push(damage(`the next segment would take the name of ${id}`))
  }
  return {
    path: manifestName,
    kind: 'manifest',
    bytes: 0,
    checked: { tombstones: tombstones.length, rollups: rollups.length, references: segments.length },
    problems,
  }
}
