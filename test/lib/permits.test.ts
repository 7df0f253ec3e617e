import { describe, expect, test } from 'vitest'
import { createPermits } from '../../src/lib/permits.ts'

describe('permits', () => {
  test('at most max are out; more wait in order (invariants 1, 2)', async () => {
    const permits = createPermits(10, 10)
    const granted: string[] = []
    expect(permits.acquire(6)).toBeUndefined()
    permits.acquire(8)?.then(() => granted.push('large'))
    permits.acquire(1)?.then(() => granted.push('small'))
    await Promise.resolve()
    expect(granted).toEqual([])
    permits.release(6)
    await Promise.resolve()
    expect(granted).toEqual(['large', 'small'])
    expect(permits.inUse).toBe(9)
    expect(permits.peak).toBe(9)
  })

  test('a request larger than max is granted alone (invariant 1)', async () => {
    const permits = createPermits(10, 10)
    permits.acquire(1)
    let granted = false
    permits.acquire(50)?.then(() => (granted = true))
    await Promise.resolve()
    expect(granted).toBe(false)
    permits.release(1)
    await Promise.resolve()
    expect(granted).toBe(true)
  })

  test('too many waiters are refused (invariant 3)', () => {
    const permits = createPermits(10, 1)
    permits.acquire(10)
    permits.acquire(1)
    expect(() => permits.acquire(1)).toThrow(expect.objectContaining({ code: 'overloaded' }))
  })

  test('one that is cancelled waits no more, nor do those behind it (invariant 3)', async () => {
    const permits = createPermits(10, 2)
    const [large, behind] = [new AbortController(), new AbortController()]
    permits.acquire(6)
    const refused = permits.acquire(8, large.signal)
    const small = permits.acquire(4, behind.signal)
    expect(permits.waiting).toBe(2)
    large.abort('enough')
    await expect(refused).rejects.toMatchObject({ code: 'cancelled', cause: 'enough' })
    await small
    expect(permits).toMatchObject({ waiting: 0, inUse: 10 })
    behind.abort()
    permits.release(4)
    expect(permits.inUse).toBe(6)
    await expect(permits.acquire(5, AbortSignal.abort('early'))).rejects.toMatchObject({ cause: 'early' })
    expect(permits.acquire(4, AbortSignal.abort())).toBeUndefined()
  })

  test('giving back what was not taken is a bug', () => {
    expect(() => createPermits(10, 1).release(1)).toThrow('more permits given back')
  })
})
