/** The README's examples run as they stand there. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import manifest from '../package.json' with { type: 'json' }
import { open } from '../src/index.ts'
import { parseSettings } from '../src/lib/settings.ts'
import { createHttpServer } from '../src/surfaces/http/server.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const blocks = (language: string): string[] =>
  [...readme.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)]
    .filter(([, name]) => name === language)
    .map(([, , code]) => code!)

function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'sydradb-readme-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}
async function run(command: string, args: readonly string[], cwd: string) {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise(resolve => child.on('close', resolve)),
  ])
  return { stdout, stderr, code }
}

test('the program prints its row, by the iterator and by the Observable', async () => {
  const [program, ...others] = blocks('ts')
  expect(others).toEqual([])
  const cwd = temporaryDirectory()
  // an application that has installed sydradb and rxjs
  const packages = join(cwd, 'node_modules')
  mkdirSync(join(packages, 'sydradb'), { recursive: true })
  symlinkSync(join(root, 'node_modules', 'rxjs'), join(packages, 'rxjs'))
  symlinkSync(join(root, 'src'), join(packages, 'sydradb', 'src'))
  writeFileSync(join(packages, 'sydradb', 'package.json'), '{"type":"module","exports":"./src/index.ts"}')
  writeFileSync(join(cwd, 'program.ts'), program!)
  writeFileSync(join(cwd, 'package.json'), '{"type":"module"}')
  const { stdout, stderr, code } = await run(process.execPath, ['program.ts'], cwd)
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 })
  expect(stdout).toMatch(/^\{ time: \d+, value: 0\.64 \}\n0\.64\n$/)
})

test.skipIf(spawnSync('curl', ['--version']).status !== 0)('the curl lines work', async () => {
  const settings = parseSettings({ dataDir: ':memory:', httpPort: 0 })
  const db = await open(settings)
  const server = await createHttpServer(db, settings)
  onTestFinished(async () => {
    await server.close()
    await db.close()
  })
  const [rows, query, ...others] = blocks('sh').filter(block => block.includes('curl'))
  expect(others).toEqual([])
  const cwd = temporaryDirectory()
  writeFileSync(join(cwd, 'points.ndjson'), '{"series":"cpu","value":0.25}\n{"series":"cpu","value":0.5}\n')
  const local = (block: string): string => block.replaceAll('localhost:8080', new URL(server.address).host)

  expect(rows).toMatch(/^npx sydradb &$/m)
  const lines = local(rows!.replace(/^npx .*\n/m, '').replaceAll('tail -f', 'cat'))
  const sent = await run('sh', ['-c', lines], cwd)
  expect({ stderr: sent.stderr, code: sent.code }).toEqual({ stderr: '', code: 0 })
  const answers = sent.stdout
    .trim()
    .split(/\n|(?<=\})(?=\{)/)
    .map(line => JSON.parse(line) as object)
  expect(answers[0]).toMatchObject({ lines: 2, lsn: expect.any(Number) })
  expect(answers.slice(1)).toEqual([{ ingested: 2 }, { ingested: 1 }])

  const asked = await run('sh', ['-c', local(query!)], cwd)
  expect({ stderr: asked.stderr, code: asked.code }).toEqual({ stderr: '', code: 0 })
  const result = asked.stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as object)
  expect(result[0]).toHaveProperty('columns')
  expect(result.at(-1)).toHaveProperty('stats')
  expect(result.length).toBeGreaterThanOrEqual(2 + 2)
})

test('every npm script and file it names is there', () => {
  const scripts = [...readme.matchAll(/npm (?:run )?(demo|test|bench|[a-z:]+)(?= |$|`)/gm)].map(([, name]) => name!)
  for (const name of new Set(scripts)) if (name !== 'ci') expect(Object.keys(manifest.scripts)).toContain(name)
  const files = [...readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, path]) => path!)
  expect(files.length).toBeGreaterThan(2)
  for (const path of files) expect({ path, found: existsSync(join(root, path)) }).toEqual({ path, found: true })
})
