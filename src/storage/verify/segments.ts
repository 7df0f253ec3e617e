/** Verifying segments: each against itself, the manifest and the catalog. */
import type { SegmentEnvironment } from '../segment/environment.ts'
import { metaOf } from '../segment/recover.ts'
import { checkSegment, type SeriesTruth } from '../segment/verify.ts'
import type { SegmentMeta } from '../types.ts'
import { damage, problemOf, repairAdvice, rollupAdvice } from './problems.ts'
import type { FileProblem, VerifiedFile } from './types.ts'

/** Of a segment that the manifest names. Yields after each row group. Throws `io_error`. */
export function* verifyNamedSegment(
  environment: SegmentEnvironment,
  meta: SegmentMeta,
  truth: SeriesTruth | undefined,
): Generator<void, VerifiedFile> {
  const advice = meta.rollup === undefined ? repairAdvice : rollupAdvice
  const { header, groups, damages } = yield* checkSegment(environment, meta.path, truth)
  const problems: FileProblem[] = damages.map(each => problemOf(each, ['corrupt_segment'], advice))
  if (header !== undefined) {
    const told = metaOf(header, meta.path)
    const differs = (['minTimeUs', 'maxTimeUs', 'minLsn', 'maxLsn', 'rows', 'bytes'] as const).filter(
      key => told[key] !== meta[key],
    )
    if (told.rollup?.widthUs !== meta.rollup?.widthUs || differs.length > 0)
      problems.push(
        damage(`it is not the file that the manifest names: ${differs.join(', ') || 'its kind'} differ`, advice, 0),
      )
  }
  return {
    path: meta.path,
    kind: meta.rollup === undefined ? 'segment' : 'rollup',
    bytes: header?.bytes ?? 0,
    checked: header === undefined ? {} : { rows: header.rows, series: header.seriesCount, groups },
    problems,
  }
}
