/**
 * The process port: which processes live, and which run of a pid it is.
 *
 * With `/proc` the token is the boot's id and the start time in clock ticks since boot (`proc(5)`, field 22 of `stat`):
 * no two runs of a pid share it. Elsewhere only "lives" can be told, and a reused pid looks like the run before it.
 * Processes of another pid namespace (two containers on one volume) cannot be seen from here.
 */
import * as fs from 'node:fs'
import type { Process } from '../ports.ts'

const hasProc = fs.existsSync('/proc/self/stat')

export const nodeProcess: Process = {
  pid: process.pid,
  startToken: pid => (hasProc ? tokenFromProc(pid) : tokenFromSignal(pid)),
}

function tokenFromProc(pid: number): string | undefined {
  let stat: string
  try {
    stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return undefined
  }
  // The second field is the program's name in parentheses, which may hold spaces and parentheses itself.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const state = fields[0]
  const startTicks = fields[19]
  if (state === 'Z' || state === 'X' || startTicks === undefined) return undefined
  return `${bootId()}:${startTicks}`
}

function bootId(): string {
  try {
    return fs.readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  } catch {
    return ''
  }
}

function tokenFromSignal(pid: number): string | undefined {
  try {
    process.kill(pid, 0)
    return 'alive'
  } catch (error) {
    // EPERM: it lives and belongs to someone else.
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? 'alive' : undefined
  }
}
