import { describe, expect, test } from 'vitest'
import type { FileSystem } from '../../src/lib/ports.ts'
import { SimulatedDisk } from './disk.ts'
import { SimulatedMachine } from './machine.ts'

const text = (value: string) => new TextEncoder().encode(value)
const read = (disk: SimulatedDisk, path: string) => new TextDecoder().decode(disk.contents(path))
const write = (files: FileSystem, path: string, value: string) => {
  const file = files.open(path, 'open')
  file.write(text(value), 0)
  return file
}
const outcomes = (look: (disk: SimulatedDisk) => string, disk: SimulatedDisk) =>
  new Set(Array.from({ length: 300 }, (_, seed) => look(disk.afterCrash(seed))))

describe('a crash', () => {
  test('keeps what was synced, and of the rest nothing, all or any prefix', async () => {
    const disk = new SimulatedDisk()
    const file = write(disk.files, 'a', 'old!')
    await file.dataSync()
    await disk.files.syncDirectory('')
    file.write(text('new?'), 0)
    const seen = outcomes(after => read(after, 'a'), disk)
    expect([...seen].sort()).toEqual(['new!', 'new?', 'ned!', 'old!', 'nld!'].sort())
  })

  test('loses names that were not synced, and keeps renames whole', async () => {
    const disk = new SimulatedDisk()
    await write(disk.files, 'a', '1').dataSync()
    await write(disk.files, 'b', '2').dataSync()
    await disk.files.syncDirectory('')
    disk.files.rename('a', 'b')
    write(disk.files, 'c', '')
    const seen = outcomes(
      after =>
        after
          .paths()
          .map(path => `${path}=${read(after, path)}`)
          .join(' '),
      disk,
    )
    expect([...seen].sort()).toEqual(['a=1 b=2', 'a=1 b=2 c=', 'b=1', 'b=1 c='])
    await disk.files.syncDirectory('')
    expect(outcomes(after => after.paths().join(' '), disk)).toEqual(new Set(['b c']))
  })

  test('is decided by its seed, and leaves the old process without a disk', async () => {
    const disk = new SimulatedDisk(5)
    const file = write(disk.files, 'a', 'some bytes that may be torn')
    expect(disk.afterCrash(3).paths()).toEqual(disk.afterCrash(3).paths())
    const after = disk.crash()
    expect(() => file.size()).toThrow('EIO')
    expect(() => disk.files.exists('a')).toThrow('EIO')
    expect(() => after.files.list('')).not.toThrow()
  })

  test('of a process alone loses nothing', () => {
    const disk = new SimulatedDisk()
    write(disk.files, 'a', 'text')
    const after = disk.killProcess()
    expect(read(after, 'a')).toBe('text')
    expect(outcomes(end => end.paths().join(), after)).toEqual(new Set(['', 'a']))
  })
})

describe('faults', () => {
  test('hit the nth call, with a part of the write', () => {
    const disk = new SimulatedDisk()
    const file = disk.files.open('a', 'create')
    disk.fail({ call: 'write', nth: 2, times: 2, code: 'ENOSPC', writtenBytes: 2 })
    file.write(text('1'), 0)
    expect(() => file.write(text('234'), 1)).toThrow('ENOSPC')
    expect(() => file.write(text('234'), 1)).toThrow('ENOSPC')
    expect(read(disk, 'a')).toBe('123')
    file.write(text('9'), 0)
    expect(read(disk, 'a')).toBe('923')
  })

  test('of a sync lose for good what it covered, unless it is written again', async () => {
    const lost = new Set<string>()
    for (let seed = 0; seed < 20; seed++) {
      const disk = new SimulatedDisk(seed)
      const file = write(disk.files, 'a', 'x')
      await disk.files.syncDirectory('')
      disk.fail({ call: 'dataSync' })
      await expect(file.dataSync()).rejects.toMatchObject({ code: 'EIO' })
      expect(read(disk, 'a')).toBe('x')
      await file.dataSync()
      lost.add(read(disk.afterCrash(seed), 'a'))
      file.write(text('x'), 0)
      await file.dataSync()
      expect(read(disk.afterCrash(seed), 'a')).toBe('x')
    }
    expect(lost).toEqual(new Set(['', 'x']))
  })

  test('held syncs cover what was written before them', async () => {
    const disk = new SimulatedDisk()
    const file = write(disk.files, 'a', '1')
    await disk.files.syncDirectory('')
    disk.holdSyncs()
    const synced = file.dataSync()
    file.write(text('2'), 1)
    disk.releaseSyncs()
    await synced
    expect(outcomes(after => read(after, 'a'), disk)).toEqual(new Set(['1', '12']))
  })
})

test('time moves when told, and takes timers along in order', async () => {
  const machine = new SimulatedMachine()
  const fired: number[] = []
  const { timers, clock } = machine.ports
  const startUs = clock.nowUs()
  timers.after(30, () => fired.push(30))
  timers.after(10, () => {
    fired.push(10)
    timers.after(5, () => fired.push(15))
  })
  timers.after(12, () => fired.push(12))()
  await machine.advance(20)
  expect(fired).toEqual([10, 15])
  expect(clock.nowUs() - startUs).toBe(20_000)
  machine.crash()
  await machine.advance(20)
  expect(fired).toEqual([10, 15])
})
