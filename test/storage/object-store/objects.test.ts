import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { memoryFiles } from '../../../src/lib/memory-files.ts'
import { nodeBlake3 } from '../../../src/lib/node/blake3.ts'
import type { FileSystem, Ports } from '../../../src/lib/ports.ts'
import { toHex } from '../../../src/lib/text.ts'
import { copyCommit } from '../../../src/storage/object-store/copy-commit.ts'
import {
  type Commit,
  decodeCommit,
  decodeTree,
  encodeCommit,
  encodeTree,
  type ObjectId,
} from '../../../src/storage/object-store/format.ts'
import { ObjectStore } from '../../../src/storage/object-store/objects.ts'
import { namedCommits, reachable, sweep } from '../../../src/storage/object-store/reach.ts'
import { checkRefName, Refs } from '../../../src/storage/object-store/refs.ts'
import { checkTree, walkTree, writeTree } from '../../../src/storage/object-store/trees.ts'
import { verifyObjects } from '../../../src/storage/object-store/verify.ts'
import { SimulatedMachine } from '../../simulated/machine.ts'
import { SeededRandom } from '../../simulated/random.ts'

type StorePorts = Pick<Ports, 'files' | 'blake3' | 'timers' | 'random'>

function portsOn(files: FileSystem = memoryFiles()): StorePorts {
  const timers = { after: () => () => {}, soon: (task: () => void) => void setImmediate(task) }
  return { files, blake3: nodeBlake3, timers, random: new SeededRandom(1) }
}

function storeOn(ports = portsOn(), directory = 'data') {
  ports.files.makeDirectory(directory)
  return { ports, objects: new ObjectStore(ports, directory), refs: new Refs(ports, directory) }
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

function put(files: FileSystem, path: string, bytes: Uint8Array): void {
  const file = files.open(path, 'open')
  file.truncate(0)
  file.write(bytes, 0)
  file.close()
}

async function commitOf(objects: ObjectStore, contents: Readonly<Record<string, string>>): Promise<ObjectId> {
  const files = []
  for (const [path, text] of Object.entries(contents)) {
    const { id, bytes } = await objects.write('blob', bytesOf(text))
    files.push({ path, id, bytes })
  }
  const tree = await writeTree(objects, files)
  const commit: Commit = { ...someCommit, tree: tree.id }
  return (await objects.write('commit', encodeCommit(commit))).id
}

const zeros = '0'.repeat(64)
const someCommit: Commit = {
  tree: zeros,
  parent: null,
  databaseId: 'd',
  lsn: 1,
  timeUs: 2,
  message: 'a "message"\n in two lines',
  segments: 1,
  rows: 2,
  bytes: 3,
  leftOut: [],
}

describe('format', () => {
  test('the ids of docs/format/objects.md', async () => {
    const { objects } = storeOn()
    const blob = await objects.write('blob', bytesOf('hello'))
    const hash = nodeBlake3.hash()
    hash.update(bytesOf('blob 5\0hello'))
    expect(blob.id).toBe(toHex(hash.digest()))
    expect((await objects.write('tree', bytesOf(''))).id).not.toBe((await objects.write('blob', bytesOf(''))).id)
  })

  test('trees and commits read as they were written', () => {
    const name = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,20}$/)
    const id = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(toHex)
    const entry = fc.record({ kind: fc.constantFrom('blob' as const, 'tree' as const), id, bytes: fc.nat(), name })
    fc.assert(
      fc.property(fc.uniqueArray(entry, { selector: each => each.name }), entries => {
        const sorted = entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))
        expect(decodeTree(encodeTree(entries), zeros)).toEqual(sorted)
      }),
    )
    expect(decodeCommit(encodeCommit(someCommit), zeros)).toEqual(someCommit)
  })

  test.each([
    ['no id', `blob ${'0'.repeat(63)} 1 a\n`],
    ['a name that leads out', `blob ${zeros} 1 ..\n`],
    ['a path', `blob ${zeros} 1 a/b\n`],
    ['an unknown kind', `link ${zeros} 1 a\n`],
    ['names in disorder', `blob ${zeros} 1 b\nblob ${zeros} 1 a\n`],
    ['a name twice', `blob ${zeros} 1 a\nblob ${zeros} 1 a\n`],
    ['a negative length', `blob ${zeros} -1 a\n`],
  ])('a tree with %s is damage', (_, text) => {
    expect(() => decodeTree(bytesOf(text), zeros)).toThrow(/is no tree/)
  })

  test('a commit of another version is refused, anything else that is none is damage', () => {
    const changed = (change: object) => bytesOf(JSON.stringify({ version: 1, ...someCommit, ...change }))
    expect(() => decodeCommit(changed({ version: 2 }), zeros)).toThrow(/version/)
    for (const bad of [{ tree: 'x' }, { parent: 1 }, { lsn: '1' }, { leftOut: undefined }, { message: undefined }])
      expect(() => decodeCommit(changed(bad), zeros), JSON.stringify(bad)).toThrow(/is no commit/)
    expect(() => decodeCommit(Uint8Array.of(255), zeros)).toThrow(/damaged/)
  })
})

