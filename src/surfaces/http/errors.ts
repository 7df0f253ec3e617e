/** Errors on the wire: `{"error":{code,message,position,hint,others}}` with the status of the table in lib/errors.ts. */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { didYouMeanHint } from '../../lib/did-you-mean.ts'
import { type ErrorCode, errorCodes, SydraError, toSydraError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/ports.ts'
import { withoutToken } from './auth.ts'

/** Seconds after which a client that was told `overloaded` or `shutting_down` may try again. */
const retryAfterSeconds = 1

export const statusOf = (error: SydraError): number => errorCodes[error.code].httpStatus

/** Headers that go with an error. */
export function errorHeaders(error: SydraError): Record<string, string> {
  if (error.code === 'overloaded' || error.code === 'shutting_down') return { 'retry-after': String(retryAfterSeconds) }
  if (error.code === 'unauthorized') return { 'www-authenticate': 'Bearer' }
  // RFC 9110, 12.5.3: tells which encodings would have been taken
  if (error.code === 'unsupported_encoding') return { 'accept-encoding': 'gzip, zstd, br' }
  return {}
}

const fastifyCodes: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_JSON_BODY: 'invalid_json',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'bad_request',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'truncated_body',
  FST_ERR_BAD_URL: 'bad_request',
}

/** Whatever was thrown on the way to or in a handler, as one of ours. */
export function fromFastify(error: FastifyError): SydraError {
  if (error instanceof SydraError) return error
  const code = fastifyCodes[error.code]
  if (code !== undefined) return new SydraError(code, error.message, { cause: error })
  if (error.validation !== undefined) return new SydraError('bad_request', error.message, { cause: error })
  if (error.statusCode === 400) return new SydraError('invalid_json', error.message, { cause: error })
  return toSydraError(error)
}

export function errorHandler(log: Logger) {
  return (thrown: FastifyError, request: FastifyRequest, reply: FastifyReply): void => {
    const error = fromFastify(thrown)
    if (error.code === 'internal_error') {
      log('error', 'request failed', {
        method: request.method,
        url: withoutToken(request.url),
        error: thrown.stack ?? String(thrown),
      })
    }
    reply.code(statusOf(error)).headers(errorHeaders(error)).send({ error })
  }
}

interface SchemaProblem {
  readonly keyword?: string
  readonly instancePath?: string
  readonly message?: string | undefined
  readonly params?: Readonly<Record<string, unknown>>
  readonly parentSchema?: { readonly properties?: object }
}

/** A schema's complaint as a sentence a person understands; a misspelt name gets "did you mean". */
export function schemaError(problems: readonly SchemaProblem[], where: string): SydraError {
  const { keyword, instancePath = '', message, params = {}, parentSchema } = problems[0] ?? {}
  const part = where === 'querystring' ? 'query parameter' : where === 'body' ? 'body' : where
  if (keyword === 'additionalProperties') {
    const name = String(params['additionalProperty'])
    const known = Object.keys(parentSchema?.properties ?? {})
    return new SydraError('bad_request', `unknown ${part === 'body' ? 'key' : part} "${name}"`, {
      hint: didYouMeanHint(name, known) ?? (known.length === 0 ? undefined : `known: ${known.join(', ')}`),
    })
  }
  const name = instancePath.slice(1).replaceAll('/', '.')
  const allowed = Array.isArray(params['allowedValues']) ? `: ${params['allowedValues'].join(', ')}` : ''
  return new SydraError('bad_request', `${part}${name === '' ? '' : ` "${name}"`} ${message ?? 'is wrong'}${allowed}`)
}
