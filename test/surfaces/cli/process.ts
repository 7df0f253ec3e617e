/** The command line as users meet it: a process of its own; and, where its beginning is not what is tested, one that is kept. */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, onTestFinished } from 'vitest'
import type { HeldCommand } from './program-holder.ts'

const main = fileURLToPath(new URL('../../../src/surfaces/cli/main.ts', import.meta.url))
const holderProgram = fileURLToPath(new URL('program-holder.ts', import.meta.url))

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

/** What the test runner's own variables would change is left out. */
const cleanVariables = (): Record<string, string> =>
  Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] =>
        entry[1] !== undefined && !/^(SYDRADB_|NO_COLOR|FORCE_COLOR|NODE_OPTIONS|VITEST)/.test(entry[0]),
    ),
  )

/** Starts it; without `input` stdin stays open until the test closes it. */
export function start(args: readonly string[], { env = {}, cwd = tmpdir() }: Options = {}) {
  const child = spawn(process.execPath, [main, ...args], { cwd, env: { ...cleanVariables(), ...env } })
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

/** Asks the process of `program-holder.ts`, or tells what it died of. */
async function answerOf(holder: ChildProcess, command?: HeldCommand): Promise<Outcome> {
  const answered = new AbortController()
  const { signal } = answered
  const gone = once(holder, 'exit', { signal }).then(([code]) => {
    throw new Error(`the process that runs commands ended with ${code} at ${command?.args.join(' ') ?? 'its start'}`)
  })
  const answer = once(holder, 'message', { signal })
  if (command !== undefined) holder.send(command)
  try {
    const [outcome] = await Promise.race([answer, gone])
    return outcome as Outcome
  } finally {
    answered.abort()
    gone.catch(() => {})
  }
}

let holder: ChildProcess | undefined
let holderIsFree: Promise<unknown> = Promise.resolve()
afterAll(async () => {
  if (holder?.connected !== true) return
  const gone = once(holder, 'exit')
  holder.disconnect()
  const stuck = setTimeout(() => holder?.kill('SIGKILL'), 10_000)
  await gone
  clearTimeout(stuck)
})

/**
 * Runs it to its end like `cli`, in a process that has run others before: in a tenth of the time, most of which is loading. For
 * commands that end by themselves.
 */
export function held(
  args: readonly string[],
  { input = '', env = {}, cwd = tmpdir() }: Options = {},
): Promise<Outcome> {
  const outcome = holderIsFree.then(async () => {
    if (holder === undefined) {
      holder = fork(holderProgram, { execArgv: [], env: cleanVariables(), serialization: 'advanced' })
      await answerOf(holder)
    }
    return answerOf(holder, { args, input, env: { ...cleanVariables(), ...env }, cwd })
  })
  holderIsFree = outcome.catch(() => {})
  return outcome
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
