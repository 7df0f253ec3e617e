/**
 * The command line: parses arguments, runs one command, maps what happened to an exit code
 * (0 done, 1 failed, 2 wrong usage, 130 interrupted).
 */
import process from 'node:process'
import { Command, CommanderError, Option } from 'commander'
import { errorCodes, SydraError, toSydraError } from '../../lib/errors.ts'
import type { Settings } from '../../lib/settings.ts'
import { version } from '../../version.ts'
import { loadSettings, withSettingOptions } from './config.ts'
import { demo } from './demo.ts'
import { ingestCommand } from './ingest-command.ts'
import { BrokenPipe, note, reportError } from './output.ts'
import { serve } from './serve.ts'
import { sqlCommand } from './sql-command.ts'
import { connect, openDirectory, type Target } from './target.ts'

export interface GlobalOptions {
  readonly config?: string
  readonly url?: string
  readonly json?: boolean
  readonly color: boolean
}

export async function run(argv: readonly string[]): Promise<number> {
  const program = build()
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    if (error instanceof BrokenPipe) return 0
    if (error instanceof Interrupted) return 130
    reportError(error, argv.includes('--json'))
    return errorCodes[toSydraError(error).code].exitCode
  }
}

class Interrupted extends Error {}

function build(): Command {
  const program = new Command('sydradb')
    .description('A streaming time-series and event database.')
    .version(version)
    .exitOverride()
    .configureOutput({ writeErr: text => process.stderr.write(text) })
    .showHelpAfterError('(sydradb --help lists the commands)')
    .addHelpText('after', '\nWithout a command, `sydradb` serves the data directory.')
  const command = (name: string, description: string): Command => {
    const added = program
      .command(name)
      .description(description)
      .exitOverride()
      .addOption(new Option('--config <file>', 'settings file (default: sydradb.toml, when there is one)'))
      .addOption(new Option('--json', 'print errors and reports as JSON'))
      .addOption(new Option('--no-color', 'plain text (also NO_COLOR)'))
    return withSettingOptions(added)
  }
  const client = (name: string, description: string): Command =>
    command(name, description).addOption(
      new Option('--url <url>', 'talk to a running server instead of opening the directory').env('SYDRADB_URL'),
    )

  const serving = command('serve', 'serve the data directory over HTTP').action(async (options: GlobalOptions) => {
    await serve(settingsOf(options), options)
  })
  program.action(() => {})
  client('ingest', 'store rows from files or stdin (NDJSON, or a JSON array)')
    .argument('[files...]', 'files to read; none or - is stdin')
    .addOption(new Option('--format <format>', 'how to read the input').choices(['ndjson', 'json']).default('ndjson'))
    .addOption(new Option('--precision <unit>', 'unit of integer timestamps').choices(['s', 'ms', 'us', 'ns']))
    .addOption(new Option('--on-error <what>', 'what a bad row does').choices(['skip', 'abort']).default('skip'))
    .action((files: string[], options) => withTarget(options, target => ingestCommand(target, files, options)))
  client('sql', 'run a sydraQL statement (from the argument or stdin)')
    .argument('[statement]', 'the statement; none or - is stdin')
    .addOption(format())
    .addOption(new Option('--epoch <unit>', 'print times as numbers').choices(['s', 'ms', 'us', 'ns']))
    .option('--param <value...>', 'values for ? and $1 parameters, as JSON or text')
    .action((statement: string | undefined, options) =>
      withTarget(options, (target, signal) => sqlCommand(target, statement, options, signal)),
    )
  client('query', 'print the points of one series')
    .argument('<series_id>')
    .argument('<start>', 'ISO time or integer, inclusive')
    .argument('<end>', 'ISO time or integer, exclusive')
    .addOption(format())
    .addOption(new Option('--epoch <unit>', 'print times as numbers').choices(['s', 'ms', 'us', 'ns']))
    .action((id: string, start: string, end: string, options) =>
      withTarget(options, (target, signal) =>
        sqlCommand(
          target,
          `select time, value from by_id('${id.replaceAll("'", "''")}') where time >= $1 and time < $2`,
          { ...options, param: [start, end] },
          signal,
        ),
      ),
    )
  client('stats', 'print what the database holds and has done').action(options =>
    withTarget(options, async target => {
      process.stdout.write(`${JSON.stringify(await target.stats(), undefined, 2)}\n`)
    }),
  )
  command('demo', 'load real data into a fresh server and query it')
    .option('--keep', 'leave the server running afterwards')
    .action(options => demo(settingsOf(options), options))

  // `sydradb --data-dir x` serves: the default command takes the same options.
  const names = new Set(program.commands.map(each => each.name()))
  const parse = program.parseAsync.bind(program)
  program.parseAsync = (argv, how) => {
    const first = argv?.[0]
    const implied = first === undefined || (first.startsWith('--') && !['--help', '--version'].includes(first))
    return parse(implied && !names.has(first ?? '') ? [serving.name(), ...(argv ?? [])] : argv, how)
  }
  return program
}

const format = (): Option =>
  new Option('--format <format>', 'how to print (default: table on a terminal, else ndjson)').choices([
    'table',
    'json',
    'ndjson',
    'csv',
  ])

const settingsOf = (options: object): Settings => loadSettings({ ...options }, process.env)

/** Runs a command against a server or a directory; the first SIGINT aborts it. */
async function withTarget(
  options: GlobalOptions,
  work: (target: Target, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const settings = settingsOf(options)
  const interrupt = new AbortController()
  const onSignal = (): void => interrupt.abort(new SydraError('cancelled', 'interrupted'))
  process.once('SIGINT', onSignal)
  try {
    const target = options.url === undefined ? await openDirectory(settings) : connect(options.url, settings.authToken)
    try {
      await work(target, interrupt.signal)
    } finally {
      await target.close()
    }
  } catch (error) {
    if (!interrupt.signal.aborted) throw error
    note('interrupted')
    throw new Interrupted()
  } finally {
    process.removeListener('SIGINT', onSignal)
  }
}
