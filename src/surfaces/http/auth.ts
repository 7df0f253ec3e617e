/** Who may use the server: a bearer token, or being on this machine. */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import { SydraError } from '../../lib/errors.ts'

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/**
 * Checks `Authorization` headers against the token; where there is none, `inQuery` may be it (RFC 6750, 2.3). Digests are compared,
 * in constant time: neither where two tokens differ nor how long the right one is can be measured.
 */
export function bearerCheck(token: string): (header: string | undefined, inQuery?: unknown) => boolean {
  if (token === '') return () => true
  const expected = digest(token)
  return (header, inQuery) => {
    const given = header === undefined ? inQuery : /^bearer +(\S+)\s*$/i.exec(header)?.[1]
    return timingSafeEqual(digest(typeof given === 'string' ? given : ''), expected) && given !== undefined
  }
}

/** An address as it may be logged: without the token. */
export function withoutToken(url: string): string {
  const [path, query] = url.split('?', 2)
  const parameters = new URLSearchParams(query)
  if (!parameters.has('access_token')) return url
  parameters.delete('access_token')
  return `${path}?${parameters}`
}

/**
 * Browsers let a page of any origin connect to any WebSocket and read it. With a token, such a page must know it; without one,
 * only our own may.
 *
 * @throws `unauthorized`
 */
export function assertOriginAllowed({ origin, host }: IncomingHttpHeaders, authToken: string): void {
  if (authToken !== '' || origin === undefined || hostOf(origin) === host) return
  throw new SydraError('unauthorized', `a page of ${origin} may not read what this server has`, {
    hint: 'set auth_token, and give it as access_token',
  })
}

const hostOf = (origin: string): string | undefined => (URL.canParse(origin) ? new URL(origin).host : undefined)

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
