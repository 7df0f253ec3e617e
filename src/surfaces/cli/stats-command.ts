/** `sydradb stats`: what the database holds and has done, a line per figure, or as JSON. */
import { writeOut } from './output.ts'
import type { Target } from './target.ts'

export async function statsCommand(target: Target, options: { readonly json?: boolean }): Promise<void> {
  const stats = await target.stats()
  if (options.json) {
    await writeOut(`${JSON.stringify(stats, undefined, 2)}\n`)
    return
  }
  const figures = [...flattened('', stats)]
  const width = Math.max(...figures.map(([name]) => name.length))
  await writeOut(figures.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join(''))
}

/** `{a: {b: 1}}` is `a.b 1`. */
function* flattened(prefix: string, value: unknown): Generator<readonly [name: string, value: string]> {
  if (typeof value !== 'object' || value === null) yield [prefix, String(value)]
  else
    for (const [key, inner] of Object.entries(value)) yield* flattened(prefix === '' ? key : `${prefix}.${key}`, inner)
}
