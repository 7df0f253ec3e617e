import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { fromSnakeCase, parseSettings, settingNames } from '../../src/lib/settings.ts'

const failure = (work: () => unknown): unknown => {
  try {
    return work()
  } catch (error) {
    return error
  }
}

describe('settings', () => {
  test('the defaults stand without any', () => {
    expect(parseSettings({})).toMatchObject({
      dataDir: './data',
      fsync: 'always',
      memtableMaxBytes: 32 * 2 ** 20,
      flushIntervalMs: 600_000,
      query: { requireTimeRange: false },
    })
  })

  test('sizes and durations may be text', () => {
    const settings = parseSettings({ memtableMaxBytes: '8MiB', flushIntervalMs: '2s', walKeepBytes: '1GB' })
    expect(settings).toMatchObject({ memtableMaxBytes: 8 * 2 ** 20, flushIntervalMs: 2000, walKeepBytes: 1e9 })
    expect(parseSettings({ flushIntervalMs: '1500' }).flushIntervalMs).toBe(1500)
  })

  test('an unknown name is refused with what was meant', () => {
    expect(failure(() => parseSettings({ datadir: 'x' } as never))).toMatchObject({
      code: 'unknown_setting',
      hint: 'did you mean "dataDir"?',
    })
    expect(failure(() => fromSnakeCase({ query: { timeout: 1 } }))).toMatchObject({
      code: 'unknown_setting',
      message: expect.stringContaining('query.timeout'),
      hint: expect.stringContaining('query.timeout_ms'),
    })
  })

  test('a bad value names the setting', () => {
    expect(failure(() => parseSettings({ fsync: 'sometimes' } as never))).toMatchObject({
      code: 'invalid_setting',
      message: expect.stringContaining('fsync'),
    })
    expect(failure(() => parseSettings({ memtableMaxBytes: 'much' }))).toMatchObject({
      code: 'invalid_setting',
      message: expect.stringMatching(/memtable_max_bytes.*"much"/),
    })
    expect(failure(() => parseSettings({ httpPort: 70_000 }))).toMatchObject({ code: 'invalid_setting' })
    expect(failure(() => parseSettings({ memLimitBytes: '64MiB' }))).toMatchObject({
      code: 'invalid_setting',
      message: expect.stringContaining('mem_limit_bytes'),
      hint: expect.stringContaining(String(2 * (32 + 8) * 2 ** 20)),
    })
    expect(parseSettings({ memLimitBytes: '64MiB', memtableMaxBytes: '24MiB' }).memLimitBytes).toBe(64 * 2 ** 20)
  })

  test('retention is days by namespace, as an object or as text', () => {
    expect(parseSettings({}).retention).toEqual({})
    expect(parseSettings({ retention: { weather: 30, cpu: '7' } }).retention).toEqual({ weather: 30, cpu: 7 })
    expect(parseSettings({ retention: ' weather = 30,cpu=0.5' }).retention).toEqual({ weather: 30, cpu: 0.5 })
    expect(fromSnakeCase({ retention_days: 1, retention: { my_Name: 2 } })).toEqual({
      retentionDays: 1,
      retention: { my_Name: 2 },
    })
    const bad = [
      { 'a.b': 1 },
      { '': 1 },
      { a: -1 },
      { a: 'x' },
      { a: '' },
      { a: null },
      'weather',
      'weather=30,',
      'a=b',
      5,
    ]
    for (const retention of bad)
      expect(failure(() => parseSettings({ retention } as never))).toMatchObject({
        code: 'invalid_setting',
        message: expect.stringMatching(/^setting retention/),
      })
    expect(failure(() => parseSettings({ retentionDays: -1 }))).toMatchObject({ code: 'invalid_setting' })
  })

  test('TOML names become library names', () => {
    expect(fromSnakeCase({ data_dir: 'd', query: { timeout_ms: 5 } })).toEqual({
      dataDir: 'd',
      query: { timeoutMs: 5 },
    })
  })

  test('every setting is frozen and documented', () => {
    const settings = parseSettings({})
    expect(Object.isFrozen(settings) && Object.isFrozen(settings.query)).toBe(true)
    const page = readFileSync(new URL('../../docs/settings.md', import.meta.url), 'utf8')
    const documented = [...page.matchAll(/^\| `([a-z_.]+)` \|/gm)].map(match => match[1])
    expect(documented.toSorted()).toEqual(settingNames.map(({ name }) => name).toSorted())
  })
})
