#!/usr/bin/env node
/** The executable: refuses an old Node in one sentence before anything newer is loaded, then runs the program. */
import module from 'node:module'
import process from 'node:process'

const major = Number(process.versions.node.split('.')[0])
if (major < 24) {
  process.stderr.write(`sydradb needs Node 24 or newer; this is Node ${process.versions.node}.\n`)
  process.exitCode = 1
} else {
  // now, before there is much to load again; without a name of a command, when the arguments are understood
  if (process.argv[2] === 'serve') (await import('./small-memory.ts')).useLittleMemory()
  // starts in half the time from the second run on
  module.enableCompileCache()
  const { run } = await import('./program.ts')
  process.exitCode = await run(process.argv.slice(2))
}
