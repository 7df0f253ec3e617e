/**
 * Compiles each `src/kernels/assembly/<name>.ts` listed below to WebAssembly and writes it as a base64 module,
 * `src/kernels/generated/<name>.ts`, so that the engine loads it without a file system (in a browser too).
 *
 * A module is rebuilt when a source or this script is newer than it; `--force` rebuilds all.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import asc from 'assemblyscript/asc'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const sources = join(root, 'src/kernels/assembly')
const target = join(root, 'src/kernels/generated')
const modules = ['codec', 'scan', 'write'].filter(name => existsSync(join(sources, `${name}.ts`)))

mkdirSync(target, { recursive: true })
const newest = Math.max(
  ...readdirSync(sources, { recursive: true, encoding: 'utf8' }).map(name => statSync(join(sources, name)).mtimeMs),
  statSync(fileURLToPath(import.meta.url)).mtimeMs,
)

for (const name of modules) {
  const output = join(target, `${name}.ts`)
  if (!process.argv.includes('--force') && existsSync(output) && statSync(output).mtimeMs >= newest) continue
  const wasm = join(target, `${name}.${process.pid}.wasm`)
  const { error, stderr } = await asc.main([
    join(sources, `${name}.ts`),
    ...['--outFile', wasm, '-O3', '--noAssert', '--runtime', 'stub', '--use', 'abort='],
    ...['--enable', 'simd', '--enable', 'bulk-memory', '--enable', 'sign-extension', '--enable', 'nontrapping-f2i'],
    ...['--importMemory', '--zeroFilledMemory'],
  ])
  if (error !== null) {
    console.error(stderr.toString())
    process.exit(1)
  }
  const bytes = readFileSync(wasm)
  rmSync(wasm)
  writeFileSync(
    output,
    `// Generated from src/kernels/assembly/${name}.ts by \`npm run build:kernels\`; do not edit.\n` +
      `export const ${name}Wasm =\n  '${bytes.toString('base64')}'\n`,
  )
  console.error(`kernels: ${name} ${bytes.length} bytes`)
}
