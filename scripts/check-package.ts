/**
 * Checks the package as a user gets it: builds, packs, and installs it in an empty project beside what npm puts there for
 * its dependencies, nothing else. Needs no network.
 *
 *   linters        publint; Are The Types Wrong, for programs that are modules or bundled
 *   the command    tells its version, opens the engine
 *   programs       the README's, one that imports, one that requires; and what the type checker says of them
 *   the README     how much there is to install
 *
 *   npm run check:package
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { installedPaths, installSize, says, sentence } from './install-size.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const unpackedBytesMax = 3 * 2 ** 20
/** By how much the README may be wrong about megabytes. */
const sizeTolerance = 0.1

interface Packed {
  readonly filename: string
  readonly unpackedSize: number
  readonly files: readonly { readonly path: string }[]
}

async function main(work: string): Promise<void> {
  const { tarball, manifest } = pack(work)
  const home = install(work, tarball)
  await lint(home, tarball)
  checkCommand(home, manifest.version)
  checkPrograms(work)
  checkReadme(home)
}

// ---- packing and installing -----------------------------------------------------------------------------------------

function pack(work: string): { readonly tarball: string; readonly manifest: { readonly version: string } } {
  rmSync(join(root, 'dist'), { recursive: true, force: true })
  run('npm', ['run', '--silent', 'build'])
  const said = run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', work])
  const [packed] = JSON.parse(said) as readonly Packed[]
  const paths = packed!.files.map(({ path }) => path)
  const expected =
    /^(dist\/.*\.js|dist\/index\.d\.ts|docs\/.*|examples\/.*\.ts|package\.json|README\.md|LICENSE|CHANGELOG\.md)$/
  const alien = paths.filter(path => !expected.test(path))
  check('holds what it should and nothing else', alien.length === 0 && paths.includes('dist/index.d.ts'), alien)
  check(`is small (${packed!.unpackedSize} bytes)`, packed!.unpackedSize < unpackedBytesMax, packed!.unpackedSize)
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string }
  return { tarball: join(work, packed!.filename), manifest }
}

/** As `npm install` does, from what is installed here. The types of Node are the project's own. */
function install(work: string, tarball: string): string {
  const home = join(work, 'node_modules', 'sydradb')
  mkdirSync(home, { recursive: true })
  run('tar', ['-xzf', tarball, '-C', home, '--strip-components', '1'])
  const own = ['node_modules/@types/node', 'node_modules/undici-types']
  for (const path of [...installedPaths(root), ...own]) {
    const source = join(root, path)
    const isOwn = (file: string): boolean => !file.slice(source.length).includes('node_modules')
    cpSync(source, join(work, path), { recursive: true, filter: isOwn })
  }
  writeFileSync(join(work, 'package.json'), '{"type":"module","private":true}')
  return home
}

// ---- what is checked ------------------------------------------------------------------------------------------------

async function lint(home: string, tarball: string): Promise<void> {
  const { messages } = await publint({ pkgDir: home, level: 'suggestion', strict: true, pack: false })
  const manifest = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as Record<string, unknown>
  const told = messages.map(message => formatMessage(message, manifest, { color: false }))
  check('publint has nothing to say', told.length === 0, told)

  const analysis = await checkPackage(createPackageFromTarballData(readFileSync(tarball)))
  const problems = 'problems' in analysis ? analysis.problems : [{ kind: 'no types' }]
  // A CommonJS program may require a module since Node 22.12, which is not known there; `node10` ignores `exports`.
  const wrong = problems.filter(
    problem =>
      problem.kind !== 'CJSResolvesToESM' && !('resolutionKind' in problem && problem.resolutionKind === 'node10'),
  )
  check('the types are not wrong', wrong.length === 0, wrong)
}

function checkCommand(home: string, version: string): void {
  const command = join(home, 'dist', 'surfaces', 'cli', 'main.js')
  check('the command tells its version', run(process.execPath, [command, '--version']) === version, command)
  const csv = run(process.execPath, [command, 'sql', 'show metrics', '--data-dir', ':memory:', '--format', 'csv'])
  check('the command opens the engine', csv.startsWith('metric'), csv)
}

