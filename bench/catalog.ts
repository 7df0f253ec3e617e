/**
 * The series catalog at a million series of 8 tags: memory a series, registering, finding, ranking, opening.
 *
 *   node --expose-gc bench/catalog.ts [series]
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodePorts } from '../src/lib/node/ports.ts'
import { openCatalog } from '../src/storage/catalog/store.ts'
import type { Tags } from '../src/storage/types.ts'

const seriesCount = Number(process.argv[2] ?? 1_000_000)
const metricCount = 10
const directory = mkdtempSync(join(tmpdir(), 'sydradb-bench-catalog-'))

/** Metrics of hosts: one tag unique per host, others shared by few or many. */
const tagsOf = (host: number): Tags => [
  ['arch', host % 3 === 0 ? 'arm64' : 'x64'],
  ['datacenter', `eu-central-${host % 20}`],
  ['host', `host_${host}`],
  ['os', `Ubuntu${host % 5}`],
  ['rack', `${host % 100}`],
  ['region', `eu-central-${host % 7}`],
  ['service', `${host % 19}`],
  ['team', `team-${host % 50}`],
]

const memory = (): number => {
  globalThis.gc?.()
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

async function timed<T>(what: string, per: number, work: () => T | Promise<T>): Promise<T> {
  const from = performance.now()
  const result = await work()
  const ms = performance.now() - from
  console.log(
    `${what.padEnd(44)} ${ms.toFixed(1).padStart(9)} ms  ${((ms * 1000) / per).toFixed(3).padStart(8)} µs each`,
  )
  return result
}

try {
  const options = { ports: nodePorts(), directory, seriesMax: seriesCount }
  const before = memory()
  let store = await openCatalog(options)
  const metrics = Array.from({ length: metricCount }, (_, i) => store.catalog.useMetric(`metric.${i}`))
  const register = (): number => {
    let sum = 0
    for (let i = 0; i < seriesCount; i++)
      sum += store.catalog.useSeries(metrics[i % metricCount]!, tagsOf(Math.floor(i / metricCount)))
    return sum
  }
  await timed('register', seriesCount, register)
  await timed('find again by tags', seriesCount, register)
  console.log(`records: ${(store.catalog.journalBytes / seriesCount).toFixed(1)} bytes a series`)
  store.catalog.confirm(store.catalog.sequence)
  await timed('log, then checkpoint', seriesCount, () => store.appendLog())
  console.log(`checkpoint: ${(statSync(join(directory, 'catalog.ckpt')).size / seriesCount).toFixed(1)} bytes a series`)
  console.log(`memory: ${((memory() - before) / seriesCount).toFixed(1)} bytes a series`)
  await store.close()

  store = await timed('open from the checkpoint', seriesCount, () => openCatalog(options))
  const { catalog } = store
  const opened = metrics.map(({ name }) => catalog.metric(name)!)
  await timed('rank all series', seriesCount, () => opened.map(metric => catalog.ranks(metric.id)))
  console.log(`memory with ranks, by its own count: ${(catalog.byteLength / seriesCount).toFixed(1)} bytes a series`)
  const lookups = Array.from({ length: 100_000 }, (_, i) => (i * 7919) % seriesCount)
  await timed('print', lookups.length, () => lookups.map(ordinal => catalog.printed.at(ordinal).length))
  const ids = lookups.map(ordinal => catalog.ids.at(ordinal))
  await timed('find by id', ids.length, () => ids.map(id => catalog.seriesById(id)))
  await timed('series with a tag value (1 in 2 of a metric)', 1, () =>
    catalog.seriesWithTag(opened[0]!.id, 'arch', 'x64'),
  )
  await timed('series with a tag value (1)', 1, () => catalog.seriesWithTag(opened[0]!.id, 'host', 'host_17'))
  await store.close()
} finally {
  rmSync(directory, { recursive: true })
}
