/** What the benchmarks share: processes measured from outside, medians, the machine's description. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { cpus, loadavg, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1]!
}

/** The value that a share of all is at most; NaN of none. */
export const quantile = (values: readonly number[], share: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
}

/** Runs the work `runs` times after `warmUps` and gives the median of its times in milliseconds. */
export async function medianMs(work: () => Promise<unknown>, runs = 21, warmUps = 5): Promise<number> {
  const times: number[] = []
  for (let run = -warmUps; run < runs; run++) {
    const started = performance.now()
    await work()
    if (run >= 0) times.push(performance.now() - started)
  }
  return median(times)
}

export interface Usage {
  /** User and system time since the process started. */
  readonly cpuSeconds: number
  readonly rssBytes: number
  readonly peakRssBytes: number
}

/** CPU and memory of a process, as the kernel counts them. */
export function usage(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const kib = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)![1]) * 1024
  const ticksPerSecond = 100
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond,
    rssBytes: kib('VmRSS'),
    peakRssBytes: kib('VmHWM'),
  }
}

export interface Server {
  readonly url: string
  readonly pid: number
  stop(): Promise<void>
}

const mainModule = new URL('../dist/surfaces/cli/main.js', import.meta.url).pathname

/** Starts `sydradb serve` as a process of its own and waits for its line. */
export async function startServer(dataDir: string, options: readonly string[] = []): Promise<Server> {
  const child = spawn(process.execPath, [mainModule, 'serve', '--data-dir', dataDir, '--http-port', '0', ...options], {
    stdio: ['ignore', 'pipe', process.env['BENCH_LOG'] === undefined ? 'ignore' : 'inherit'],
  })
  const url = await listening(child)
  return {
    url,
    pid: child.pid!,
    async stop() {
      child.kill('SIGTERM')
      if (child.exitCode === null) await once(child, 'exit')
    },
  }
}

async function listening(child: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: child.stdout! })) {
    const match = /listening on (\S+)/.exec(line)
    if (match !== null) return match[1]!
  }
  throw new Error('the server ended before it listened')
}

export interface TemporaryDirectory {
  readonly path: string
  /** A directory in it. */
  make(name: string): string
  /** What `make` gave is no longer needed. */
  empty(path: string): void
  remove(): void
}

export function temporaryDirectory(name: string): TemporaryDirectory {
  const path = mkdtempSync(join(tmpdir(), `sydradb-bench-${name}-`))
  return {
    path,
    make(inner) {
      mkdirSync(join(path, inner))
      return join(path, inner)
    },
    empty: made => rmSync(made, { recursive: true, force: true }),
    remove: () => rmSync(path, { recursive: true, force: true }),
  }
}

export function machine(): string {
  const cpu = cpus()
  const memory = Math.round(totalmem() / 2 ** 30)
  const container = existsSync('/proc/sys/kernel/osrelease')
    ? readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim()
    : process.platform
  return `${cpu.length} × ${cpu[0]?.model ?? 'unknown CPU'}, ${memory} GiB, ${container}, Node ${process.versions.node}, load ${loadavg()[0]!.toFixed(2)}`
}
