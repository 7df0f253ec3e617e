/**
 * The bytes of objects; `docs/format/objects.md` says the same in prose.
 *
 *   id      BLAKE3-256 of `<kind> <length>\0` and the content, as 64 hexadecimal digits
 *   blob    the file is the content alone: a segment can be one by a second name
 *   tree    the file is `tree <length>\0` and a line per entry: `blob <id> <bytes> <name>\n`, in the order of names
 *   commit  the file is `commit <length>\0` and one line of JSON
 *
 * Invariants:
 * 1. The kind is part of what is hashed: no content is a blob and a tree with one id.
 * 2. One tree has one text: entries are sorted by name, names are unique.
 * 3. A name is a single part of a path, and never leads out of its tree.
 */
import { SydraError } from '../../lib/errors.ts'
import type { Lsn } from '../types.ts'
import { unsupportedVersion } from '../unsupported-version.ts'

export type ObjectKind = 'blob' | 'tree' | 'commit'

/** 64 hexadecimal digits, in lower case. */
export type ObjectId = string
export const isObjectId = (text: string): boolean => /^[0-9a-f]{64}$/.test(text)

export interface TreeEntry {
  readonly kind: 'blob' | 'tree'
  readonly id: ObjectId
  /** Length of the content. */
  readonly bytes: number
  readonly name: string
}

/** What a snapshot says of itself. */
export interface Commit {
  readonly tree: ObjectId
  /** The newest commit when this one was made, or the one that was restored since; it may be gone. */
  readonly parent: ObjectId | null
  readonly databaseId: string
  /** All rows up to here are in it. */
  readonly lsn: Lsn
  readonly timeUs: number
  readonly message: string
  readonly segments: number
  /** Of its segments: rows that are there twice, or that deletes hide, count. */
  readonly rows: number
  /** Of all its files. */
  readonly bytes: number
  /** Segments that could not be read when it was made, and are not in it. */
  readonly leftOut: readonly string[]
}

const version = 1
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

export const objectHead = (kind: ObjectKind, length: number): Uint8Array => encoder.encode(`${kind} ${length}\0`)

/** Longer than the head of any tree or commit. */
const headBytesMax = 32

/** What the file of a tree or commit begins with; undefined for anything else. */
export function readHead(bytes: Uint8Array): { readonly kind: 'tree' | 'commit'; readonly length: number } | undefined {
  const end = bytes.subarray(0, headBytesMax).indexOf(0)
  const match = end < 0 ? null : /^(tree|commit) (\d+)$/.exec(new TextDecoder().decode(bytes.subarray(0, end)))
  if (match === null || Number(match[2]) !== bytes.length - end - 1) return undefined
  return { kind: match[1] as 'tree' | 'commit', length: Number(match[2]) }
}

const isEntryName = (name: string): boolean => /^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(name)

export function encodeTree(entries: readonly TreeEntry[]): Uint8Array {
  const sorted = entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  return encoder.encode(sorted.map(({ kind, id, bytes, name }) => `${kind} ${id} ${bytes} ${name}\n`).join(''))
}

/** Throws `corrupt_object`. */
export function decodeTree(content: Uint8Array, id: ObjectId): TreeEntry[] {
  const entries: TreeEntry[] = []
  for (const line of textOf(content, id).split('\n').slice(0, -1)) {
    const [kind, entryId, bytes, name, ...rest] = line.split(' ')
    const isRight =
      (kind === 'blob' || kind === 'tree') &&
      isObjectId(entryId ?? '') &&
      /^\d+$/.test(bytes ?? '') &&
      isEntryName(name ?? '') &&
      rest.length === 0 &&
      (entries.length === 0 || entries.at(-1)!.name < name!)
    if (!isRight) throw damaged(id, 'it is no tree')
    entries.push({ kind, id: entryId!, bytes: Number(bytes), name: name! })
  }
  return entries
}

export const encodeCommit = (commit: Commit): Uint8Array =>
  encoder.encode(`${JSON.stringify({ version, ...commit })}\n`)

/** Throws `corrupt_object`, `unsupported_version`. */
export function decodeCommit(content: Uint8Array, id: ObjectId): Commit {
  let read: Partial<Commit> & { readonly version?: number }
  try {
    read = JSON.parse(textOf(content, id)) as typeof read
  } catch {
    throw damaged(id, 'it is no commit')
  }
  if (typeof read.version === 'number' && read.version !== version)
    throw unsupportedVersion(`commit ${id}`, read.version, version)
  const { tree, parent, databaseId, lsn, timeUs, message, segments, rows, bytes, leftOut } = read
  const numbers = [read.version, lsn, timeUs, segments, rows, bytes]
  const isRight =
    typeof tree === 'string' &&
    isObjectId(tree) &&
    (parent === null || (typeof parent === 'string' && isObjectId(parent))) &&
    typeof databaseId === 'string' &&
    typeof message === 'string' &&
    numbers.every(number => typeof number === 'number') &&
    Array.isArray(leftOut)
  if (!isRight) throw damaged(id, 'it is no commit')
  const { version: _, ...commit } = read as Commit & { readonly version: number }
  return commit
}

function textOf(content: Uint8Array, id: ObjectId): string {
  try {
    return decoder.decode(content)
  } catch {
    throw damaged(id, 'it is no text')
  }
}

export const damaged = (id: ObjectId, what: string): SydraError =>
  new SydraError('corrupt_object', `object ${id} is damaged: ${what}`, {
    hint: 'sydradb verify tells what else is; other snapshots can be restored',
  })
