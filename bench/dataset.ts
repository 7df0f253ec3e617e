/**
 * The data of the ingest benchmark: one metric, `hosts` series of eight tags, a point each every 10 s, values seeded
 * two-decimal random walks, written as NDJSON one point a line in time order — as a fleet of agents would send it.
 */
import { closeSync, existsSync, mkdirSync, openSync, renameSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Dataset {
  readonly path: string
  readonly bytes: number
  readonly points: number
  readonly hosts: number
  readonly startMs: number
  readonly stepMs: number
}

const startMs = Date.UTC(2024, 0, 1)
const stepMs = 10_000
const chunkBytes = 1 << 20

/** Writes the file once; later runs find it. */
export function cpuDataset(points: number, hosts: number): Dataset {
  const directory = join(tmpdir(), 'sydradb-bench')
  mkdirSync(directory, { recursive: true })
  const path = join(directory, `cpu-${hosts}x${points / hosts}.ndjson`)
  if (!existsSync(path)) write(path, points, hosts)
  return { path, bytes: statSync(path).size, points, hosts, startMs, stepMs }
}

/** xorshift32: fast, seeded, good enough for walks. */
export function randomWalk(seed: number): () => number {
  let state = seed | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

export function hostTags(host: number): string {
  const regions = ['us-east-1', 'us-west-2', 'eu-west-1', 'eu-central-1', 'ap-southeast-1']
  const region = regions[host % regions.length]!
  return JSON.stringify({
    hostname: `host_${host}`,
    region,
    datacenter: `${region}${'abc'[host % 3]}`,
    rack: String(host % 100),
    os: ['Ubuntu16.10', 'Ubuntu16.04LTS', 'Ubuntu15.10'][host % 3],
    arch: ['x64', 'x86'][host % 2],
    team: ['SF', 'NYC', 'LON', 'CHI'][host % 4],
    service: String(host % 20),
  })
}

function write(path: string, points: number, hosts: number): void {
  const temporary = `${path}.${process.pid}`
  const file = openSync(temporary, 'w')
  const random = randomWalk(20_240_101)
  const tags = Array.from({ length: hosts }, (_, host) => hostTags(host))
  const hundredths = Array.from({ length: hosts }, () => Math.floor(random() * 10_000))
  let text = ''
  for (let row = 0; row < points; row++) {
    const host = row % hosts
    const walked = hundredths[host]! + Math.round((random() - 0.5) * 200)
    hundredths[host] = Math.min(10_000, Math.max(0, walked))
    const ts = startMs + Math.floor(row / hosts) * stepMs
    text += `{"series":"cpu","ts":${ts},"value":${hundredths[host]! / 100},"tags":${tags[host]}}\n`
    if (text.length > chunkBytes) {
      writeSync(file, text)
      text = ''
    }
  }
  writeSync(file, text)
  closeSync(file)
  renameSync(temporary, path)
}
