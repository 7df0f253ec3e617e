import { expect, test } from 'vitest'
import manifest from '../package.json' with { type: 'json' }
import { version } from '../src/lib/version.ts'

test('the version is package.json’s', () => {
  expect(version).toBe(manifest.version)
})
