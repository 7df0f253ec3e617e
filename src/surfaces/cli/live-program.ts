/** The commands for live queries, as the command line declares them. */
import type { Command } from 'commander'
import { choice, historyOption, paramOption } from './options.ts'
import type { CommandContext } from './snapshot-program.ts'

export function addLiveCommands(program: Command, { withTarget }: Pick<CommandContext, 'withTarget'>): void {
  program
    .command('watch')
    .description('show the answer of a select, and keep it true')
    .argument('<statement>', 'in sydraQL')
    .addOption(paramOption())
    .addOption(historyOption())
    .addHelpText('after', '\nOn a terminal it is a table; elsewhere, and with --json, its events are JSON lines.')
    .action(async (statement: string, _, command: Command) => {
      const { watchCommand } = await import('./watch-command.ts')
      await withTarget(command, (target, signal) => watchCommand(target, statement, command.optsWithGlobals(), signal))
    })
  program
    .command('tail')
    .description('print the rows of a metric as they come')
    .argument('<metric>')
    .argument('[tags...]', 'of these series only, such as host=web-1; host= is for those without the tag')
    .addOption(
      choice('--format <format>', 'how to print (default: lines on a terminal, else ndjson)', [
        'lines',
        'ndjson',
        'csv',
      ]),
    )
    .addOption(historyOption())
    .action(async (metric: string, tags: string[], _, command: Command) => {
      const { tailCommand } = await import('./tail-command.ts')
      await withTarget(command, (target, signal) =>
        tailCommand(target, metric, tags, command.optsWithGlobals(), signal),
      )
    })
}
