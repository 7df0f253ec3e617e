/**
 * A slow disk slows the client: over a real socket, what is between its `write` and the disk stays bounded.
 *
 *   client ── socket buffers of the kernel ── server reads with a permit ── WAL ── dataSync, held by the test
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { createConnection, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { open } from '../../src/index.ts'
import { nodeFiles } from '../../src/lib/node/files.ts'
import type { FileSystem } from '../../src/lib/ports.ts'
import { parseSettings } from '../../src/lib/settings.ts'
import { createHttpServer } from '../../src/surfaces/http/server.ts'

const MiB = 2 ** 20
const inFlightMaxBytes = 2 * MiB
/** What Node reads from a socket at once, and holds while it is paused. */
const nodeReadBytes = 2 * 256 * 1024

let dataDir: string
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'sydradb-backpressure-'))
})
afterEach(async () => {
  await rm(dataDir, { recursive: true, force: true })
})

/** A file system whose syncs of the log wait for `release`. */
class SlowDisk {
  #held: (() => void)[] | undefined
  get heldSyncs(): number {
    return this.#held?.length ?? 0
  }
  hold(): void {
    this.#held ??= []
  }
  release(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const go of held) go()
  }
  readonly files: FileSystem = {
    ...nodeFiles,
    open: (path, mode) => {
      const file = nodeFiles.open(path, mode)
      if (!path.includes('wal')) return file
      return {
        ...file,
        dataSync: async () => {
          const held = this.#held
          if (held !== undefined) await new Promise<void>(resolve => held.push(resolve))
          await file.dataSync()
        },
      }
    },
  }
}

/** Bytes of the NDJSON body a client has handed over: all it wrote, less what still waits in its own process. */
class Body {
  readonly socket: Socket
  written = 0
  #line = 0

  constructor(address: string) {
    const { hostname, port } = new URL(address)
    this.socket = createConnection({ host: hostname, port: Number(port) })
    this.socket.write(
      'POST /api/v1/ingest?precision=us HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n',
    )
  }

  get accepted(): number {
    return this.written - this.socket.writableLength
  }
  get lines(): number {
    return this.#line
  }

  /** Writes until the socket takes no more. */
  fill(): void {
    while (!this.socket.writableNeedDrain) {
      let text = ''
      for (let n = 0; n < 500; n++) text += `{"series":"m","ts":${1767225600000000 + this.#line++},"value":${n}}\n`
      this.socket.write(`${text.length.toString(16)}\r\n${text}\r\n`)
      this.written += text.length
    }
  }

  /** Writes as fast as it can until the kernel has taken nothing for a while. */
  async flood(): Promise<void> {
    const stop = this.#keepFull()
    await whenStill(() => this.accepted)
    stop()
  }

  /** Writes as fast as it can until so many bytes were taken. */
  async send(bytes: number): Promise<void> {
    const stop = this.#keepFull()
    while (this.accepted < bytes) await pause(5)
    stop()
  }

  async end(): Promise<string> {
    let answer = ''
    this.socket.setEncoding('utf8').on('data', (text: string) => {
      answer += text
    })
    this.socket.write('0\r\n\r\n')
    await new Promise<void>(resolve => this.socket.once('close', () => resolve()))
    return answer
  }

  #keepFull(): () => void {
    const fill = () => this.fill()
    this.socket.on('drain', fill)
    this.fill()
    return () => void this.socket.off('drain', fill)
  }
}

async function whenStill(look: () => number): Promise<void> {
  for (let before = -1, still = 0; still < 15; ) {
    await pause(20)
    const now = look()
    still = now === before ? still + 1 : 0
    before = now
  }
}

/** How much a connection over loopback takes when its other end never reads: both kernel buffers, and Node's own. */
async function socketBuffersBytes(): Promise<number> {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  const body = new Body(`http://127.0.0.1:${port}`)
  await body.flood()
  const { accepted } = body
  body.socket.destroy()
  server.close()
  return accepted
}

