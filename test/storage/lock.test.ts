import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { nodePorts } from '../../src/lib/node/ports.ts'
import type { Ports } from '../../src/lib/ports.ts'
import { acquireLock } from '../../src/storage/lock.ts'
import { SimulatedMachine } from '../simulated/machine.ts'

const holderScript = fileURLToPath(new URL('lock-holder.ts', import.meta.url))

let directory: string
let children: ChildProcess[] = []
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'sydra-lock-'))
})
afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  children = []
  fs.rmSync(directory, { recursive: true, force: true })
})

async function start(): Promise<{ child: ChildProcess; said: string }> {
  const child = spawn(process.execPath, [holderScript, directory], { stdio: ['pipe', 'pipe', 'inherit'] })
  children.push(child)
  const [said] = (await once(createInterface(child.stdout!), 'line')) as [string]
  return { child, said }
}

const lockFile = () => path.join(directory, 'LOCK')
const files = () => fs.readdirSync(directory)

describe('a directory on a real disk', () => {
  test('held by another process is refused, naming it, until it lets go', async () => {
    const { child, said } = await start()
    expect(said).toBe('acquired')
    await expect(acquireLock(nodePorts(), directory)).rejects.toMatchObject({
      code: 'directory_in_use',
      message: expect.stringContaining(String(child.pid)),
    })
    child.stdin!.end()
    await once(child, 'exit')
    expect(files()).toEqual([])
    const lock = await acquireLock(nodePorts(), directory)
    lock.release()
    lock.release()
    expect(files()).toEqual([])
  })

  test('held by this very process is refused', async () => {
    const lock = await acquireLock(nodePorts(), directory)
    await expect(acquireLock(nodePorts(), directory)).rejects.toMatchObject({ code: 'directory_in_use' })
    lock.release()
  })

  test('left by a process that was killed is taken over by exactly one of many starters', async () => {
    const { child } = await start()
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(files()).toEqual(['LOCK'])
    const starters = await Promise.all(Array.from({ length: 6 }, start))
    const winners = starters.filter(({ said }) => said === 'acquired')
    expect(winners.length).toBe(1)
    for (const { said } of starters) if (said !== 'acquired') expect(said).toContain(`process ${winners[0]!.child.pid}`)
    expect(JSON.parse(fs.readFileSync(lockFile(), 'utf8')).pid).toBe(winners[0]!.child.pid)
  })

  test('left by an earlier run of this pid is taken over', async () => {
    const ports = nodePorts()
    const earlier: Ports = { ...ports, process: { pid: ports.process.pid, startToken: () => 'earlier' } }
    await acquireLock(earlier, directory)
    const lock = await acquireLock(ports, directory)
    lock.release()
  })

  test.each(['', '{"pid":1,"startToken":"x"}'])('with an unreadable lock (%j) is taken over', async content => {
    fs.writeFileSync(lockFile(), content)
    const lock = await acquireLock(nodePorts(), directory)
    expect(JSON.parse(fs.readFileSync(lockFile(), 'utf8')).pid).toBe(process.pid)
    lock.release()
    expect(files()).toEqual([])
  })

  test('that is not there is an error', async () => {
    await expect(acquireLock(nodePorts(), path.join(directory, 'none'))).rejects.toMatchObject({ code: 'io_error' })
  })
})

describe('takeover', () => {
  test('by processes that die anywhere in it leaves at most one holder and never a dead end', async () => {
    for (let dyingCall = 1; dyingCall < 30; dyingCall++) {
      const machine = new SimulatedMachine(dyingCall)
      machine.ports.files.makeDirectory('data')
      await acquireLock(machine.ports, 'data')
      const dying = machine.kill()
      machine.disk.onCall = () => {
        if (machine.disk.calls >= dyingCall) throw new Error('killed')
      }
      await acquireLock(dying, 'data').catch(() => {})
      const next = machine.kill()
      const [first, second] = [acquireLock(next, 'data'), acquireLock(next, 'data')]
      const outcomes = Promise.allSettled([first, second])
      await machine.advance(20_000)
      const held = (await outcomes).filter(({ status }) => status === 'fulfilled')
      expect(held.length).toBe(1)
      expect(machine.disk.paths()).toEqual(['data/LOCK'])
    }
  })

  test('after a power loss works whatever is left of the file', async () => {
    for (let seed = 1; seed < 40; seed++) {
      const machine = new SimulatedMachine(seed)
      machine.ports.files.makeDirectory('data')
      await machine.ports.files.syncDirectory('')
      await acquireLock(machine.ports, 'data')
      const opening = acquireLock(machine.crash(), 'data')
      await machine.advance(5000)
      ;(await opening).release()
      expect(machine.disk.paths()).toEqual([])
    }
  })

  test('a full disk is said to be full, and leaves nothing behind', async () => {
    const machine = new SimulatedMachine()
    machine.ports.files.makeDirectory('data')
    machine.disk.fail({ call: 'write', code: 'ENOSPC', writtenBytes: 5 })
    await expect(acquireLock(machine.ports, 'data')).rejects.toMatchObject({ code: 'disk_full' })
    expect(machine.disk.paths()).toEqual([])
  })
})
