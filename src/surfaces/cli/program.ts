/**
 * The command line: parses arguments, runs one command, maps what happened to an exit code
 * (0 done, 1 failed, 2 wrong usage, 130 interrupted).
 *
 * Commands are loaded when they run, so that `--help` and `--version` do not wait for the engine.
 */
import process from 'node:process'
import { Command, CommanderError, type Option } from 'commander'
import { didYouMeanHint } from '../../lib/did-you-mean.ts'
import { errorCodes, SydraError, toSydraError } from '../../lib/errors.ts'
import type { Settings, SettingsInput } from '../../lib/settings.ts'
import { version } from '../../lib/version.ts'
import { loadSettings, withSettingOptions } from './config.ts'
import { addLiveCommands } from './live-program.ts'
import { choice, paramOption } from './options.ts'
import { BrokenPipe, note, reportError } from './output.ts'
import { Interrupted } from './signals.ts'
import { useLittleMemory } from './small-memory.ts'
import { addSnapshotCommands } from './snapshot-program.ts'
import type { Target } from './target.ts'

/** Options that every command takes, before or after its name. */
interface GlobalOptions {
  readonly config?: string
  readonly dataDir?: string
  readonly url?: string
  readonly json?: boolean
  readonly color: boolean
}

/** Runs the command that the arguments name; resolves with the exit code. */
export async function run(argv: readonly string[]): Promise<number> {
  const program = build()
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    if (error instanceof BrokenPipe) return 0
    if (error instanceof Interrupted) {
      note('interrupted')
      return 130
    }
    reportError(error, program.opts<GlobalOptions>().json === true)
    return errorCodes[toSydraError(error).code].exitCode
  }
}

function build(): Command {
  const program = new Command('sydradb')
    .description('A streaming time-series and event database. Without a command it serves the data directory.')
    .version(version)
    .exitOverride()
    .showHelpAfterError('(sydradb --help lists the commands)')
    .configureHelp({ showGlobalOptions: true })
    .option('--config <file>', 'settings file (default: sydradb.toml, when there is one)')
    .option('--url <url>', 'talk to a running server instead of opening the directory (also SYDRADB_URL)')
    .option('--json', 'print results, reports and errors as JSON')
    .option('--no-color', 'plain text (also NO_COLOR)')
  withSettingOptions(program)

  program
    .command('serve', { isDefault: true })
    .description('serve the data directory over HTTP')
    .allowExcessArguments()
    .action(async (_, command: Command) => {
      // the default command gets what is no command
      const [unknown] = command.args
      if (unknown !== undefined) throw unknownCommand(unknown, program)
      const settings = localSettings(command, serverDefaults)
      useLittleMemory()
      const { serve } = await import('./serve.ts')
      await serve(settings)
    })
  program
    .command('ingest')
    .description('store rows from files or stdin (NDJSON, or a JSON array)')
    .argument('[files...]', 'files to read; none or - is stdin')
    .addOption(choice('--format <format>', 'how to read the input', ['ndjson', 'json']).default('ndjson'))
    .addOption(choice('--precision <unit>', 'unit of integer timestamps (default: by magnitude)', units))
    .addOption(choice('--on-error <what>', 'what a bad row does', ['skip', 'abort']).default('skip'))
    .action(async (files: string[], _, command: Command) => {
      const { ingestCommand } = await import('./ingest-command.ts')
      await withTarget(command, (target, signal) => ingestCommand(target, files, command.optsWithGlobals(), signal))
    })
  program
    .command('sql')
    .description('run a sydraQL statement: select, show, explain, insert or delete')
    .argument('[statement]', 'the statement; none or - is stdin')
    .addOption(formatOption())
    .addOption(choice('--epoch <unit>', 'print times as numbers', units))
    .addOption(paramOption())
    .action(async (statement: string | undefined, _, command: Command) => {
      const { sqlCommand } = await import('./sql-command.ts')
      await withTarget(command, (target, signal) => sqlCommand(target, statement, command.optsWithGlobals(), signal))
    })
  program
    .command('query')
    .description('print the points of one series')
    .showHelpAfterError('(for a statement: sydradb sql "select …")')
    .argument('<series_id>')
    .argument('<start>', 'ISO 8601, or an integer in s, ms, us or ns by magnitude; inclusive')
    .argument('<end>', 'exclusive')
    .addOption(formatOption())
    .addOption(choice('--epoch <unit>', 'print times as numbers', units))
    .action(async (id: string, start: string, end: string, _, command: Command) => {
      const { queryCommand } = await import('./sql-command.ts')
      await withTarget(command, (target, signal) =>
        queryCommand(target, { id, start, end }, command.optsWithGlobals(), signal),
      )
    })
  program
    .command('stats')
    .description('print what the database holds and has done')
    .action(async (_, command: Command) => {
      const { statsCommand } = await import('./stats-command.ts')
      await withTarget(command, target => statsCommand(target, command.optsWithGlobals()))
    })
  program
    .command('compact')
    .description('merge segments until no merge pays any more')
    .action(async (_, command: Command) => {
      const { compactCommand } = await import('./compact-command.ts')
      await withTarget(command, (target, signal) => compactCommand(target, command.optsWithGlobals(), signal))
    })
  program
    .command('verify')
    .description('read every file and check every checksum, order, statistic and reference')
    .option('--repair', 'set aside what is damaged, and put in its place what can still be read')
    .action(async (_, command: Command) => {
      const { verifyCommand } = await import('./verify-command.ts')
      await interruptible(signal =>
        verifyCommand(settingsOf(command), serverOf(command), command.optsWithGlobals(), signal),
      )
    })
  addLiveCommands(program, { withTarget })
  addSnapshotCommands(program, { settingsOf, serverOf, withTarget, interruptible })
  program
    .command('demo')
    .description('load real data into a fresh server and query it')
    .option('--keep', 'leave the server running afterwards, and its data in place')
    .option('--seconds <n>', 'how long this machine’s own telemetry is gathered', seconds, 10)
    .action(async (_, command: Command) => {
      const settings = localSettings(command)
      const { demo } = await import('./demo.ts')
      await demo(settings, command.optsWithGlobals())
    })
  return program
}

