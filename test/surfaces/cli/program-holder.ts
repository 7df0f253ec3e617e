/**
 * The command line, run again and again in one process that has loaded it once: it is given commands over its channel, one at a
 * time, and says how each ended.
 *
 * Invariants:
 * 1. A command has ended when its process would: when nothing is left that keeps it alive.
 * 2. It sees its own arguments, input, variables and working directory; what it wrote is its own.
 */
import process from 'node:process'
import { Readable, Writable } from 'node:stream'
import type { Outcome } from './process.ts'

export interface HeldCommand {
  readonly args: readonly string[]
  readonly input: string | Uint8Array
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
}

const texts = { stdout: '', stderr: '' }
for (const name of ['stdout', 'stderr'] as const) {
  const decoder = new TextDecoder()
  const stream = new Writable({
    write(chunk: Uint8Array, _, done) {
      texts[name] += decoder.decode(chunk, { stream: true })
      // a pipe tells later
      setImmediate(done)
    },
  })
  Object.defineProperty(process, name, { value: stream })
}

const { run } = await import('../../../src/surfaces/cli/program.ts')

let present: { isDone: boolean } | undefined
process.on('message', async ({ args, input, env, cwd }: HeldCommand) => {
  const command = { isDone: false }
  present = command
  Object.assign(texts, { stdout: '', stderr: '' })
  Object.defineProperty(process, 'stdin', { value: Readable.from([Buffer.from(input)]), configurable: true })
  process.env = { ...env }
  process.chdir(cwd)
  process.channel!.unref()
  process.exitCode = await run(args)
  command.isDone = true
})
process.on('beforeExit', () => {
  if (present === undefined) return
  // Node's own code for a program that waits for nothing
  const code = present.isDone ? Number(process.exitCode) : 13
  present = undefined
  process.exitCode = undefined
  process.channel!.ref()
  process.send!({ code, ...texts } satisfies Outcome)
})
process.send!('ready')
