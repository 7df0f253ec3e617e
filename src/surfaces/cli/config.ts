/**
 * Where settings come from: `sydradb.toml` in the working directory (or `--config`), then `SYDRADB_*` variables, then
 * flags; later wins. Every setting of lib/settings.ts has all three names.
 */
import { existsSync, readFileSync } from 'node:fs'
import { type Command, Option } from 'commander'
import { parse as parseToml, TomlError } from 'smol-toml'
import { didYouMeanHint } from '../../lib/did-you-mean.ts'
import { SydraError } from '../../lib/errors.ts'
import {
  fromSnakeCase,
  parseSettings,
  type SettingName,
  type Settings,
  type SettingsInput,
  settingNames,
} from '../../lib/settings.ts'

/** Variables that are not settings. */
const otherVariables = ['SYDRADB_URL', 'SYDRADB_CONFIG']
const defaultFile = 'sydradb.toml'

type Flat = Readonly<Record<string, string | boolean | undefined>>

/** Adds a flag per setting, in the group of options that `--help` lists last. */
export function withSettingOptions(command: Command): void {
  const defaults = parseSettings({})
  for (const { name, option, path } of settingNames) {
    const fallback = path.reduce<unknown>((object, key) => (object as Record<string, unknown>)[key], defaults)
    const isList = Array.isArray(fallback)
    const isMap = typeof fallback === 'object' && !isList
    const isSwitch = typeof fallback === 'boolean'
    const value = isList ? ' <value,…>' : isMap ? ' <name=value,…>' : isSwitch ? '' : ' <value>'
    const shown = isMap || fallback === '' ? 'empty' : String(fallback)
    const added = new Option(option + value, `${name}, by default ${shown}`).helpGroup('Settings:')
    if (isMap || isList)
      added.argParser((text: string, before?: string) => (before === undefined ? text : `${before},${text}`))
    // Beside its opposite an option has no default of its own.
    if (fallback === true) command.addOption(added.hideHelp())
    command.addOption(fallback === true ? switchOff(option, name) : added)
  }
}

const switchOff = (option: string, name: string): Option =>
  new Option(`--no-${option.slice(2)}`, `${name} = false, by default true`).helpGroup('Settings:')

/** commander’s name of an option: `--query-timeout-ms` is `queryTimeoutMs`. */
const attribute = (setting: SettingName): string =>
  setting.option.slice(2).replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())

/**
 * @param flags options as commander names them; others than settings may be among them
 * @param environment an empty variable counts as none
 * @param defaults of the command, where they are not those of lib/settings.ts; of whole groups
 * @throws `unknown_setting`, `invalid_setting`
 */
export function loadSettings(flags: Flat, environment: Flat, defaults: SettingsInput = {}): Settings {
  const file = (flags['config'] ?? (environment['SYDRADB_CONFIG'] || undefined)) as string | undefined
  const merged: Record<string, unknown> = { ...defaults, ...readSettingsFile(file) }

  const known = settingNames.map(setting => setting.variable)
  for (const name of Object.keys(environment)) {
    if (!name.startsWith('SYDRADB_') || known.includes(name) || otherVariables.includes(name)) continue
    throw new SydraError('unknown_setting', `unknown variable ${name}`, { hint: didYouMeanHint(name, known) })
  }
  for (const setting of settingNames) place(merged, setting, environment[setting.variable] || undefined)
  for (const setting of settingNames) place(merged, setting, flags[attribute(setting)])
  return parseSettings(merged)
}

function place(target: Record<string, unknown>, setting: SettingName, value: string | boolean | undefined): void {
  if (value === undefined) return
  const [outer, inner] = setting.path
  if (inner === undefined) target[outer!] = value
  else target[outer!] = { ...(target[outer!] as object | undefined), [inner]: value }
}

function readSettingsFile(path: string | undefined): Record<string, unknown> {
  if (path === undefined && !existsSync(defaultFile)) return {}
  const file = path ?? defaultFile
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new SydraError('invalid_setting', `cannot read ${file}: ${(error as Error).message}`, { cause: error })
  }
  try {
    return fromSnakeCase(parseToml(text))
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    throw new SydraError('invalid_setting', `${file}:${error.line}:${error.column}: ${error.message.split('\n')[0]}`)
  }
}
