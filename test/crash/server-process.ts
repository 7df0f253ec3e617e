/** `sydradb serve` as a process of its own, which can be killed. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

const program = new URL('../../src/surfaces/cli/main.ts', import.meta.url).pathname

export interface ServerProcess {
  readonly address: string
  readonly process: ChildProcess
  /** What it logged so far. */
  log(): string
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
}

export async function startServer(dataDir: string, options: readonly string[] = []): Promise<ServerProcess> {
  const args = [program, 'serve', '--data-dir', dataDir, '--http-port', '0', ...options]
  // the test's own variables would be taken for settings
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('SYDRADB_')))
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const gone = once(child, 'exit')
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text
  })
  const line = once(createInterface(child.stdout), 'line') as Promise<[string]>
  const [first] = await Promise.race([line, gone])
  const address = /listening on (\S+)/.exec(String(first))?.[1]
  if (address === undefined) throw new Error(`the server did not start: ${log}`)
  return {
    address,
    process: child,
    log: () => log,
    async kill() {
      child.kill('SIGKILL')
      await gone
    },
  }
}
