/** Which metrics a segment has, from its footer; asked again and again about the same files, so remembered. */
import type { SegmentEnvironment } from '../segment/environment.ts'
import { SegmentFile } from '../segment/segment-file.ts'
import type { SegmentMeta } from '../types.ts'
import type { MetricsOf } from './expired.ts'

/** What cannot be read is asked for again. */
export function segmentMetrics(environment: SegmentEnvironment): MetricsOf {
  const known = new WeakMap<SegmentMeta, readonly string[]>()
  return meta => {
    let names = known.get(meta)
    if (names === undefined) {
      names = namesIn(environment, meta.path)
      if (names !== undefined) known.set(meta, names)
    }
    return names
  }
}

function namesIn(environment: SegmentEnvironment, path: string): string[] | undefined {
  const file = new SegmentFile(environment, path)
  try {
    return file.readFooter().footer.metrics.map(({ name }) => name)
  } catch {
    return undefined
  } finally {
    file.close()
  }
}