describe('objects', () => {
  test('adding is idempotent, and what is read was hashed', async () => {
    const { ports, objects } = storeOn()
    const { id, isNew } = await objects.write('blob', bytesOf('content'))
    expect(isNew).toBe(true)
    expect((await objects.write('blob', bytesOf('content'))).isNew).toBe(false)
    expect(objects.read('blob', id)).toEqual(bytesOf('content'))
    expect(() => objects.read('tree', id)).toThrow(/damaged/)
    expect(() => objects.read('blob', zeros)).toThrow(/missing/)
    await expect(objects.check('blob', zeros)).rejects.toMatchObject({ code: 'corrupt_object' })
    put(ports.files, objects.pathOf(id), bytesOf('contend'))
    expect(() => objects.read('blob', id)).toThrow(/damaged/)
    await expect(objects.check('blob', id)).rejects.toMatchObject({ code: 'corrupt_object' })
  })

  test('a file becomes a blob by a second name, whatever its size', async () => {
    const { ports, objects } = storeOn()
    for (const size of [0, 1, 2 ** 20, 2 ** 20 + 1, 3_000_000]) {
      const content = Uint8Array.from({ length: size }, (_, i) => i * 7)
      put(ports.files, 'data/file', content)
      const staged = await objects.stage('data/file')
      put(ports.files, 'data/other', content)
      const { id, bytes } = await objects.adopt(staged)
      expect(bytes).toBe(size)
      expect(Buffer.compare(objects.read('blob', id), content)).toBe(0)
      expect((await objects.add('data/other')).isNew).toBe(false)
      await objects.check('blob', id)
    }
    expect(objects.clearTemporary()).toBe(0)
  })

  test('names are durable after sync, whole whatever the crash', async () => {
    for (let seed = 1; seed <= 30; seed++) {
      const machine = new SimulatedMachine(seed)
      const objects = new ObjectStore(machine.ports, 'data')
      machine.ports.files.makeDirectory('data')
      await machine.ports.files.syncDirectory('')
      const first = await objects.write('blob', bytesOf('first'))
      await objects.sync()
      const second = await objects.write('blob', bytesOf('second'))
      const after = new ObjectStore(machine.crash(seed), 'data')
      expect(after.read('blob', first.id)).toEqual(bytesOf('first'))
      if (after.has(second.id)) expect(after.read('blob', second.id)).toEqual(bytesOf('second'))
    }
  })
})

describe('trees', () => {
  test('one directory is one tree, and what changes is what is new', async () => {
    const { objects } = storeOn()
    const blob = await objects.write('blob', bytesOf('x'))
    const files = ['MANIFEST', 'segments/a/1.seg', 'segments/a/2.seg', 'segments/b/3.seg'].map(path => ({
      path,
      ...blob,
    }))
    const first = await writeTree(objects, files)
    expect(first.added).toBe(4)
    expect([...walkTree(objects, first.id)].filter(({ kind }) => kind === 'blob').map(({ path }) => path)).toEqual(
      files.map(({ path }) => path),
    )
    const second = await writeTree(objects, [...files, { path: 'segments/b/4.seg', ...blob }])
    expect(second.added).toBe(3)
    expect(await checkTree(objects, second.id)).toHaveLength(5)
  })
})

describe('refs', () => {
  test('are set, listed, resolved and removed', async () => {
    const { objects, refs } = storeOn()
    expect(refs.list()).toEqual(new Map())
    const id = await commitOf(objects, { MANIFEST: 'm' })
    await refs.set('monday', id)
    await refs.setHead(id)
    for (const ref of ['monday', 'HEAD', 'head', id, id.slice(0, 8)]) expect(refs.resolve(ref)).toBe(id)
    expect(() => refs.resolve('mondey')).toThrow(expect.objectContaining({ hint: 'did you mean "monday"?' }))
    expect(() => refs.resolve(id.slice(0, 7))).toThrow(/no snapshot/)
    expect(refs.list()).toEqual(new Map([['monday', id]]))
    await refs.remove('monday')
    expect(refs.get('monday')).toBeUndefined()
  })

  test('any text is a name or refused', () => {
    fc.assert(
      fc.property(fc.string(), text => {
        let isName = true
        try {
          checkRefName(text)
        } catch {
          isName = false
        }
        if (isName) expect(text).toMatch(/^\w[\w.-]*$/)
      }),
    )
  })
})