describe('backpressure', () => {
  test('from a slow disk reaches the client, and everything arrives once the disk is fast again', async () => {
    const buffersBytes = await socketBuffersBytes()
    const disk = new SlowDisk()
    const settings = parseSettings({ dataDir, httpPort: 0, ingest: { inFlightMaxBytes } })
    const db = await open(settings, { files: disk.files })
    const server = await createHttpServer(db, settings)
    try {
      const body = new Body(server.address)
      await body.send(MiB)
      await expect.poll(() => db.stats().commits).toBeGreaterThan(0)

      disk.hold()
      await body.flood()
      const { ingest } = db.stats()
      const inFlight = body.accepted - ingestedBytes(db.stats().ingest.rows, body)
      expect(disk.heldSyncs).toBe(1)
      expect(ingest.waiting).toBe(1)
      expect(ingest.inFlightBytes).toBeGreaterThan(inFlightMaxBytes / 2)
      expect(inFlight).toBeGreaterThan(inFlightMaxBytes / 2)
      // the kernel makes its buffers larger and smaller as it likes: what was measured is not the same every time
      expect(inFlight).toBeLessThan(inFlightMaxBytes + 3 * buffersBytes + nodeReadBytes)

      const { accepted } = body
      await pause(100)
      expect(body.accepted, 'and nothing goes on').toBe(accepted)

      disk.release()
      await body.send(accepted + 4 * MiB)
      const answer = await body.end()
      expect(answer).toContain(`{"ingested":${body.lines}}`)
      expect(db.stats().ingest).toMatchObject({ rows: body.lines, inFlightBytes: 0, waiting: 0 })
      expect(db.stats().ingest.inFlightPeakBytes).toBeLessThanOrEqual(inFlightMaxBytes)
      expect(await db.query('select count(*) as n from m').first()).toEqual({ n: body.lines })
    } finally {
      disk.release()
      await server.close()
      await db.close()
    }
  })

  test('is shared by all clients: together they hold no more than one', async () => {
    const disk = new SlowDisk()
    const settings = parseSettings({ dataDir, httpPort: 0, ingest: { inFlightMaxBytes } })
    const db = await open(settings, { files: disk.files })
    const server = await createHttpServer(db, settings)
    try {
      disk.hold()
      const bodies = Array.from({ length: 6 }, () => new Body(server.address))
      await Promise.all(bodies.map(body => body.flood()))
      expect(db.stats().ingest.inFlightBytes).toBeLessThanOrEqual(inFlightMaxBytes)
      expect(db.stats().ingest.waiting).toBeGreaterThan(0)
      expect(db.stats().ingest.rows).toBe(0)
      disk.release()
      const answers = await Promise.all(bodies.map(body => body.end()))
      bodies.forEach((body, i) => {
        expect(answers[i]).toContain(`{"ingested":${body.lines}}`)
      })
      expect(db.stats().ingest.inFlightPeakBytes).toBeLessThanOrEqual(inFlightMaxBytes)
      expect(db.stats().ingest.rows).toBe(bodies.reduce((sum, { lines }) => sum + lines, 0))
    } finally {
      disk.release()
      await server.close()
      await db.close()
    }
  })

  test('has an end: one client more than may wait is answered `overloaded`, and the others go on', async () => {
    const disk = new SlowDisk()
    const settings = parseSettings({ dataDir, httpPort: 0, ingest: { inFlightMaxBytes: MiB, waitingMax: 1 } })
    const db = await open(settings, { files: disk.files })
    const server = await createHttpServer(db, settings)
    try {
      disk.hold()
      const first = new Body(server.address)
      await first.flood()
      expect(db.stats().ingest.waiting).toBe(1)
      const row = JSON.stringify({ series: 'm', value: 1 })
      const refused = await fetch(`${server.address}/api/v1/ingest`, {
        method: 'POST',
        body: `${row.padEnd(200_000)}\n`,
      })
      expect(refused.status).toBe(503)
      expect(refused.headers.get('retry-after')).not.toBeNull()
      expect(await refused.json()).toMatchObject({ error: { code: 'overloaded' }, ingested: 0 })
      disk.release()
      expect(await first.end()).toContain(`{"ingested":${first.lines}}`)
    } finally {
      disk.release()
      await server.close()
      await db.close()
    }
  })
})

/** Bytes of the first `rows` lines, as `Body` writes them. */
function ingestedBytes(rows: number, body: Body): number {
  return Math.floor((rows / body.lines) * body.written)
}
