/** Where settings come from: a command's own defaults, then the file, variables, flags. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadSettings } from '../../../src/surfaces/cli/config.ts'

let directory = ''
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'sydradb-config-'))
})
afterAll(() => rmSync(directory, { recursive: true }))

test('a default of a command gives way to whatever is said', () => {
  const config = join(directory, 'own.toml')
  writeFileSync(config, 'flush_in_thread = true\nfsync = "none"\n')
  const empty = join(directory, 'empty.toml')
  writeFileSync(empty, '')
  const serverDefaults = { flushInThread: false }
  const inThread = (flags: Record<string, string | boolean>, variables: Record<string, string> = {}) =>
    loadSettings({ config: empty, ...flags }, variables, serverDefaults).flushInThread
  expect(loadSettings({ config: empty }, {}).flushInThread).toBe(true)
  expect(inThread({})).toBe(false)
  expect(inThread({ config })).toBe(true)
  expect(inThread({}, { SYDRADB_FLUSH_IN_THREAD: 'true' })).toBe(true)
  expect(inThread({ flushInThread: true }, { SYDRADB_FLUSH_IN_THREAD: 'false' })).toBe(true)
  expect(loadSettings({ config }, {}, serverDefaults).fsync).toBe('none')
})
