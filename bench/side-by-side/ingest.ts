/**
 * All points brought in, by each way each engine has, into a store of its own each time: how fast, at what CPU and memory.
 * Each run is a new process; runs of the engines take turns.
 */
import { median, temporaryDirectory } from '../harness.ts'
import { type Aim, compared, type Result } from '../result.ts'
import { fileOf } from './data.ts'
import { type Way, ways } from './engine.ts'
import type { Ingested } from './engine-process.ts'
import { type Field, ours, overHttp, started } from './running.ts'

const titles: Readonly<Record<Way, string>> = {
  'http narrow': 'HTTP, one point a line',
  'http wide': 'HTTP, ten fields a line',
  'file narrow': 'file, one point a line',
  'file wide': 'file, ten fields a line',
  rows: 'library, rows of ten fields',
  columns: 'library, columns',
}
const aims: Readonly<Partial<Record<Way, Aim>>> = {
  // 5, 12, 6 and 5 M points/s on the machine where the best peers took in 1.53, 7.05, 1.40 and 1.96
  'http narrow': { timesBest: 3.27 },
  'http wide': { timesBest: 1.7 },
  'file narrow': { timesBest: 4.29 },
  rows: { timesBest: 2.55 },
  columns: { atLeast: 40 },
}

export async function ingestBench(field: Field, runs: number): Promise<Result[]> {
  for (const form of ['wide', 'narrow', 'flat'] as const) fileOf(field.data, form)
  const directory = temporaryDirectory('ingest')
  /** By way, then engine. */
  const figures = new Map<Way, Map<string, Ingested[]>>(ways.map(way => [way, new Map()]))
  try {
    for (let run = 0; run < runs; run++)
      for (const way of ways)
        for (const { name } of field.engines.filter(engine => engine.ways.includes(way))) {
          const own = directory.make(`${name}-${way}-${run}`)
          const running = await started(name, own, field)
          const each = figures.get(way)!
          each.set(name, [...(each.get(name) ?? []), await running.ingest(way)])
          await running.close()
          directory.empty(own)
        }
  } finally {
    directory.remove()
  }
  const millions = field.data.points / 1e6
  return ways.flatMap(way => {
    const by = (of: (run: Ingested) => number): Map<string, number> =>
      new Map([...figures.get(way)!].map(([name, each]) => [name, median(each.map(of))]))
    const own = way.startsWith('http') ? overHttp : ours
    const title = titles[way]
    const cpuAim: Aim | undefined = way === 'http narrow' ? { atMost: 0.2 } : undefined
    return [
      compared(
        title,
        'M points/s',
        by(({ seconds }) => millions / seconds),
        { better: 'more', ours: own, aim: aims[way] },
      ),
      compared(
        `${title}: CPU`,
        's per M points',
        by(({ cpuSeconds }) => cpuSeconds / millions),
        { better: 'less', ours: own, aim: cpuAim },
      ),
      // what rows and columns are made from is in memory all the while
      way === 'rows' || way === 'columns'
        ? undefined
        : compared(
            `${title}: peak RSS`,
            'MB',
            by(({ peakRssBytes }) => peakRssBytes / 1e6),
            { better: 'less', ours: own, aim: { atMost: 200 } },
          ),
    ].filter(result => result !== undefined)
  })
}
