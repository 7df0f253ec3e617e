/**
 * What installing the package brings: the packages that its lockfile has for its dependencies, and their bytes on the disk.
 *
 * The README says it in a sentence, which `npm run check:package` holds true: `says` reads it, `sentence` writes it.
 */
import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

interface LockedPackage {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>
}
type Lock = Readonly<Record<string, LockedPackage>>

export interface InstallSize {
  /** Itself not counted. */
  readonly packages: number
  /** Those that it names itself. */
  readonly direct: number
  readonly megabytes: number
}

/** Paths of the packages that come with it, such as `node_modules/a/node_modules/b`, sorted: where npm puts them. */
export function installedPaths(root: string): string[] {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { readonly packages: Lock }
  const found = new Set<string>()
  const follow = (from: string): void => {
    const { dependencies, optionalDependencies, peerDependencies = {}, peerDependenciesMeta } = packages[from]!
    const peers = Object.keys(peerDependencies).filter(name => peerDependenciesMeta?.[name]?.optional !== true)
    for (const name of [...Object.keys({ ...dependencies, ...optionalDependencies }), ...peers]) {
      const path = resolved(packages, from, name)
      if (path === undefined || found.has(path)) continue
      found.add(path)
      follow(path)
    }
  }
  follow('')
  return [...found].sort()
}

/** As Node does: in the package's own `node_modules`, then in those around it. */
function resolved(packages: Lock, from: string, name: string): string | undefined {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/')))) {
    const path = at === '' ? `node_modules/${name}` : `${at}/node_modules/${name}`
    if (path in packages) return path
    if (at === '') return undefined
  }
}

/** Bytes of the files in a directory; packages within it, which have paths of their own, do not count. */
export function bytesIn(directory: string): number {
  let bytes = 0
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.name === 'node_modules') continue
    const path = join(directory, entry.name)
    bytes += entry.isDirectory() ? bytesIn(path) : lstatSync(path).size
  }
  return bytes
}

/** @param home where the packed package is unpacked */
export function installSize(root: string, home: string): InstallSize {
  const paths = installedPaths(root)
  const bytes = paths.reduce((sum, path) => sum + bytesIn(join(root, path)), bytesIn(home))
  const { dependencies } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as {
    readonly dependencies: object
  }
  return { packages: paths.length, direct: Object.keys(dependencies).length, megabytes: bytes / 1e6 }
}

export const sentence = ({ packages, direct, megabytes }: InstallSize): string =>
  `Installing it brings ${direct} dependencies, ${packages} packages with theirs, ${Math.round(megabytes)} MB in all.`

/** The sentence's numbers; undefined where the text has no such sentence. */
export function says(text: string): InstallSize | undefined {
  const words = /brings (\d+) dependencies, (\d+) packages with theirs, (\d+) MB/.exec(text.replaceAll(/\s+/g, ' '))
  if (words === null) return undefined
  const [direct, packages, megabytes] = words.slice(1).map(Number)
  return { direct: direct!, packages: packages!, megabytes: megabytes! }
}
