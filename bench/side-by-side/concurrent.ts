/** Servers with a store of the points, written to and asked at once (`under-load.ts`): how long each takes, alone and together. */
import { temporaryDirectory } from '../harness.ts'
import { compared, type Result } from '../result.ts'
import { type Field, overHttp, started } from './running.ts'
import type { UnderLoad } from './under-load.ts'

export async function concurrentBench(field: Field): Promise<Result[]> {
  const directory = temporaryDirectory('concurrent')
  const figures = new Map<string, UnderLoad>()
  try {
    for (const { name, ways, canBeAppended } of field.engines) {
      if (!canBeAppended) continue
      const own = directory.make(name)
      const running = await started(name, own, field)
      await running.ingest(ways[0]!)
      await running.settle()
      figures.set(name, await running.underLoad())
      await running.close()
      directory.empty(own)
    }
  } finally {
    directory.remove()
  }
  const row = (
    name: string,
    unit: string,
    of: (load: UnderLoad) => number,
    better: 'more' | 'less' = 'less',
  ): Result | undefined =>
    compared(name, unit, new Map([...figures].map(([engine, load]) => [engine, of(load)])), { better, ours: overHttp })
  return [
    row('ingest, 1,000 rows a request, four at once', 'M points/s', load => load.maxPointsPerSecond / 1e6, 'more'),
    row('at half of it: acknowledgement, p50', 'ms', load => load.acknowledgedAlone.p50Ms),
    row('… p99', 'ms', load => load.acknowledgedAlone.p99Ms),
    row('… p50 while eight ask', 'ms', load => load.acknowledged.p50Ms),
    row('… p99 while eight ask', 'ms', load => load.acknowledged.p99Ms),
    row('eight asking: answer, p50', 'ms', load => load.askedAlone.p50Ms),
    row('… p99', 'ms', load => load.askedAlone.p99Ms),
    row('… p50 while it ingests', 'ms', load => load.asked.p50Ms),
    row('… p99 while it ingests', 'ms', load => load.asked.p99Ms),
    row('… answers, while it ingests', 'in all', load => load.asked.count, 'more'),
  ].filter(result => result !== undefined)
}
