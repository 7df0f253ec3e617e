/**
 * The public declarations as one file: what a program that imports the package sees, and nothing else.
 *
 *   src/ -> tsc: a declaration file each -> API Extractor: those that index.ts reaches, sorted -> biome -> one file
 *
 *   node scripts/api-report.ts                     writes etc/sydradb.api.d.ts, which is checked in: a change of it is a change
 *                                                  of the API
 *   node scripts/api-report.ts --check             fails when that is not what src/ says
 *   node scripts/api-report.ts --to <file>         writes it there: the build's dist/index.d.ts
 *
 * Fails when a declaration needs a type that is not exported, when an export has no documentation, and when the file imports
 * more than its packages' dependencies.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Extractor, ExtractorConfig, type ExtractorMessage } from '@microsoft/api-extractor'

const root = fileURLToPath(new URL('..', import.meta.url))
const report = 'etc/sydradb.api.d.ts'
/** Whose types the public ones are made of. */
const importable: readonly string[] = ['rxjs', 'node:stream']

function run(tool: string, args: readonly string[], input?: string): string {
  const bin = join(root, 'node_modules', '.bin', tool)
  const { status, stdout, stderr, error } = spawnSync(bin, args, {
    cwd: root,
    encoding: 'utf8',
    ...(input && { input }),
  })
  if (status !== 0) throw new Error(`${tool} ${args.join(' ')}\n${stdout}${stderr}`, { cause: error })
  return stdout
}

/** The declarations in one file, as API Extractor writes them, and what is to be said against them. */
function rolledUp(work: string): { readonly text: string; readonly problems: readonly string[] } {
  const declarations = join(work, 'declarations')
  run('tsc', ['-p', 'tsconfig.build.json', '--declaration', '--emitDeclarationOnly', '--outDir', declarations])
  const target = join(work, 'index.d.ts')
  const problems: string[] = []
  const config = ExtractorConfig.prepare({
    packageJsonFullPath: join(root, 'package.json'),
    configObjectFullPath: undefined,
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: join(declarations, 'index.d.ts'),
      compiler: {
        overrideTsconfig: {
          compilerOptions: {
            target: 'es2024',
            // What a program on Node has: without the DOM.
            lib: ['es2024', 'esnext.disposable'],
            module: 'nodenext',
            types: ['node'],
            strict: true,
            skipLibCheck: true,
            noEmit: true,
          },
          files: [join(declarations, 'index.d.ts')],
        },
      },
      apiReport: { enabled: true, reportFileName: 'report.api.md', reportFolder: work, reportTempFolder: work },
      docModel: { enabled: false },
      dtsRollup: { enabled: true, untrimmedFilePath: target },
      tsdocMetadata: { enabled: false },
    },
  })
  Extractor.invoke(config, {
    localBuild: true,
    messageCallback(message) {
      if (isProblem(message)) problems.push(message.formatMessageWithLocation(root))
      message.handled = true
    },
  })
  for (const [, declaration] of reportOf(work).matchAll(/^\/\/ @public \(undocumented\)\n(.*)$/gm))
    problems.push(`no documentation: ${declaration}`)
  return { text: readFileSync(target, 'utf8'), problems }
}

const reportOf = (work: string): string => readFileSync(join(work, 'report.api.md'), 'utf8')

/** Release tags, and TSDoc's own rules for comments, are not for us. */
const isProblem = ({ messageId, logLevel }: ExtractorMessage): boolean =>
  logLevel === 'error' || messageId === 'ae-forgotten-export' || messageId.startsWith('TS')

/** Begins as index.ts does; a file's header that stands before its first declaration is not of that one. */
function withHeader(text: string): string {
  const [header = ''] = /^\/\*\*[\s\S]*?\*\/\n/.exec(readFileSync(join(root, 'src', 'index.ts'), 'utf8')) ?? []
  return header + text.replaceAll(/\/\*\*(?:(?!\*\/)[\s\S])*\*\/\s*(?=\/\*\*)/g, '')
}

function main(): void {
  const { values } = parseArgs({ options: { check: { type: 'boolean', default: false }, to: { type: 'string' } } })
  const temporary = join(root, '.tmp')
  mkdirSync(temporary, { recursive: true })
  const work = mkdtempSync(join(temporary, 'api-'))
  try {
    const { text, problems } = rolledUp(work)
    const alien = [...text.matchAll(/from '([^']+)'/g)]
      .map(([, name]) => name!)
      .filter(name => !importable.includes(name))
    const all = [...problems, ...alien.map(name => `the public declarations import ${name}`)]
    if (all.length > 0) throw new Error(all.join('\n'))
    const formatted = run('biome', ['check', '--write', '--stdin-file-path=index.d.ts'], withHeader(text))
    const target = join(root, values.to ?? report)
    if (!values.check) writeFileSync(target, formatted)
    else if (readFileSync(target, 'utf8') !== formatted)
      throw new Error(
        `${relative(root, target)} is not what src/ says: run node scripts/api-report.ts, and look at the difference`,
      )
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

main()