describe('reach', () => {
  test('keeps what commits need and removes the rest', async () => {
    const { ports, objects, refs } = storeOn()
    const a = await commitOf(objects, { MANIFEST: 'a', 'segments/w/1.seg': 'shared', 'segments/w/2.seg': 'only a' })
    const b = await commitOf(objects, { MANIFEST: 'b', 'segments/w/1.seg': 'shared' })
    await refs.set('b', b)
    expect(reachable(objects, [a, b]).size).toBe([...objects.ids()].length)
    const { removed, kept } = await sweep(ports, objects, namedCommits(refs))
    expect([removed, kept]).toEqual([6, 6])
    await checkTree(objects, objects.commit(b).tree)
    expect(objects.has(a)).toBe(false)
  })

  test('removes nothing where it cannot read what is kept', async () => {
    const { ports, objects, refs } = storeOn()
    const id = await commitOf(objects, { MANIFEST: 'm', 'segments/w/1.seg': 's' })
    await objects.write('blob', bytesOf('nobody needs it'))
    await refs.set('x', id)
    const before = [...objects.ids()].length
    ports.files.remove(objects.pathOf(objects.commit(id).tree))
    await expect(sweep(ports, objects, namedCommits(refs))).rejects.toMatchObject({ code: 'corrupt_object' })
    expect([...objects.ids()].length).toBe(before - 1)
  })

  test('copies what the other has not', async () => {
    const ports = portsOn()
    const { objects } = storeOn(ports)
    const other = storeOn(ports, 'backup')
    const a = await commitOf(objects, { MANIFEST: 'a', 'segments/w/1.seg': 'shared' })
    const b = await commitOf(objects, { MANIFEST: 'b', 'segments/w/1.seg': 'shared', 'segments/w/2.seg': 'new' })
    expect((await copyCommit(objects, other.objects, other.refs, a)).objects).toBe(6)
    await other.refs.set('a', a)
    expect((await copyCommit(objects, other.objects, other.refs, b)).objects).toBe(6)
    expect((await copyCommit(objects, other.objects, other.refs, a)).objects).toBe(0)
    await checkTree(other.objects, other.objects.commit(b).tree)
    ports.files.remove(objects.pathOf((await objects.write('blob', bytesOf('new'))).id))
    const empty = storeOn(ports, 'third')
    await expect(copyCommit(objects, empty.objects, empty.refs, b)).rejects.toMatchObject({ code: 'corrupt_object' })
    expect(empty.objects.has(b)).toBe(false)
  })
})

describe('verifyObjects', () => {
  test('reads all, and names exactly what is damaged or missing', async () => {
    const { ports, objects, refs } = storeOn()
    const id = await commitOf(objects, { MANIFEST: 'm', 'segments/w/1.seg': 'tree 1\0x', 'segments/w/2.seg': 'two' })
    await refs.set('x', id)
    const whole = await verifyObjects(ports, 'data')
    expect(whole).toMatchObject({ objects: 7, refs: 1, commits: 1, problems: [] })
    const all = [...objects.ids()]
    for (const each of all) {
      const path = objects.pathOf(each)
      const file = ports.files.open(path, 'open')
      const bytes = new Uint8Array(file.size())
      file.read(bytes, 0)
      file.write(Uint8Array.of(bytes[0]! ^ 1), 0)
      const damaged = await verifyObjects(ports, 'data')
      expect(new Set(damaged.problems.map(problem => `data/${problem.path}`))).toContain(path)
      file.write(bytes, 0)
      file.close()
      ports.files.rename(path, 'data/away')
      const missing = await verifyObjects(ports, 'data')
      expect(missing.problems.length, each).toBeGreaterThan(0)
      ports.files.rename('data/away', path)
    }
    put(ports.files, 'data/refs/bad', bytesOf('nothing'))
    expect((await verifyObjects(ports, 'data')).problems.map(({ path }) => path)).toEqual(['refs/bad'])
  })

  test('what is forgotten and collected while it reads is not damaged', async () => {
    for (let at = 0; at < 12; at++) {
      const { ports, objects, refs } = storeOn()
      const kept = await commitOf(objects, { MANIFEST: 'm', 'segments/w/1.seg': 'one' })
      await refs.set('kept', kept)
      await refs.set('gone', await commitOf(objects, { MANIFEST: 'n', 'segments/w/2.seg': 'two' }))
      let opens = 0
      const open: FileSystem['open'] = (path, mode) => {
        if (opens++ === at) {
          ports.files.remove('data/refs/gone')
          const needed = reachable(objects, [kept])
          for (const id of [...objects.ids()]) if (!needed.has(id)) objects.remove(id)
        }
        return ports.files.open(path, mode)
      }
      const { problems } = await verifyObjects({ ...ports, files: { ...ports.files, open } }, 'data')
      expect(problems, `collected at call ${at}`).toEqual([])
      expect(opens).toBeGreaterThan(at)
    }
  })
})