const units = ['s', 'ms', 'us', 'ns']
const formatOption = (): Option =>
  choice('--format <format>', 'how to print (default: table on a terminal, else ndjson)', [
    'table',
    'json',
    'ndjson',
    'csv',
  ])

function seconds(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1 && value <= 3600) return value
  throw new SydraError('bad_request', `--seconds takes a whole number from 1 to 3600, not "${text}"`)
}

function unknownCommand(name: string, program: Command): SydraError {
  const names = program.commands.map(command => command.name())
  return new SydraError('bad_request', `unknown command "${name}"`, {
    hint: didYouMeanHint(name, names) ?? 'sydradb --help lists the commands',
  })
}

/** A server is to hold 200 MB at most. */
const serverDefaults: SettingsInput = { flushInThread: false }

const settingsOf = (command: Command, defaults?: SettingsInput): Settings =>
  loadSettings(command.optsWithGlobals(), process.env, defaults)

/** Settings of a command that works on a directory only. */
function localSettings(command: Command, defaults?: SettingsInput): Settings {
  if (command.optsWithGlobals<GlobalOptions>().url === undefined) return settingsOf(command, defaults)
  throw new SydraError('bad_request', `${command.name()} opens a directory and takes no --url`)
}

/** Runs a command against a server or a directory; the first SIGINT aborts it. */
async function withTarget(
  command: Command,
  work: (target: Target, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const settings = settingsOf(command)
  const server = serverOf(command)
  await interruptible(async signal => {
    const target =
      server === undefined
        ? await (await import('./directory.ts')).openDirectory(settings)
        : (await import('./remote.ts')).connect(server, settings.authToken)
    try {
      await work(target, signal)
    } finally {
      await target.close()
    }
  })
}

/** The URL of the server to talk to; undefined: a directory is meant. */
function serverOf(command: Command): string | undefined {
  const { url, dataDir } = command.optsWithGlobals<GlobalOptions>()
  if (url !== undefined && dataDir !== undefined) {
    throw new SydraError('bad_request', '--url and --data-dir name two places: give one of them')
  }
  return url ?? (dataDir === undefined ? process.env['SYDRADB_URL'] : undefined)
}

/** The first SIGINT aborts the work. */
async function interruptible(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const interrupt = new AbortController()
  const onSignal = (): void => interrupt.abort(new SydraError('cancelled', 'interrupted'))
  process.once('SIGINT', onSignal)
  try {
    await work(interrupt.signal)
  } catch (error) {
    if (interrupt.signal.aborted) throw new Interrupted()
    throw error
  } finally {
    process.removeListener('SIGINT', onSignal)
  }
}
