/** The command line as users meet it: a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

const main = fileURLToPath(new URL('../../../src/surfaces/cli/main.ts', import.meta.url))

export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}
interface Options {
  readonly input?: string | Uint8Array
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

/** An own directory, removed with the test. */
export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'sydradb-cli-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** Starts it; without `input` stdin stays open until the test closes it. */
export function start(args: readonly string[], { env = {}, cwd = tmpdir() }: Options = {}) {
  const clean = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(SYDRADB_|NO_COLOR|FORCE_COLOR|NODE_OPTIONS|VITEST)/.test(name)),
  )
  const child = spawn(process.execPath, [main, ...args], { cwd, env: { ...clean, ...env } })
  const texts = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    texts.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    texts.stderr += text
  })
  child.stdin.on('error', () => {})
  const ended = new Promise<Outcome>(resolve => child.on('close', code => resolve({ code, ...texts })))
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  return { child, ended, texts }
}

/** Runs it to its end. */
export function cli(args: readonly string[], options: Options = {}): Promise<Outcome> {
  const { child, ended } = start(args, options)
  child.stdin.end(options.input ?? '')
  return ended
}

/** `sydradb serve` (or what the arguments say) on a free port, ready. */
export async function serve(args: readonly string[], options: Options = {}) {
  const running = start([...args, '--http-port', '0'], options)
  await until(() => running.texts.stdout.includes('\n'), running.child)
  const address = /http:\/\/\S+/.exec(running.texts.stdout)?.[0] ?? ''
  return { ...running, address }
}

/** Waits for a condition of a process that lives. */
export async function until(condition: () => boolean, child: ChildProcess): Promise<void> {
  for (;;) {
    if (condition()) return
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`it ended early: ${child.exitCode}`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

export const lines = (text: string): string[] => text.split('\n').filter(line => line !== '')
