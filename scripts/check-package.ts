/**
 * Checks the package as a user gets it: builds, packs, unpacks it beside nothing but its declared dependencies, then runs
 * the command, an application that imports the library, and the type checker over that application.
 *
 *   npm run check:package
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const unpackedBytesMax = 3 * 2 ** 20

const application = `
import { open, type Database, type RowObject, SydraError } from 'sydradb'
import { filter, firstValueFrom, from, toArray } from 'rxjs'

await using db: Database = await open(':memory:')
const rows: RowObject[] = [{ series: 'cpu', ts: new Date(0), value: 0.5, tags: { host: 'a' } }]
const commit = firstValueFrom(db.committed$.pipe(filter(({ rows }) => rows > 0)))
const { ingested } = await db.ingest(rows)
const all = await firstValueFrom(from(db.query<{ value: number }>('select value from cpu')).pipe(toArray()))
const failed = await db.query('select x from cpu').all().catch((error: unknown) => (error as SydraError).code)
console.log(JSON.stringify({ ingested, all, failed, lsn: (await commit).lsn > 0 }))
`
const expected = '{"ingested":1,"all":[{"value":0.5}],"failed":"unknown_field","lsn":true}'

interface Packed {
  readonly filename: string
  readonly unpackedSize: number
  readonly files: readonly { readonly path: string }[]
}

/** What the command prints; of one that fails, shows it. */
function run(command: string, args: readonly string[]): string {
  const { status, stdout, error } = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}\n${stdout}`, { cause: error })
  return stdout.trim()
}
function check(what: string, ok: boolean, seen: unknown): void {
  if (!ok) throw new Error(`${what}: ${JSON.stringify(seen)}`)
  console.log(`ok  ${what}`)
}

const work = mkdtempSync(join(tmpdir(), 'sydradb-package-'))
try {
  rmSync(join(root, 'dist'), { recursive: true, force: true })
  run('npm', ['run', '--silent', 'build'])
  const [packed] = JSON.parse(
    run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', work]),
  ) as readonly Packed[]
  const paths = packed!.files.map(({ path }) => path)
  const alien = paths.filter(path => !/^(dist|docs)\/|^(package\.json|README\.md|LICENSE|CHANGELOG\.md)$/.test(path))
  check('holds what it should and nothing else', alien.length === 0 && paths.includes('dist/index.d.ts'), alien)
  check(`is small (${packed!.unpackedSize} bytes)`, packed!.unpackedSize < unpackedBytesMax, packed!.unpackedSize)

  const home = join(work, 'node_modules', 'sydradb')
  mkdirSync(home, { recursive: true })
  run('tar', ['-xzf', join(work, packed!.filename), '-C', home, '--strip-components', '1'])
  const manifest = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as {
    readonly version: string
    readonly dependencies: Readonly<Record<string, string>>
  }
  // the types of Node are the application's own
  for (const name of [...Object.keys(manifest.dependencies), '@types/node']) {
    const link = join(work, 'node_modules', name)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), link)
  }

  const command = join(home, 'dist', 'surfaces', 'cli', 'main.js')
  check('the command tells its version', run(process.execPath, [command, '--version']) === manifest.version, command)
  const csv = run(process.execPath, [command, 'sql', 'show metrics', '--data-dir', ':memory:', '--format', 'csv'])
  check('the command opens the engine', csv.startsWith('metric'), csv)

  writeFileSync(join(work, 'package.json'), '{"type":"module","private":true}')
  writeFileSync(join(work, 'application.ts'), application)
  const compilerOptions = {
    target: 'es2024',
    lib: ['es2024', 'esnext.disposable'],
    module: 'nodenext',
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    outDir: '.',
  }
  writeFileSync(join(work, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['application.ts'] }))
  run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', work])
  check('an application type-checks', true, undefined)
  const said = run(process.execPath, [join(work, 'application.js')])
  check('and runs', said === expected, said)
} finally {
  rmSync(work, { recursive: true, force: true })
}
