/** The three file systems — of Node, in memory, simulated — behave alike. */
import * as fs from 'node:fs'
import * as os from 'node:os'
import { afterAll, describe, expect, test } from 'vitest'
import { memoryFiles } from '../../src/lib/memory-files.ts'
import { nodePorts } from '../../src/lib/node/ports.ts'
import { directoryOf, normalPath, parentOf } from '../../src/lib/paths.ts'
import { type FileSystem, isFileSystemError } from '../../src/lib/ports.ts'
import { SimulatedDisk } from '../simulated/disk.ts'

const temporary = fs.mkdtempSync(`${os.tmpdir()}/sydra-files-`)
afterAll(() => fs.rmSync(temporary, { recursive: true, force: true }))

const bytes = (...values: number[]) => Uint8Array.from(values)
const errno = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    if (isFileSystemError(error)) return error.code
    throw error
  }
  return 'none'
}

const systems: [string, FileSystem, string][] = [
  ['node', nodePorts().files, `${temporary}/a`],
  ['memory', memoryFiles(), '/data/a'],
  ['simulated', new SimulatedDisk().files, '/data/a'],
]

describe.each(systems)('files (%s)', (_, files, root) => {
  files.makeDirectory(root)

  test('a link is another name of the same bytes', async () => {
    const file = files.open(`${root}/linked`, 'create')
    file.write(bytes(1, 2, 3), 0)
    await file.dataSync()
    files.link(`${root}/linked`, `${root}/link`)
    await files.syncDirectory(root)
    expect(errno(() => files.link(`${root}/linked`, `${root}/link`))).toBe('EEXIST')
    expect(errno(() => files.link(`${root}/none`, `${root}/other`))).toBe('ENOENT')
    expect(errno(() => files.link(`${root}/linked`, `${root}/none/other`))).toBe('ENOENT')
    file.write(bytes(9), 0)
    file.close()
    files.remove(`${root}/linked`)
    const other = files.open(`${root}/link`, 'read')
    const target = new Uint8Array(3)
    expect([other.read(target, 0), ...target]).toEqual([3, 9, 2, 3])
    other.close()
    files.remove(`${root}/link`)
  })

  test('are written and read at positions, with zeros in between', async () => {
    const file = files.open(`${root}/f`, 'create')
    file.write(bytes(1, 2, 3), 5)
    file.write(bytes(9), 0)
    expect(file.size()).toBe(8)
    const target = new Uint8Array(10)
    expect(file.read(target, 0)).toBe(8)
    expect([...target]).toEqual([9, 0, 0, 0, 0, 1, 2, 3, 0, 0])
    expect(file.read(target, 8)).toBe(0)
    expect(file.read(target, 100)).toBe(0)
    file.truncate(6)
    file.truncate(8)
    expect(file.read(target.fill(7), 4)).toBe(4)
    expect([...target.subarray(0, 5)]).toEqual([0, 1, 0, 0, 7])
    await file.dataSync()
    file.close()
    file.close()
    expect(errno(() => file.size())).toBe('EBADF')
  })

  test('open by mode', () => {
    const path = `${root}/modes`
    expect(errno(() => files.open(path, 'read'))).toBe('ENOENT')
    files.open(path, 'open').close()
    expect(errno(() => files.open(path, 'create'))).toBe('EEXIST')
    const file = files.open(path, 'read')
    expect(errno(() => file.write(bytes(1), 0))).toBe('EBADF')
    file.close()
    expect(errno(() => files.open(`${root}/none/f`, 'open'))).toBe('ENOENT')
    expect(errno(() => files.open(root, 'open'))).toBe('EISDIR')
  })

  test('keep their bytes while open, whatever becomes of the name', () => {
    const file = files.open(`${root}/gone`, 'create')
    file.write(bytes(1, 2), 0)
    files.remove(`${root}/gone`)
    expect(files.exists(`${root}/gone`)).toBe(false)
    expect(file.read(new Uint8Array(2), 0)).toBe(2)
    file.close()
  })

  test('are renamed over others', () => {
    files.open(`${root}/from`, 'create').write(bytes(1), 0)
    files.open(`${root}/to`, 'create').write(bytes(2, 2), 0)
    files.rename(`${root}/from`, `${root}/to`)
    expect(files.exists(`${root}/from`)).toBe(false)
    expect(files.open(`${root}/to`, 'read').size()).toBe(1)
    expect(errno(() => files.rename(`${root}/from`, `${root}/to`))).toBe('ENOENT')
  })

  test('stand in directories, listed in order', async () => {
    files.makeDirectory(`${root}/x/y`)
    files.makeDirectory(`${root}/x/y`)
    for (const name of ['b', 'a', 'c']) files.open(`${root}/x/${name}`, 'create').close()
    expect(files.list(`${root}/x`)).toEqual(['a', 'b', 'c', 'y'])
    expect(files.list(`${root}/x/y/`)).toEqual([])
    await files.syncDirectory(`${root}/x`)
    expect(errno(() => files.list(`${root}/none`))).toBe('ENOENT')
    expect(errno(() => files.remove(`${root}/none`))).toBe('ENOENT')
    await expect(files.syncDirectory(`${root}/none`)).rejects.toMatchObject({ code: 'ENOENT' })
    expect(errno(() => files.makeDirectory(`${root}/x/a/deeper`))).toMatch(/ENOTDIR|EEXIST/)
  })

  test('close while they are being synced', async () => {
    const file = files.open(`${root}/busy`, 'create')
    file.write(new Uint8Array(100_000), 0)
    const syncs = [file.dataSync(), file.dataSync()]
    file.close()
    await Promise.all(syncs)
  })
})

describe('memory', () => {
  test('holds so much and no more, and gets back what is removed', () => {
    const files = memoryFiles({ bytesMax: 100 })
    const file = files.open('a', 'create')
    file.write(new Uint8Array(60), 0)
    const other = files.open('b', 'create')
    expect(errno(() => other.write(new Uint8Array(50), 0))).toBe('ENOSPC')
    expect(other.size()).toBe(0)
    files.remove('a')
    expect(errno(() => other.write(new Uint8Array(50), 0))).toBe('ENOSPC')
    file.close()
    other.write(new Uint8Array(100), 0)
    other.truncate(10)
    files.rename('b', 'c')
    files.open('d', 'create').write(new Uint8Array(90), 0)
  })
})

describe('paths', () => {
  test('have one normal form', () => {
    expect(['a//b/./c/', '/a/', './a', '.', '/', ''].map(normalPath)).toEqual(['a/b/c', '/a', 'a', '', '/', ''])
    expect(['/a', 'a', 'a/b', '/a/b'].map(parentOf)).toEqual(['/', '', 'a', '/a'])
    expect(['/a', 'a', './a/b/'].map(directoryOf)).toEqual(['/', '.', 'a'])
  })
})
