/** The one error of the library: what it is, what is behind it, and what it is on the wire. */
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { type ErrorJson, errorCodes, open, SydraError } from '../../src/index.ts'
import { openOn, rows, settled } from '../database/support.ts'
import { SimulatedMachine } from '../simulated/machine.ts'

async function errorOf(call: Promise<unknown>): Promise<SydraError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(SydraError)
  return error as SydraError
}

describe('an error', () => {
  test('is an Error with a code, a message, and a name that tells whose it is', async () => {
    await using db = await open(':memory:')
    const error = await errorOf(db.query('select value from nothing').all())
    expect(error).toBeInstanceOf(Error)
    expect({ ...error, message: error.message, name: error.name, cause: error.cause }).toMatchObject({
      name: 'SydraError',
      code: 'unknown_metric',
      message: expect.stringContaining('nothing'),
      cause: undefined,
    })
    expect('cause' in error).toBe(false)
    expect(error.stack).toContain('SydraError')
    expect(String(error)).toBe(`SydraError: ${error.message}`)
    expect(inspect(error)).toContain("code: 'unknown_metric'")
  })

  test('says where in a statement, what to do, and what else is wrong', async () => {
    await using db = await open(':memory:')
    await db.ingest(rows(0, 1))
    const text = 'select valu,\n  nope(value) from cpu'
    const error = await errorOf(db.query(text).all())
    const { position, hint, others } = error
    expect({ code: error.code, hint }).toEqual({ code: 'unknown_field', hint: expect.stringContaining('value') })
    expect(text.slice(position!.offset, position!.offset + position!.length)).toBe('valu')
    expect(others.map(other => [other.code, other.position?.line, other.others])).toEqual([['unknown_function', 2, []]])
    expect(() => db.prepare(text)).toThrow(SydraError)
  })

  test('has what was behind it as its cause', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine)
    await settled(machine, db.ingest(rows(0, 1)))
    const reason = new DOMException('too late', 'TimeoutError')
    expect((await errorOf(db.flush({ signal: AbortSignal.abort(reason) }))).cause).toBe(reason)
    machine.disk.fail({ call: 'write', path: path => path.includes('segments/') })
    const failed = await errorOf(settled(machine, db.flush()))
    expect(failed).toMatchObject({ code: 'read_only', cause: { code: 'io_error', cause: { code: 'EIO' } } })
    await settled(machine, db.close())
  })

  test('as JSON is what the server answers: no stack, no cause, nothing that is undefined', async () => {
    await using db = await open(':memory:')
    await db.ingest(rows(0, 1))
    const error = await errorOf(db.query('select valu, nope(value) from cpu').all())
    const json = JSON.parse(JSON.stringify({ error })) as { readonly error: ErrorJson }
    expect(json.error).toEqual(error.toJSON())
    expect(Object.keys(json.error)).toEqual(['code', 'message', 'position', 'hint', 'others'])
    const bare = new SydraError('not_found', 'no such thing', { cause: new Error('behind') })
    expect(JSON.parse(JSON.stringify(bare))).toEqual({ code: 'not_found', message: 'no such thing' })
  })

  test('that is none of ours comes through as it is', async () => {
    await using db = await open(':memory:')
    const own = new TypeError('mine')
    const source = (async function* () {
      yield* rows(0, 1)
      throw own
    })()
    await expect(db.ingest(source)).rejects.toBe(own)
    const wrong = db.ingest([{ series: 'cpu', value: 1 }], {
      onCommit: () => {
        throw own
      },
    })
    expect((await wrong).failure).toMatchObject({ code: 'internal_error', cause: own })
  })
})

test('every code has its numbers', () => {
  for (const [code, { httpStatus, sqlState, exitCode }] of Object.entries(errorCodes)) {
    expect(code).toMatch(/^[a-z0-9_]+$/)
    expect(httpStatus).toBeGreaterThanOrEqual(400)
    expect(sqlState).toMatch(/^[0-9A-Z]{5}$/)
    expect([1, 2]).toContain(exitCode)
  }
})
