/** Who may use the server: a bearer token, or being on this machine. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'
import { SydraError } from '../../lib/errors.ts'

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/**
 * Checks `Authorization` headers against the token. Digests are compared, in constant time: neither where two tokens
 * differ nor how long the right one is can be measured.
 */
export function bearerCheck(token: string): (header: string | undefined) => boolean {
  if (token === '') return () => true
  const expected = digest(token)
  return header => {
    const given = /^bearer +(\S+)\s*$/i.exec(header ?? '')?.[1]
    return timingSafeEqual(digest(given ?? ''), expected) && given !== undefined
  }
}

/** @throws `invalid_setting` where anyone on the network could read and write everything. */
export function assertBindAllowed(host: string, authToken: string, insecure: boolean): void {
  if (authToken !== '' || insecure || isLoopback(host)) return
  throw new SydraError('invalid_setting', `refusing to listen on ${host} without an auth_token`, {
    hint: 'set auth_token (SYDRADB_AUTH_TOKEN), listen on 127.0.0.1, or say --insecure',
  })
}

function isLoopback(host: string): boolean {
  if (isIP(host) === 4) return host.startsWith('127.')
  return host === '::1' || host === 'localhost'
}
