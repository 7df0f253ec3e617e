/** The commands for snapshots, as the command line declares them. */
import { type Command, Option } from 'commander'
import { SydraError } from '../../lib/errors.ts'
import type { Settings } from '../../lib/settings.ts'
import type { Target } from './target.ts'

/** What the program has for its commands. */
export interface CommandContext {
  settingsOf(command: Command): Settings
  /** undefined: a directory is meant. */
  serverOf(command: Command): string | undefined
  withTarget(command: Command, work: (target: Target, signal: AbortSignal) => Promise<void>): Promise<void>
  interruptible(work: (signal: AbortSignal) => Promise<void>): Promise<void>
}

const commands = () => import('./snapshot-commands.ts')

export function addSnapshotCommands(program: Command, context: CommandContext): void {
  const { settingsOf, serverOf, withTarget, interruptible } = context
  const refuseServer = (command: Command, what: string): void => {
    if (serverOf(command) === undefined) return
    throw new SydraError('bad_request', `${what} works on directories of this machine and takes no server`)
  }
  program
    .command('snapshot')
    .description('keep the database as it is now, here or as a copy in another directory')
    .argument('[directory]', 'where the copy goes: only what is new there is copied')
    .option('--name <name>', 'what it is called (default: the time)')
    .option('--message <text>', 'what it is for')
    .action(async (to: string | undefined, _, command: Command) => {
      const { snapshotCommand } = await commands()
      await withTarget(command, (target, signal) =>
        snapshotCommand(target.snapshots, to, command.optsWithGlobals(), signal),
      )
    })
  program
    .command('restore')
    .description('make the database what it was at a snapshot')
    .argument('<source>', 'a snapshot of this database, or a directory with copies')
    .option('--ref <name>', 'which one of the directory’s (default: HEAD, the newest)')
    .option('--replace', 'replace the database that is in the data directory')
    .option('--dry-run', 'verify every hash and change nothing')
    .action(async (source: string, _, command: Command) => {
      const { isSourceDirectory, restoreCommand, restoreDirectoryCommand } = await commands()
      const settings = settingsOf(command)
      if (serverOf(command) === undefined && isSourceDirectory(settings, source))
        await interruptible(signal => restoreDirectoryCommand(settings, source, command.optsWithGlobals(), signal))
      else {
        const { ref } = command.opts<{ readonly ref?: string }>()
        if (ref !== undefined) throw new SydraError('not_found', `there are no snapshots in ${source}`)
        await withTarget(command, (target, signal) =>
          restoreCommand(target.snapshots, source, command.optsWithGlobals(), signal),
        )
      }
    })
  program
    .command('log')
    .description('list the snapshots, newest first')
    .argument('[directory]', 'one with copies')
    .action(async (directory: string | undefined, _, command: Command) => {
      const { logCommand, logOf } = await commands()
      if (directory === undefined)
        await withTarget(command, async target =>
          logCommand(await target.snapshots.snapshots(), command.optsWithGlobals()),
        )
      else {
        refuseServer(command, 'log of a directory')
        await logCommand(logOf(directory), command.optsWithGlobals())
      }
    })
  program
    .command('diff')
    .description('what changed between two snapshots, by series: + added, - removed, ~ changed')
    .argument('<before>')
    .argument('[after]', 'by default HEAD, the newest')
    .action(async (before: string, after: string | undefined, _, command: Command) => {
      const { diffCommand } = await commands()
      await withTarget(command, (target, signal) =>
        diffCommand(target.snapshots, before, after, command.optsWithGlobals(), signal),
      )
    })
  program
    .command('gc')
    .description('remove what no snapshot needs any more')
    .argument('[directory]', 'one with copies')
    .addOption(
      new Option('--forget <name>', 'forget this snapshot first; repeatable')
        .default([], 'none')
        .argParser((value: string, before: readonly string[]) => [...before, value]),
    )
    .action(async (directory: string | undefined, _, command: Command) => {
      const { gcCommand, gcDirectoryCommand } = await commands()
      if (directory === undefined)
        await withTarget(command, (target, signal) => gcCommand(target.snapshots, command.optsWithGlobals(), signal))
      else {
        refuseServer(command, 'gc of a directory')
        await interruptible(signal => gcDirectoryCommand(directory, command.optsWithGlobals(), signal))
      }
    })
}
