/** This machine's own telemetry, sent live: one open NDJSON request, a line every `intervalMs`. */
import { cpus, freemem } from 'node:os'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import process from 'node:process'
import { PassThrough } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { SydraError } from '../../lib/errors.ts'

const intervalMs = 250
const MiB = 2 ** 20

interface Telemetry {
  /** Resolves once telemetry has been sent for so long; rejects when it can not be sent. */
  sentFor(durationMs: number): Promise<void>
  stop(): Promise<void>
}

const sample = (cpuPercent: number, loopDelayMs: number) => ({
  cpu_percent: cpuPercent,
  free_mib: Math.round(freemem() / MiB),
  rss_mib: Math.round(process.memoryUsage.rss() / MiB),
  loop_delay_ms: loopDelayMs,
})
/** Fields of one line. */
export const valuesPerSample = Object.keys(sample(0, 0)).length

export function startTelemetry(address: string): Telemetry {
  const started = performance.now()
  const body = new PassThrough()
  const loopDelay = monitorEventLoopDelay({ resolution: 10 })
  loopDelay.enable()
  let before = cpuTimes()

  const send = (): void => {
    const now = cpuTimes()
    const total = now.total - before.total
    const cpuPercent = total === 0 ? 0 : Math.round(((now.busy - before.busy) / total) * 1000) / 10
    before = now
    const fields = sample(cpuPercent, Math.round(loopDelay.max / 1e4) / 100)
    loopDelay.reset()
    body.write(`${JSON.stringify({ series: 'machine', ts: Date.now(), fields, tags: { host: 'this' } })}\n`)
  }
  const timer = setInterval(send, intervalMs)
  const answered = post(`${address}/api/v1/ingest?precision=ms`, body)
  const failed = answered.then(() => new Promise<never>(() => {}))
  failed.catch(() => {})

  return {
    sentFor: durationMs =>
      Promise.race([failed, delay(Math.max(0, durationMs + intervalMs - (performance.now() - started)))]),
    async stop() {
      clearInterval(timer)
      loopDelay.disable()
      body.end()
      await answered.catch(() => {})
    },
  }
}

async function post(url: string, body: PassThrough): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: body as unknown as BodyInit,
    duplex: 'half',
  } as RequestInit)
  const answer = await response.text()
  if (!response.ok) throw new SydraError('io_error', `the server refused telemetry: ${answer}`)
}

function cpuTimes(): { readonly busy: number; readonly total: number } {
  let busy = 0
  let total = 0
  for (const { times } of cpus()) {
    busy += times.user + times.nice + times.sys + times.irq
    total += times.user + times.nice + times.sys + times.irq + times.idle
  }
  return { busy, total }
}
