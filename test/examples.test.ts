/** The programs of `examples/`, each run as its reader would, on the source. */
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const directory = new URL('../examples/', import.meta.url)
const sourcePackage = fileURLToPath(new URL('source-package.ts', import.meta.url))

/** What each prints, and nothing else. */
const expected: Readonly<Record<string, readonly string[]>> = {
  'alerting.ts': [
    'web-1 is at 95 %',
    'web-2 is at 92 %',
    'web-1 is still busy, at 97 %',
    'web-2 is well again',
    'web-1 is well again',
  ],
  'audit.ts': [
    '10 commits of 55 rows',
    'flushed 78 rows',
    '12: 12 rows',
    '13: deleted from cpu',
    '2 commits of 23 rows',
  ],
  'continuous-aggregate.ts': [
    '12:00  web-1  avg 50  max 90  of 3',
    '12:01  web-1  avg 50  max 50  of 1',
    '12:01  web-2  avg 70  max 70  of 1',
    'without any row of cpu: 3 minutes',
  ],
  'feed.ts': ['quick: 100 coffee, 201 tea', 'slow: 100 coffee, 201 tea', 'nobody listens any more'],
  'live-to-file.ts': [
    '{"time":"2026-01-01T00:00:00.000Z","host":"web-1","value":95}',
    '{"time":"2026-01-01T00:00:02.000Z","host":"web-2","value":92}',
    '{"time":"2026-01-01T00:00:04.000Z","host":"web-2","value":94}',
    '{"time":"2026-01-01T00:00:06.000Z","host":"web-2","value":96}',
    '0 subscriptions left',
  ],
  'replication.ts': ['1000 rows copied', '200 rows copied', '1200 rows there, 1200 rows here'],
  'windowed-join.ts': ['12:00  1 of 4', '12:01  1 of 4', '12:02  2 of 4'],
}

test('each of them is run here', () => {
  expect(readdirSync(directory).filter(name => name.endsWith('.ts'))).toEqual(Object.keys(expected))
})

test.concurrent.for(Object.entries(expected))('%s', async ([file, lines], { onTestFinished }) => {
  const child = spawn(process.execPath, ['--import', sourcePackage, fileURLToPath(new URL(file, directory))])
  onTestFinished(() => void child.kill('SIGKILL'))
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', text => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', text => (stderr += text))
  const code = await new Promise(resolve => child.once('close', resolve))
  expect({ code, stderr, lines: stdout.trimEnd().split('\n') }).toEqual({ code: 0, stderr: '', lines })
})
