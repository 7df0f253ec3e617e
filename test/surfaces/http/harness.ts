/** A server on a free port over a fake database, closed after each test. */
import { request } from 'node:http'
import { connect } from 'node:net'
import { afterEach } from 'vitest'
import type { Logger } from '../../../src/lib/ports.ts'
import { parseSettings, type SettingsInput } from '../../../src/lib/settings.ts'
import { createHttpServer, type HttpServer } from '../../../src/surfaces/http/server.ts'
import { FakeDatabase } from './fake-database.ts'

const open: HttpServer[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map(server => server.close()))
})

export async function start(settings: SettingsInput = {}, log?: Logger) {
  const fake = new FakeDatabase()
  const server = await createHttpServer(fake.asDatabase(), parseSettings({ httpPort: 0, ...settings }), log)
  open.push(server)
  const call = (path: string, init: RequestInit & { duplex?: 'half' } = {}) => fetch(server.address + path, init)
  const post = async (path: string, body: BodyInit, headers: Record<string, string> = {}) => {
    const response = await call(path, { method: 'POST', body, headers, duplex: 'half' })
    return { status: response.status, headers: response.headers, json: (await response.json()) as never as Answer }
  }
  return { fake, server, call, post, port: Number(new URL(server.address).port) }
}

export interface Answer {
  readonly ingested?: number
  readonly rejected?: number
  readonly errors?: readonly { readonly line: number; readonly code: string; readonly message: string }[]
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string }
}

/** An open request whose body is written piece by piece. */
export function openRequest(port: number, path: string, headers: Record<string, string> = {}) {
  const outgoing = request({ port, host: '127.0.0.1', path, method: 'POST', headers })
  const received: string[] = []
  const answered = new Promise<{ status: number; text: string }>((resolve, reject) => {
    outgoing.on('error', reject).on('response', response => {
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => received.push(chunk))
      response.on('end', () => resolve({ status: response.statusCode!, text: received.join('') }))
      response.on('error', reject)
    })
  })
  answered.catch(() => {})
  outgoing.flushHeaders()
  return { outgoing, received, answered }
}

/** Everything a raw socket gets back for these bytes. `end` half-closes after them. */
export function rawExchange(port: number, bytes: string, how: 'end' | 'destroy' | 'wait'): Promise<string> {
  return new Promise(resolve => {
    let text = ''
    const socket = connect({ port, host: '127.0.0.1' }, () => {
      socket.write(bytes, () => {
        if (how === 'end') socket.end()
        if (how === 'destroy') setTimeout(() => socket.destroy(), 50)
      })
    })
    socket.on('data', chunk => {
      text += chunk.toString()
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(text))
  })
}

export async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 2000 && !condition(); i++) await new Promise(resolve => setTimeout(resolve, 5))
  if (!condition()) throw new Error('waited for too long')
}
