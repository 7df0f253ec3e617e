/** Peers that are servers: started on a free port of the loopback, stopped by their process. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

const startMsMax = 30_000

/** Where a Debian package puts its programs, whatever PATH says. */
export function programNamed(name: string): string {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/bin', '/usr/sbin']
  const found = folders.map(folder => join(folder, name)).find(existsSync)
  if (found === undefined) throw new Error(`${name} is not installed`)
  return found
}

export async function freePort(): Promise<number> {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const address = holder.address() as { readonly port: number }
  await new Promise(resolve => holder.close(resolve))
  return address.port
}

export interface RunningServer {
  readonly pid: number
  stop(): Promise<void>
}

/** Resolves when `isUp` answers with success. */
export async function startProgram(program: string, args: readonly string[], isUp: string): Promise<RunningServer> {
  const child: ChildProcess = spawn(program, args, { stdio: 'ignore' })
  const startedMs = performance.now()
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}`)
    if (performance.now() - startedMs > startMsMax) {
      child.kill('SIGKILL')
      throw new Error(`${program} does not answer at ${isUp}`)
    }
    const answer = await fetch(isUp).catch(() => undefined)
    if (answer?.ok) break
    await pause(10)
  }
  return {
    pid: child.pid!,
    async stop() {
      if (child.exitCode !== null) return
      child.kill('SIGTERM')
      await once(child, 'exit')
    },
  }
}
