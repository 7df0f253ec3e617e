import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { fileError } from '../../src/lib/file-errors.ts'
import { fileSystemError } from '../../src/lib/memory-files.ts'
import { nodePorts } from '../../src/lib/node/ports.ts'

const ports = nodePorts()

describe('the ports of Node', () => {
  test('clock: microseconds within the millisecond of the system, and a monotonic one', () => {
    for (let i = 0; i < 10_000; i++) {
      const before = Date.now()
      const nowUs = ports.clock.nowUs()
      const after = Date.now()
      expect(Number.isInteger(nowUs)).toBe(true)
      expect(nowUs).toBeGreaterThanOrEqual(before * 1000)
      expect(nowUs).toBeLessThan((after + 1) * 1000)
    }
    const first = ports.clock.monotonicMs()
    expect(ports.clock.monotonicMs()).toBeGreaterThanOrEqual(first)
  })

  test('blake3: the hashes of the specification, in pieces or at once', () => {
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
    const empty = ports.blake3.hash()
    expect(hex(empty.digest())).toBe('af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262')
    // test_vectors.json of BLAKE3: bytes 0, 1, …, 250, 0, 1, …
    const input = Uint8Array.from({ length: 102_400 }, (_, i) => i % 251)
    const hash = ports.blake3.hash()
    for (let at = 0; at < input.length; at += 1000) hash.update(input.subarray(at, at + 1000))
    expect(hex(hash.digest())).toBe('bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085')
    hash.dispose()
    const given = ports.blake3.hash()
    given.update(input)
    given.dispose()
    given.dispose()
  })

  test('crc32 continues from a seed', () => {
    const text = new TextEncoder().encode('123456789')
    expect(ports.checksums.crc32(text)).toBe(0xcbf43926)
    const half = ports.checksums.crc32(text.subarray(0, 4))
    expect(ports.checksums.crc32(text.subarray(4), half)).toBe(0xcbf43926)
  })

  test('zstd gives plain arrays back, within a limit', () => {
    const text = new Uint8Array(10_000).fill(65)
    const packed = ports.zstd.compress(text)
    expect(packed.constructor).toBe(Uint8Array)
    expect(packed.length).toBeLessThan(100)
    expect(ports.zstd.decompress(packed, 10_000)).toEqual(text)
    expect(() => ports.zstd.decompress(packed, 9_999)).toThrow()
    expect(() => ports.zstd.decompress(packed.slice(0, 10), 10_000)).toThrow()
  })

  test('random bytes differ', () => {
    expect(ports.random.bytes(new Uint8Array(16))).not.toEqual(ports.random.bytes(new Uint8Array(16)))
  })

  test('timers fire, or not when cancelled; soon is after promises', async () => {
    const order: string[] = []
    ports.timers.after(1, () => order.push('cancelled'))()
    await new Promise<void>(resolve => {
      ports.timers.soon(() => order.push('soon'))
      Promise.resolve().then(() => order.push('promise'))
      ports.timers.after(20, resolve)
    })
    expect(order).toEqual(['promise', 'soon'])
  })

  test('timers keep the process alive, background ones do not', () => {
    const url = new URL('../../src/lib/node/ports.ts', import.meta.url).href
    const run = (background: boolean) =>
      spawnSync(process.execPath, [
        '--input-type=module',
        '-e',
        `import { nodePorts } from ${JSON.stringify(url)}
         nodePorts().timers.after(${background ? 600_000 : 1}, () => console.log('fired'), ${background})`,
      ]).stdout.toString()
    expect(run(false)).toBe('fired\n')
    expect(run(true)).toBe('')
  })

  test('process: a token for what lives, none for what does not', async () => {
    expect(ports.process.pid).toBe(process.pid)
    const own = ports.process.startToken(process.pid)
    expect(own).toBe(ports.process.startToken(process.pid))
    expect(own).toBeDefined()
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
    const token = ports.process.startToken(child.pid!)
    expect(token).toBeDefined()
    if (process.platform === 'linux') expect(token).not.toBe(own)
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(ports.process.startToken(child.pid!)).toBeUndefined()
  })
})

test('file errors become disk_full or io_error, bugs stay bugs', () => {
  expect(fileError(fileSystemError('ENOSPC', 'write', 'f'), 'cannot write').code).toBe('disk_full')
  const error = fileError(fileSystemError('EACCES', 'open', 'f'), 'cannot open')
  expect([error.code, error.message]).toEqual(['io_error', "cannot open: EACCES: open 'f'"])
  expect(fileError(error, 'again')).toBe(error)
  expect(() => fileError(new TypeError('bug'), 'cannot')).toThrow(TypeError)
})
