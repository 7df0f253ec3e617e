/**
 * A server in a third less memory: 200 MB where it took 250 under load.
 *
 * V8 lets what is young grow to 16 MiB twice, and keeps it. Rows, columns and answers are no JavaScript objects here: what is
 * young is mostly dead, and 4 MiB of it cost no time that could be measured. glibc's malloc gives each thread of V8 a heap of
 * its own, and what its compilers have freed stays there: 10 MB.
 *
 * Both are read when a process starts. So one that was started without is replaced by one that has them: the same process to
 * whoever started it, 40 ms later.
 */
import process from 'node:process'

const semiSpaceMiB = 4
const semiSpaceOption = /--(max|min)[-_]semi[-_]space[-_]size/

/**
 * Does not return where it replaces the process. It leaves alone: who has said how large the young generation shall be, a
 * process that talks to its parent over a channel, which would be lost, and systems without `execve`.
 */
export function useLittleMemory(): void {
  const { execve, execPath, execArgv, argv, env } = process
  const isSaid = semiSpaceOption.test(`${execArgv.join(' ')} ${env['NODE_OPTIONS'] ?? ''}`)
  if (isSaid || execve === undefined || process.platform === 'win32' || process.channel !== undefined) return
  execve.call(process, execPath, [execPath, `--max-semi-space-size=${semiSpaceMiB}`, ...execArgv, ...argv.slice(1)], {
    MALLOC_ARENA_MAX: '1',
    ...env,
  })
}