const importing = `
import { open, type Database, type QueryOptions, type RowObject, SydraError } from 'sydradb'
import { filter, firstValueFrom, from, toArray } from 'rxjs'

await using db: Database = await open(':memory:')
const rows: RowObject[] = [{ series: 'cpu', ts: new Date(0), value: 0.5, tags: { host: 'a' } }]
const commit = firstValueFrom(db.committed$.pipe(filter(({ rows }) => rows > 0)))
const { ingested } = await db.ingest(rows)
const options: QueryOptions = { signal: AbortSignal.timeout(60_000) }
const all = await firstValueFrom(from(db.query<{ value: number }>('select value from cpu', [], options)).pipe(toArray()))
const above = db.prepare<{ n: number }, [least: number]>('select count(*) as n from cpu where value > ?')
const n: number | undefined = (await above.query([0]).first())?.n
const failed = await db.query('select x from cpu').all().catch((error: unknown) => (error as SydraError).code)
console.log(JSON.stringify({ ingested, all, n, failed, lsn: (await commit).lsn > 0 }))
`
const imported = '{"ingested":1,"all":[{"value":0.5}],"n":1,"failed":"unknown_field","lsn":true}'

const requiring = `
import sydradb = require('sydradb')

async function main(): Promise<void> {
  const db: sydradb.Database = await sydradb.open(':memory:')
  await db.ingest([{ series: 'cpu', value: 0.5 }])
  const error = await db.query('select x from cpu').all().then(undefined, (reason: unknown) => reason)
  const { rows } = await db.query('select value from cpu').all()
  console.log(JSON.stringify({ rows, known: error instanceof sydradb.SydraError, version: sydradb.version.length > 0 }))
  await db.close()
}
void main()
`
const required = '{"rows":[{"value":0.5}],"known":true,"version":true}'

function checkPrograms(work: string): void {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const program = /^```ts\n([\s\S]*?)^```$/m.exec(readme)?.[1] ?? ''
  writeFileSync(join(work, 'readme.ts'), program)
  writeFileSync(join(work, 'importing.ts'), importing)
  writeFileSync(join(work, 'requiring.cts'), requiring)
  for (const module of ['nodenext', 'esnext']) typeCheck(work, module)
  const said = (file: string): string => run(process.execPath, [file], work)
  check('the README’s program runs', program !== '' && said('readme.js') !== '', program)
  check('a module that imports it runs', said('importing.js') === imported, said('importing.js'))
  check('a CommonJS program that requires it runs', said('requiring.cjs') === required, said('requiring.cjs'))
}

/** As strict as can be, with the declarations of the libraries looked at, too. */
function typeCheck(work: string, module: string): void {
  const compilerOptions = {
    target: 'es2024',
    lib: ['es2024', 'esnext.disposable'],
    module,
    ...(module === 'esnext' ? { moduleResolution: 'bundler' } : {}),
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    noEmit: module === 'esnext',
  }
  const files = ['readme.ts', 'importing.ts', ...(module === 'esnext' ? [] : ['requiring.cts'])]
  writeFileSync(join(work, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
  run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', work])
  check(`programs type-check (${module})`, true, undefined)
}

function checkReadme(home: string): void {
  const size = installSize(root, home)
  const said = says(readFileSync(join(root, 'README.md'), 'utf8'))
  const isTrue =
    said?.packages === size.packages &&
    said.direct === size.direct &&
    Math.abs(said.megabytes / size.megabytes - 1) < sizeTolerance
  check(`the README says: ${sentence(size)}`, isTrue, said)
}

// ---- helpers --------------------------------------------------------------------------------------------------------

/** What the command prints; fails when it fails, or complains. */
function run(command: string, args: readonly string[], cwd = root): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const isQuiet = command !== process.execPath || stderr === ''
  if (status !== 0 || !isQuiet) throw new Error(`${command} ${args.join(' ')}\n${stdout}${stderr}`, { cause: error })
  return stdout.trim()
}

function check(what: string, ok: boolean, seen: unknown): void {
  if (!ok) throw new Error(`${what}: ${JSON.stringify(seen)}`)
  console.log(`ok  ${what}`)
}

const work = mkdtempSync(join(tmpdir(), 'sydradb-package-'))
try {
  await main(work)
} finally {
  rmSync(work, { recursive: true, force: true })
}
